import { InvalidArgument } from '../errors';
import { Random } from '../random';
import { type ConfidenceInterval, type ConfidenceOptions, confidenceInterval } from './confidence';

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
