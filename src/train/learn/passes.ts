import type { QuantiserStatistics, RowRange } from '../../model/quantisers/quantiser';
import { latentsOf } from '../../model/supply';
import type { Share } from '../data/sampler';
import type { RunConfig } from '../settings/config';
import { type LossName, lossNames } from '../settings/measures';

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

/** What the passes of a step add up to, beside gradients. All of it is summed over the ranks. */
export class StepSum {
  /** As `lossNames`, each times its share of the global batch. */
  private readonly sums = new Float32Array(lossNames.length);

  /** @param statistics of the quantiser, over all latents */
  constructor(readonly statistics: QuantiserStatistics) {}

  /** Adds one pass; its losses are already times their share of the global batch. */
  add(losses: Readonly<Record<LossName, number>>, statistics: QuantiserStatistics): void {
    for (const [i, name] of lossNames.entries()) this.sums[i] = this.sums[i]! + losses[name];
    for (const [name, sum] of Object.entries(this.statistics))
      for (let i = 0; i < sum.length; i++) sum[i] = sum[i]! + statistics[name]![i]!;
  }

  get losses(): Record<LossName, number> {
    const entries = lossNames.map((name, i) => [name, this.sums[i]!]);
    return Object.fromEntries(entries) as Record<LossName, number>;
  }

  /** Everything in one fixed order. */
  get arrays(): Float32Array[] {
    return [this.sums, ...Object.values(this.statistics)];
  }
}
