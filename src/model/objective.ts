import * as tf from '@tensorflow/tfjs-core';
import { convolutionGradients } from '../compute/ops/backward';
import { putSlices, type SliceAxis, takeSlices } from '../compute/ops/slices';
import { Random } from '../random';
import type { AxisName } from '../vec3';
import { LAST_LAYER } from './decoder';
import { adversarialFactor, type GanConfig } from './discriminators/config';
import type {
  AdversarialLosses,
  DiscriminatorResult,
  Discriminators,
  Slices,
} from './discriminators/discriminators';
import type { Peers } from './peers';
import type { Perceptual } from './perceptual';
import type { ForwardPass, GradientReady, VqGan } from './vqgan';

/** Which part of which global batch a pass is about. */
interface BatchPart {
  /** Optimiser steps done before this one. */
  readonly step: number;
  /** Patches of the global batch before this part's, and of all of it. */
  readonly offset: number;
  readonly total: number;
  readonly peers: Peers;
}

/** All times the part's share of the global batch; what is not part of the step is 0. */
export interface ObjectiveLosses extends AdversarialLosses {
  /** What the generator minimises. */
  readonly loss: number;
  /** Unweighted: mean absolute difference of patch and reconstruction. */
  readonly reconstruction: number;
  /** Unweighted: mean squared distance of the latents to their codes. */
  readonly commitment: number;
  /** Unweighted LPIPS. */
  readonly perceptual: number;
  /** What the adversarial loss was multiplied by, beside its weight: gan's ramp and adaptive weight. */
  readonly adversarialScale: number;
}

/** The tensors are the caller's to dispose. */
export interface ObjectiveResult {
  readonly losses: ObjectiveLosses;
  /** Of the generator and, once they have joined, the discriminators, by weight name. */
  readonly gradients: tf.NamedTensorMap;
  readonly latents: tf.Tensor2D;
  readonly codes: tf.Tensor1D;
}

/** Keeps the adaptive weight from a gradient that has died (as in "Taming Transformers"). */
const ADAPTIVE_EPSILON = 1e-4;
const MOST_ADAPTIVE = 1e4;

/** What a generator and its discriminators are trained for: all losses, and the gradients of all weights. */
export class Objective {
  constructor(
    readonly model: VqGan,
    private readonly options: {
      readonly gan: GanConfig;
      readonly discriminators?: Discriminators | undefined;
      readonly perceptual?: { readonly loss: Perceptual; readonly weight: number } | undefined;
      readonly seed: number;
    },
  ) {}

  /**
   * Losses and gradients of a part [n, d, h, w, 1] of a global batch, times its share of it: added up over all parts
   * they are those of the whole batch. Generator and discriminators see the same reconstruction, and both gradients
   * belong to the weights before the step.
   * @param ready told of each gradient as soon as it is whole
   * @throws OutOfMemory for a part that does not fit; without discriminators and perceptual loss the memory is then as it was
   */
  async lossAndGradients(x: tf.Tensor5D, part: BatchPart, ready?: GradientReady): Promise<ObjectiveResult> {
    const pass = this.model.forward(x);
    try {
      return await this.finish(x, pass, part, ready);
    } catch (error) {
      pass.release();
      throw error;
    }
  }

  private async finish(
    x: tf.Tensor5D,
    pass: ForwardPass,
    part: BatchPart,
    ready: GradientReady | undefined,
  ): Promise<ObjectiveResult> {
    const { discriminators, perceptual, gan, seed } = this.options;
    const weight = x.shape[0] / part.total;
    const { config } = this.model;
    const slices = drawSlices(gan.axes, x.shape, part, seed);
    const reconstruction = l1Reconstruction(x, pass.y, config.reconstruction * weight);
    const seen = perceptual && slicesLoss(perceptual, x, pass.y, slices, weight);
    const plain = seen ? addUp([reconstruction.gradient, seen.gradient]) : reconstruction.gradient;
    const factor = discriminators ? adversarialFactor(gan, part.step) : 0;
    let [dy, scale] = [plain, 0];
    let ofDiscriminators: DiscriminatorResult | undefined;
    if (discriminators && factor > 0) {
      const { adaptive } = gan;
      const seenBy = { slices, weight, factor, peers: part.peers, apart: adaptive };
      ofDiscriminators = await discriminators.lossesAndGradients(x, pass.y, seenBy);
      const { adversarial, features } = ofDiscriminators.atPatches;
      const adapted = adaptive
        ? await this.adaptiveWeight(pass.features, plain, adversarial, weight, factor, part.peers)
        : 1;
      scale = factor * adapted;
      dy = addUp([plain, times(adversarial, adapted), ...(features ? [features] : [])]);
    }
    // The largest of all activations; kept any longer, it would add to the peak of the backward pass.
    pass.features.dispose();
    for (const [name, gradient] of Object.entries(ofDiscriminators?.gradients ?? {})) ready?.(name, gradient);
    let gradients: tf.NamedTensorMap;
    try {
      gradients = { ...pass.gradients(dy, weight, ready), ...ofDiscriminators?.gradients };
    } finally {
      dy.dispose();
    }
    const quantiser = pass.quantiserLoss.dataSync()[0]!;
    const adversarial = ofDiscriminators?.losses ?? NO_DISCRIMINATORS;
    const losses: ObjectiveLosses = {
      loss:
        weight * (config.reconstruction * reconstruction.value + quantiser) +
        (perceptual && seen ? weight * perceptual.weight * seen.value : 0) +
        scale * adversarial.adversarial +
        factor * gan.features * adversarial.features,
      reconstruction: weight * reconstruction.value,
      commitment: weight * pass.commitment.dataSync()[0]!,
      perceptual: weight * (seen?.value ?? 0),
      adversarialScale: weight * scale,
      ...adversarial,
    };
    tf.dispose([pass.y, pass.quantiserLoss, pass.commitment]);
    return { losses, gradients, latents: pass.latents, codes: pass.codes };
  }

