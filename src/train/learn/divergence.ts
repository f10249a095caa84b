/** Of the loss's moving average: about the last fifty steps. */
const DECAY = 0.98;
/** Steps before anything is reported: the average needs some values first. */
const PATIENCE = 50;

export interface DivergenceState {
  readonly seen: number;
  readonly smoothed: number;
  readonly lowest: number;
}

/**
 * Watches a loss that is equal on all ranks, so that all of them stop at the same step. It reports a loss whose moving
 * average has risen to many times its lowest.
 */
export class DivergenceWatch {
  private seen = 0;
  private smoothed = 0;
  private lowest = Number.POSITIVE_INFINITY;

  /** @param factor how many times its lowest the smoothed loss may be; 0 sets no limit */
  constructor(private readonly factor: number) {}

  /** Takes in the loss of a step. Returns what is wrong, if anything. */
  see(loss: number): string | undefined {
    this.seen++;
    this.smoothed = DECAY * this.smoothed + (1 - DECAY) * loss;
    const average = this.smoothed / (1 - DECAY ** this.seen);
    if (this.seen <= PATIENCE) return undefined;
    this.lowest = Math.min(this.lowest, average);
    if (this.factor === 0 || average <= this.factor * this.lowest) return undefined;
    const times = (average / this.lowest).toFixed(1);
    return `the reconstruction loss, smoothed, is ${average.toPrecision(3)}: ${times} times its lowest`;
  }

  get state(): DivergenceState {
    const { seen, smoothed, lowest } = this;
    // JSON has no infinity.
    return { seen, smoothed, lowest: Number.isFinite(lowest) ? lowest : -1 };
  }

  load({ seen, smoothed, lowest }: DivergenceState): void {
    this.seen = seen;
    this.smoothed = smoothed;
    this.lowest = lowest < 0 ? Number.POSITIVE_INFINITY : lowest;
  }
}
