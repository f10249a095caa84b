import { adversarialFactor, type GanConfig, hasDiscriminators } from '../../model/discriminators/config';
import type { RunConfig } from '../settings/config';
import { type BestMetric, measures } from '../settings/measures';

/** A checkpoint worth keeping for what it reached. */
export interface Ranked {
  readonly step: number;
  readonly value: number;
}

/** What a checkpoint keeps of the ranking. */
export interface RankingState {
  readonly best?: (Ranked & { readonly metric: BestMetric }) | undefined;
  /** The best so far, the best first. */
  readonly ranking?: readonly Ranked[];
  /** Set where `patience` ended the run at this step. */
  readonly stalled?: boolean;
  /** Validations before this step no longer count for `patience`: the user has resumed the run there. */
  readonly patienceFrom?: number;
}

/** The best validations of a run so far. All ranks have the same figures and come to the same ranking. */
export class Ranking {
  private ranked: readonly Ranked[];
  /** Whether `patience` ends the run. */
  stalled: boolean;
  private readonly patienceFrom: number | undefined;

  /**
   * @param resumed the checkpoint that the run goes on from
   * @param byHand whether the user has resumed the run there: a stalled run then goes on
   */
  constructor(
    private readonly config: RunConfig,
    resumed?: RankingState & { readonly step: number; readonly config: RunConfig },
    byHand = false,
  ) {
    // Values of another measure cannot be ranked with these.
    const comparable = resumed?.config.bestMetric === config.bestMetric;
    const before = resumed?.ranking ?? (resumed?.best ? [resumed.best] : []);
    this.ranked = comparable ? before : [];
    this.stalled = resumed?.stalled === true && !byHand;
    this.patienceFrom = resumed?.stalled && byHand ? resumed.step : resumed?.patienceFrom;
  }

  /** Takes the validation of a step. Returns whether its checkpoint is among the best. */
  add(step: number, value = Number.NaN): boolean {
    this.ranked = rankedWith(this.ranked, { step, value }, this.config);
    this.stalled = hasStalled(this.ranked, step, this.config, this.patienceFrom);
    return this.ranked.some((ranked) => ranked.step === step);
  }

  get best(): RankingState['best'] {
    return this.ranked[0] && { metric: this.config.bestMetric, ...this.ranked[0] };
  }

  get state(): RankingState {
    const { best, ranked: ranking, stalled, patienceFrom } = this;
    return {
      best,
      ranking,
      ...(stalled && { stalled }),
      ...(patienceFrom !== undefined && { patienceFrom }),
    };
  }
}

/**
 * How much of the objective a checkpoint was trained with: 0 before the discriminators join, 1 while their weight
 * grows, 2 after that. A run without discriminators stays at 0.
 * @param step optimiser steps done
 */
export function phaseOf(gan: GanConfig, step: number): 0 | 1 | 2 {
  const factor = hasDiscriminators(gan) ? adversarialFactor(gan, step - 1) : 0;
  return factor === 0 ? 0 : factor < 1 ? 1 : 2;
}

/**
 * Whether `patience` validations in a row have brought nothing better. Never before discriminators have their full
 * weight: the run is not yet in its last phase.
 * @param from validations up to this step do not count: there the run had stalled, and was resumed
 */
export function hasStalled(
  ranking: readonly Ranked[],
  step: number,
  { patience, validateEvery, gan }: Pick<RunConfig, 'patience' | 'validateEvery' | 'gan'>,
  from = 0,
): boolean {
  if (patience === 0 || validateEvery === 0 || !ranking[0]) return false;
  if (hasDiscriminators(gan) && phaseOf(gan, step) < 2) return false;
  return (step - Math.max(from, ranking[0].step)) / validateEvery >= patience;
}

/**
 * The best checkpoints so far, the best first. A later one that only equals an earlier one does not displace it. Those
 * of an earlier phase leave: discriminators sharpen at the cost of PSNR, so the ranking would keep a model from before.
 */
export function rankedWith(
  ranking: readonly Ranked[],
  found: Ranked,
  { bestMetric, keepBest, gan }: Pick<RunConfig, 'bestMetric' | 'keepBest' | 'gan'>,
): Ranked[] {
  const sign = measures[bestMetric].better === 'higher' ? 1 : -1;
  // NaN has no rank. JSON has no infinity.
  if (Number.isNaN(found.value)) return [...ranking];
  const value = Math.max(-Number.MAX_VALUE, Math.min(Number.MAX_VALUE, found.value));
  const better = (a: Ranked, b: Ranked) => sign * (b.value - a.value) || a.step - b.step;
  const phase = phaseOf(gan, found.step);
  const rivals = ranking.filter(({ step }) => step !== found.step && phaseOf(gan, step) === phase);
  return [...rivals, { ...found, value }].sort(better).slice(0, keepBest);
}
