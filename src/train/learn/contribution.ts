import * as tf from '@tensorflow/tfjs-core';
import type { QuantiserStatistics, RowRange } from '../../model/quantisers/quantiser';
import { latentsOf } from '../../model/supply';
import type { Weights } from '../../model/weights';
import type { Share } from '../data/sampler';
import type { RunConfig } from '../settings/config';
import { type LossName, lossNames } from '../settings/measures';

/**
 * What a rank adds to the one sum of a step. All passes of the step are added up in here, so nothing is sent between
 * them.
 */
export class Contribution {
  readonly gradients: ReadonlyMap<string, Float32Array>;
  /** The gradients where they stay on the backend: then `gradients` has none, and no other rank gets them. */
  readonly tensors: tf.NamedTensorMap = {};
  /** As `lossNames`, each times its share of the global batch. */
  readonly losses = new Float32Array(lossNames.length);

  /** Nothing yet. A rank that an uneven tail leaves without patches still takes part in the sum. */
  constructor(
    weights: Weights,
    /** Of the quantiser, over all latents. */
    readonly statistics: QuantiserStatistics,
    private readonly onBackend = false,
  ) {
    const summed = onBackend ? [] : [...weights];
    this.gradients = new Map(summed.map(([name, weight]) => [name, new Float32Array(weight.size)]));
  }

  /**
   * One pass over some patches; losses and gradients already times their share of the global batch.
   * @param added names of gradients that `addGradient` has had of this pass
   */
  add(
    losses: readonly number[],
    gradients: tf.NamedTensorMap,
    statistics: QuantiserStatistics,
    added: ReadonlySet<string> = new Set(),
  ): void {
    if (this.onBackend) this.addTensors(gradients);
    for (const name of this.gradients.keys()) if (!added.has(name)) this.addGradient(name, gradients[name]!);
    add(this.losses, losses);
    for (const [name, sum] of Object.entries(this.statistics)) add(sum, statistics[name]!);
  }

  /** One gradient of a pass, where it comes before the others. */
  addGradient(name: string, gradient: tf.Tensor): void {
    add(this.gradients.get(name)!, gradient.dataSync<'float32'>());
  }

  /** The losses by name. */
  get named(): Record<LossName, number> {
    const entries = lossNames.map((name, i) => [name, this.losses[i]!]);
    return Object.fromEntries(entries) as Record<LossName, number>;
  }

  /** Frees the gradients on the backend. */
  dispose(): void {
    tf.dispose(this.tensors);
  }

  private addTensors(gradients: tf.NamedTensorMap): void {
    for (const [name, gradient] of Object.entries(gradients)) {
      const before = this.tensors[name];
      this.tensors[name] = before ? tf.add(before, gradient) : tf.clone(gradient);
      before?.dispose();
    }
  }

  /** All but the gradients, in one fixed order, for the sum over ranks. */
  get figures(): Float32Array[] {
    return [this.losses, ...Object.values(this.statistics)];
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

/** Passes of the rank that has most: ranks that speak with each other within a pass must have as many. */
export function passCount({ total }: Share, batch: number, ranks: number): number {
  return Math.ceil(Math.ceil(total / ranks) / batch);
}

/** Which rows of the global batch's latents are those of a share or of a pass. */
export function rowsOf({ offset, total }: Pass, { patch, model, seed }: RunConfig): RowRange {
  const perPatch = latentsOf(model, patch);
  return { offset: offset * perPatch, total: total * perPatch, seed };
}

function add(sum: Float32Array, values: ArrayLike<number>): void {
  for (let i = 0; i < sum.length; i++) sum[i] = sum[i]! + values[i]!;
}
