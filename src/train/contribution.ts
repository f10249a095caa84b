import type * as tf from '@tensorflow/tfjs-core';
import type { Codebook, CodebookStatistics } from '../model/codebook';
import type { Weights } from '../model/weights';
import type { Share } from './sampler';

/** The losses of a step, in the order in which they are summed. */
export const lossNames = ['loss', 'reconstruction', 'commitment'] as const;

/**
 * What a rank adds to the one sum of a step. All passes of the step are added up in here, so nothing is sent between
 * them.
 */
export class Contribution {
  readonly gradients: ReadonlyMap<string, Float32Array>;
  /** As `lossNames`, each times its share of the global batch. */
  readonly losses = new Float32Array(lossNames.length);
  readonly counts: Float32Array;
  readonly sums: Float32Array;
  readonly candidates: Float32Array;

  /** Nothing yet. A rank that an uneven tail leaves without patches still takes part in the sum. */
  constructor(weights: Weights, { codes, codeDim }: Codebook) {
    this.gradients = new Map([...weights].map(([name, weight]) => [name, new Float32Array(weight.size)]));
    this.counts = new Float32Array(codes);
    this.sums = new Float32Array(codes * codeDim);
    this.candidates = new Float32Array(codes * codeDim);
  }

  /** One pass over some patches; losses and gradients already times their share of the global batch. */
  add(losses: readonly number[], gradients: tf.NamedTensorMap, statistics: CodebookStatistics): void {
    for (const [name, sum] of this.gradients) add(sum, gradients[name]!.dataSync<'float32'>());
    add(this.losses, losses);
    add(this.counts, statistics.counts);
    add(this.sums, statistics.sums);
    add(this.candidates, statistics.candidates);
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

function add(sum: Float32Array, values: ArrayLike<number>): void {
  for (let i = 0; i < sum.length; i++) sum[i] = sum[i]! + values[i]!;
}
