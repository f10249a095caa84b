import { InvalidArgument } from '../../errors';

/** An axis of a volume, as a user counts them. */
export type Axis = 'x' | 'y' | 'z';

/** The adversarial part of training: two discriminators, their losses, and when they join. */
export interface GanConfig {
  /** Weight of the loss by the 2D discriminator, which sees one random slice of every patch; 0 for none. */
  readonly slice: number;
  /** Weight of the loss by the 3D discriminator, which sees whole patches; 0 for none. */
  readonly patch: number;
  /** Weight of feature matching: the distance of real and reconstructed patches inside the discriminators. */
  readonly features: number;
  /** What discriminators minimise: the hinge loss, or the vanilla one (cross entropy). */
  readonly loss: 'hinge' | 'vanilla';
  /** Optimiser steps before the discriminators join. */
  readonly start: number;
  /** Steps from then over which the adversarial losses grow to their full weight. */
  readonly ramp: number;
  /**
   * Scales the adversarial loss so that its gradient at the decoder's last layer is as large as that of the
   * reconstruction and perceptual losses (Esser et al., "Taming Transformers", 2021, equation 7).
   */
  readonly adaptive: boolean;
  /** Channels of the discriminators' first layer; each layer doubles them, up to eight times. */
  readonly channels: number;
  /** Layers of stride 2; two of stride 1 follow. */
  readonly layers: number;
  /**
   * `batch` normalises over the patches of one pass of all ranks together, as SyncBatchNorm; `group` each patch for
   * itself; `none` not at all.
   */
  readonly norm: 'batch' | 'group' | 'none';
  /** Slices are taken across one of these, drawn anew at every step. */
  readonly axes: readonly Axis[];
  /** Of the discriminators' optimiser; the generator's where there is none. Follows its schedule. */
  readonly learningRate?: number;
}

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
export function checkDiscriminators(config: GanConfig, patch: readonly [number, number, number]): void {
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
