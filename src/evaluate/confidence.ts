import { InvalidArgument } from '../errors';
import { Random } from '../random';

export interface ConfidenceOptions {
  /** Part of the resampled means that the interval holds; default 0.95. */
  readonly level?: number;
  /** Default 2,000. */
  readonly resamples?: number;
  readonly seed?: number;
}

/** A mean over volumes and its bootstrap interval. */
export interface ConfidenceInterval {
  readonly mean: number;
  /** NaN, like `high`, if there are too few volumes for an interval of that level. */
  readonly low: number;
  readonly high: number;
  /** Number of volumes. */
  readonly count: number;
}

/**
 * The mean of a metric over volumes (one value per volume, so that large volumes do not count more) with its percentile
 * bootstrap interval (Efron 1979). The same seed gives the same interval. Too few values have no interval: even their
 * least and greatest hold the median only with probability 1 - 2 / 2^n, so 95 % needs 6.
 *
 * @throws InvalidArgument if there is no value or one is not finite: an infinite PSNR has no mean
 */
export function confidenceInterval(
  values: readonly number[],
  options: ConfidenceOptions = {},
): ConfidenceInterval {
  const { level = 0.95, resamples = 2000, seed = 0 } = options;
  if (values.length === 0) throw new InvalidArgument('values', 'at least one value', values);
  const bad = values.find((value) => !Number.isFinite(value));
  if (bad !== undefined) throw new InvalidArgument('values', 'finite numbers', bad);
  if (!(level > 0 && level < 1)) throw new InvalidArgument('level', 'a number between 0 and 1', level);
  if (!Number.isInteger(resamples) || resamples < 1) {
    throw new InvalidArgument('resamples', 'a positive integer', resamples);
  }
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  if (2 / 2 ** values.length > 1 - level)
    return { mean, low: Number.NaN, high: Number.NaN, count: values.length };
  const random = new Random(seed, 'bootstrap');
  const means = new Float64Array(resamples).map(() => {
    let sum = 0;
    for (let i = 0; i < values.length; i++) sum += values[random.below(values.length)]!;
    return sum / values.length;
  });
  means.sort();
  return {
    mean,
    low: quantile(means, (1 - level) / 2),
    high: quantile(means, (1 + level) / 2),
    count: values.length,
  };
}

/** Linear between neighbours, as numpy.quantile. */
function quantile(sorted: Float64Array, part: number): number {
  const place = part * (sorted.length - 1);
  const below = Math.floor(place);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below]! + (place - below) * (sorted[above]! - sorted[below]!);
}
