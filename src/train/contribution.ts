import * as tf from '@tensorflow/tfjs-core';
import type { VqGan } from '../model/vqgan';
import type { Share } from './sampler';

/**
 * What a rank adds to the one sum of a step. All passes of the step are added up in here, so nothing is sent between
 * them.
 */
export class Contribution {
  readonly gradients: ReadonlyMap<string, Float32Array>;
  /** total, reconstruction, commitment, each times its share of the global batch */
  readonly losses = new Float32Array(3);
  readonly counts: Float32Array;
  readonly sums: Float32Array;
  readonly candidates: Float32Array;

  /** Nothing yet. A rank that an uneven tail leaves without patches still takes part in the sum. */
  constructor(private readonly model: VqGan) {
    const { codes, codeDim } = model.codebook;
    this.gradients = new Map(
      [...model.weights].map(([name, weight]) => [name, new Float32Array(weight.size)]),
    );
    this.counts = new Float32Array(codes);
    this.sums = new Float32Array(codes * codeDim);
    this.candidates = new Float32Array(codes * codeDim);
  }

  /** One pass over some patches of the global batch, [n, d, h, w, 1]. */
  add(x: tf.Tensor5D, pass: Pass, seed: number, step: number): void {
    const { losses, gradients, latents, codes } = this.model.lossAndGradients(x);
    const weight = pass.patches.length / pass.total;
    for (const [name, sum] of this.gradients) addScaled(sum, gradients[name]!.dataSync<'float32'>(), weight);
    addScaled(this.losses, [losses.total, losses.reconstruction, losses.commitment], weight);
    const rows = rowsOf(latents, pass, seed);
    const statistics = this.model.codebook.statistics(latents, codes, { ...rows, step });
    addScaled(this.counts, statistics.counts, 1);
    addScaled(this.sums, statistics.sums, 1);
    addScaled(this.candidates, statistics.candidates, 1);
    tf.dispose([gradients, latents, codes]);
  }

  /** In one fixed order, for the sum over ranks. */
  get arrays(): Float32Array[] {
    return [...this.gradients.values(), this.losses, this.counts, this.sums, this.candidates];
  }
}

/** The patches of one pass through the model: a part of a rank's share. */
export type Pass = Pick<Share, 'patches' | 'offset' | 'total'>;

/** A share in passes of at most `batch` patches. */
export function passesOf({ patches, offset, total }: Share, batch: number): Pass[] {
  return Array.from({ length: Math.ceil(patches.length / batch) }, (_, i) => ({
    patches: patches.slice(i * batch, (i + 1) * batch),
    offset: offset + i * batch,
    total,
  }));
}

/** Which rows of the global batch's latents these are. */
export function rowsOf(latents: tf.Tensor2D, { patches, offset, total }: Pass, seed: number) {
  const perPatch = latents.shape[0] / patches.length;
  return { offset: offset * perPatch, total: total * perPatch, seed };
}

function addScaled(sum: Float32Array, values: ArrayLike<number>, factor: number): void {
  for (let i = 0; i < sum.length; i++) sum[i] = sum[i]! + factor * values[i]!;
}
