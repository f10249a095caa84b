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
  if (!Number.isInteger(resamples) || resamples < 1)
    throw new InvalidArgument('resamples', 'a positive integer', resamples);
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
  const [low, high] = [quantile(means, (1 - level) / 2), quantile(means, (1 + level) / 2)];
  return { mean, low, high, count: values.length };
}

/** Linear between neighbours, as numpy.quantile. */
function quantile(sorted: Float64Array, part: number): number {
  const place = part * (sorted.length - 1);
  const below = Math.floor(place);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below]! + (place - below) * (sorted[above]! - sorted[below]!);
}

/** How much higher one method's values are than another's, patient by patient. */
export interface PairedDifference extends ConfidenceInterval {
  /**
   * Two-sided p-value of the sign-flip permutation test: how often a mean difference at least this large occurs if the
   * sign of each patient's difference is random. With n patients it cannot be below 2 / 2^n.
   */
  readonly p: number;
  /** Whether all 2^n sign patterns were counted, or a sample of them. */
  readonly exact: boolean;
  /** Patients with a higher value by the first method. */
  readonly wins: number;
}

/** Up to this many patients, every pattern of signs is counted. */
const MOST_EXACT = 16;
const SAMPLES = 20_000;

/**
 * Compares two methods on the same patients: mean of `a - b`, its bootstrap interval over patients, and the sign-flip
 * permutation test (Fisher 1935), which assumes no distribution.
 *
 * @param a one value per patient
 * @param b the other method's, in the same order
 * @throws InvalidArgument if the lengths differ or a value is not finite
 */
export function pairedDifference(
  a: readonly number[],
  b: readonly number[],
  options: ConfidenceOptions = {},
): PairedDifference {
  if (a.length !== b.length) throw new InvalidArgument('b', `${a.length} values, one per patient`, b.length);
  const differences = a.map((value, i) => value - b[i]!);
  const interval = confidenceInterval(differences, options);
  const exact = differences.length <= MOST_EXACT;
  const p = exact ? exactP(differences) : sampledP(differences, options.seed ?? 0);
  return { ...interval, p, exact, wins: differences.filter((difference) => difference > 0).length };
}

function exactP(differences: readonly number[]): number {
  const patterns = 2 ** differences.length;
  let extreme = 0;
  for (let pattern = 0; pattern < patterns; pattern++)
    if (isExtreme(differences, (i) => (pattern & (1 << i)) !== 0)) extreme++;
  return extreme / patterns;
}

/** Counts the pattern seen itself too, so that the estimate is never 0 (Phipson and Smyth 2010). */
function sampledP(differences: readonly number[], seed: number): number {
  const random = new Random(seed, 'sign flips');
  let extreme = 1;
  for (let n = 0; n < SAMPLES; n++) if (isExtreme(differences, () => random.below(2) === 1)) extreme++;
  return extreme / (SAMPLES + 1);
}

function isExtreme(differences: readonly number[], flipped: (i: number) => boolean): boolean {
  const seen = differences.reduce((sum, value) => sum + value, 0);
  const sum = differences.reduce((total, value, i) => total + (flipped(i) ? -value : value), 0);
  const rounding = 1e-12 * differences.reduce((total, value) => total + Math.abs(value), 0);
  return Math.abs(sum) >= Math.abs(seen) - rounding;
}
