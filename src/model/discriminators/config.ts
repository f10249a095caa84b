import { InvalidArgument } from '../../errors';
import { amount, type ConfigOf, count, flag, listOf, oneOf, optional, positive, whole } from '../../setting';
import { axisNames, type Vec3 } from '../../vec3';

/** The settings below `gan`. */
export const ganSettings = {
  slice: amount({
    meaning:
      'Weight of the loss by the 2D discriminator, which sees one random slice of every patch; 0 for none.',
  }),
  patch: amount({
    meaning: 'Weight of the loss by the 3D discriminator, which sees whole patches; 0 for none.',
  }),
  features: amount({
    meaning:
      'Weight of feature matching: the distance of real and reconstructed patches inside the discriminators.',
  }),
  loss: oneOf(['hinge', 'vanilla'], {
    meaning: 'What discriminators minimise: the hinge loss or the vanilla one (cross entropy).',
  }),
  start: whole({ meaning: 'Optimiser steps before the discriminators join.', unit: 'steps' }),
  ramp: whole({
    meaning: 'Steps from then on in which the adversarial losses grow to their full weight.',
    unit: 'steps',
  }),
  // Esser et al., "Taming Transformers", 2021, equation 7.
  adaptive: flag({
    meaning:
      "Scales the adversarial loss until its gradient at the decoder's last layer is as large as that of the " +
      'reconstruction and perceptual losses.',
  }),
  channels: count({
    meaning: "Channels of the discriminators' first layer; each layer doubles them, up to eight times.",
    unit: 'channels',
  }),
  layers: count({ meaning: 'Layers of stride 2; two of stride 1 follow.' }),
  norm: oneOf(['batch', 'group', 'none'], {
    meaning:
      'How discriminators normalise: over the patches of one pass of all ranks (as SyncBatchNorm), each patch by ' +
      'itself, or not at all.',
  }),
  axes: listOf('at least one of x, y, z', (value) => axisNames.find((axis) => axis === value), {
    meaning: 'The axes that slices are taken across; every step draws one.',
  }),
  learningRate: optional(
    positive({
      meaning:
        "Learning rate of the discriminators, on the generator's schedule; by default the generator's.",
    }),
  ),
};

/** The adversarial part of training: two discriminators, their losses, and when they join. */
export interface GanConfig extends ConfigOf<typeof ganSettings> {}

/** Whether the config has discriminators at all. */
export function hasDiscriminators({ slice, patch }: GanConfig): boolean {
  return slice > 0 || patch > 0;
}

/** The weight of the adversarial losses at a step: 0 before the start, 1 after the ramp. */
export function adversarialFactor({ start, ramp }: GanConfig, step: number): number {
  if (step < start) return 0;
  return ramp === 0 ? 1 : Math.min(1, (step - start + 1) / ramp);
}

/** @throws InvalidArgument where a patch [x, y, z] is too small for the discriminators. */
export function checkDiscriminators(config: GanConfig, patch: Vec3): void {
  // Zeros on both sides let a layer pass whatever has a voxel; what is halved to nothing tells nothing.
  const least = 2 ** config.layers;
  const inPlane = config.axes.flatMap((axis) => patch.filter((_, i) => i !== 'xyz'.indexOf(axis)));
  const seen = [...(config.patch > 0 ? patch : []), ...(config.slice > 0 ? inPlane : [])];
  if (seen.some((size) => size < least))
    throw new InvalidArgument(
      'gan.layers',
      `at most ${Math.floor(Math.log2(Math.min(...seen)))} for patches of [${patch.join(', ')}]`,
      config.layers,
    );
}