  /** Takes part in a pass for which this rank has no patch. */
  async emptyPass({ step, peers }: Pick<BatchPart, 'step' | 'peers'>): Promise<void> {
    const { discriminators, gan } = this.options;
    if (!discriminators || adversarialFactor(gan, step) === 0) return;
    await discriminators.emptyPass(peers);
    if (gan.adaptive) await peers.gather(new Float32Array(0));
  }

  /** |gradient of the plain losses| / |gradient of the adversarial one|, at the decoder's last weights, of all ranks. */
  private async adaptiveWeight(
    features: tf.Tensor5D,
    plain: tf.Tensor5D,
    adversarial: tf.Tensor5D,
    weight: number,
    factor: number,
    peers: Peers,
  ): Promise<number> {
    const w = this.model.weights.get(`${LAST_LAYER}.conv.weight`)! as tf.Tensor as tf.Tensor5D;
    const [ofPlain, ofAdversarial] = [plain, adversarial].map((dy) => {
      const { dw, dbias } = convolutionGradients(features, w, dy, {}, { input: false, weights: true });
      const values = dw!.dataSync<'float32'>().slice();
      tf.dispose([dw!, dbias!]);
      return values;
    }) as [Float32Array, Float32Array];
    const gathered = await peers.gather(Float32Array.of(weight, ...ofPlain, ...ofAdversarial));
    const parts = gathered.filter(({ length }) => length > 0);
    const share = parts.reduce((sum, values) => sum + values[0]!, 0);
    const size = ofPlain.length;
    const norm = (from: number) => {
      let squares = 0;
      for (let i = from; i < from + size; i++)
        squares += parts.reduce((sum, values) => sum + values[i]!, 0) ** 2;
      return Math.sqrt(squares) / share;
    };
    return Math.min(norm(1) / (norm(1 + size) / factor + ADAPTIVE_EPSILON), MOST_ADAPTIVE);
  }
}

const NO_DISCRIMINATORS: AdversarialLosses = {
  adversarial: 0,
  features: 0,
  discriminator: 0,
  logitsReal: 0,
  logitsFake: 0,
};

/**
 * The slices of one part of a global batch: one axis for all of it, and for each patch a place that depends on the
 * seed, the step and where the patch is in the global batch, so that any number of ranks draws the same.
 * @param shape [n, d, h, w, 1]
 */
export function drawSlices(
  axes: readonly AxisName[],
  shape: readonly number[],
  { step, offset }: Pick<BatchPart, 'step' | 'offset'>,
  seed: number,
): Slices {
  const axis = axes[new Random(seed, 'slice axis', step).below(axes.length)]!;
  const across = 'zyx'.indexOf(axis) as SliceAxis;
  const indices = Array.from({ length: shape[0]! }, (_, i) =>
    new Random(seed, 'slice', step, offset + i).below(shape[across + 1]!),
  );
  return { axis: across, indices };
}

/**
 * Mean absolute difference of the reconstruction y to the patches x, both [n, d, h, w, 1]: its value, unweighted, and the
 * gradient of `weight` times it at y.
 */
function l1Reconstruction(x: tf.Tensor5D, y: tf.Tensor5D, weight: number) {
  const [mean, gradient] = tf.tidy(() => {
    const difference = tf.sub(y, x);
    return [
      tf.mean(tf.abs(difference)),
      tf.mul(tf.sign(difference), weight / y.size) as tf.Tensor5D,
    ] as const;
  });
  const value = mean.dataSync()[0]!;
  mean.dispose();
  return { value, gradient };
}

/** The perceptual loss of the slices, with its gradient at the patches they were taken from. */
function slicesLoss(
  { loss, weight: own }: { readonly loss: Perceptual; readonly weight: number },
  x: tf.Tensor5D,
  y: tf.Tensor5D,
  { axis, indices }: Slices,
  weight: number,
): { value: number; gradient: tf.Tensor5D } {
  const taken = [x, y].map((patches) => takeSlices(patches, axis, indices)) as [tf.Tensor5D, tf.Tensor5D];
  const { value, gradient } = loss.loss(...taken, own * weight);
  const atPatches = putSlices(gradient, y.shape, axis, indices);
  tf.dispose([...taken, gradient]);
  return { value, gradient: atPatches };
}

/** The sum; frees the parts. */
function addUp(parts: readonly tf.Tensor5D[]): tf.Tensor5D {
  const sum = tf.tidy(() => parts.reduce((total, part) => tf.add(total, part) as tf.Tensor5D));
  tf.dispose([...parts]);
  return sum;
}

/** x times a number; frees x. */
function times(x: tf.Tensor5D, factor: number): tf.Tensor5D {
  if (factor === 1) return x;
  const product = tf.mul(x, factor) as tf.Tensor5D;
  x.dispose();
  return product;
}
