/** Real values as int16 numbers, in which pages and notebooks get voxels: `value = slope * stored + intercept`. */
import { type Level, NO_VALUE } from '../../volumes-bundle';

export type Scaling = Pick<Level, 'slope' | 'intercept'>;

/** What decides how values are stored. */
export interface Survey {
  /** Least and greatest finite value; `low` is above `high` if there is none. */
  readonly low: number;
  readonly high: number;
  /** Every finite value is a whole number. */
  readonly isWhole: boolean;
}

/** Stored numbers go from minus this to plus this. */
const LARGEST = 32767;
/** HU that values are rounded to where they are no whole numbers: less than any display or scanner tells apart. */
const FINE_HU = 0.25;
const COARSE_HU = 2;
/** Grey levels of a stored preview without units; a screen shows 256 of a window. */
const COARSE_LEVELS = 511;
/** At least so many stored numbers lie between the 1st and the 99th percentile. */
const LEAST_STEPS = 2000;

/** Least and greatest finite value, and whether all are whole numbers. */
export function surveyOf(values: Float32Array): Survey {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  let isWhole = true;
  for (let n = 0; n < values.length; n++) {
    const value = values[n]!;
    // NaN is neither less nor greater than anything.
    if (value < low && value !== Number.NEGATIVE_INFINITY) low = value;
    if (value > high && value !== Number.POSITIVE_INFINITY) high = value;
    if (isWhole && Math.trunc(value) !== value && !Number.isNaN(value)) isWhole = false;
  }
  return { low, high, isWhole };
}

/** The survey of two parts together. */
export function joined(a: Survey, b: Survey): Survey {
  return {
    low: Math.min(a.low, b.low),
    high: Math.max(a.high, b.high),
    isWhole: a.isWhole && b.isWhole,
  };
}

/**
 * How voxels at full resolution are stored. Whole numbers that span at most 65,534 are stored exactly. Other Hounsfield
 * units are rounded to quarters, and all else to 1/65,534 of its range. If a few voxels stretch the range so far that the
 * others would share a few numbers, the range is cut: the voxels beyond it get its ends.
 *
 * @param sample values of the volume or of a coarser copy
 */
export function fineScaling(survey: Survey, units: 'HU' | '', sample: Float32Array): Scaling {
  if (survey.isWhole && survey.high - survey.low <= 2 * LARGEST) return centred(survey, 1);
  const { low, high } = useful(survey, sample);
  const finest = finestStep(low, high);
  return centred({ low, high }, units === 'HU' ? Math.max(FINE_HU, finest) : finest);
}

/** How the voxels of a preview are stored: in fewer steps, which makes it smaller. */
export function coarseScaling(survey: Survey, units: 'HU' | '', sample: Float32Array): Scaling {
  const { low, high } = useful(survey, sample);
  const finest = finestStep(low, high);
  if (units === 'HU') return centred({ low, high }, Math.max(COARSE_HU, finest));
  const range = sampleRange(sample) ?? [low, high];
  return centred({ low, high }, Math.max((range[1] - range[0]) / COARSE_LEVELS, finest));
}

/** Values as stored numbers. NaN and infinities become NO_VALUE. */
export function store(values: Float32Array, { slope, intercept }: Scaling): Int16Array {
  const stored = new Int16Array(values.length);
  for (let n = 0; n < values.length; n++) {
    const value = values[n]!;
    if (value - value !== 0) stored[n] = NO_VALUE;
    else {
      const number = Math.round((value - intercept) / slope);
      stored[n] = Math.max(-LARGEST, Math.min(number, LARGEST));
    }
  }
  return stored;
}

/** The smallest step with which stored numbers reach over a range. */
function finestStep(low: number, high: number): number {
  return low < high ? (high - low) / (2 * LARGEST) : 1;
}

/** The intercept is 0 if all numbers fit with it: then 0 stays 0. Otherwise the middle of the range has number 0. */
function centred({ low, high }: Pick<Survey, 'low' | 'high'>, slope: number): Scaling {
  if (low > high) return { slope: 1, intercept: 0 };
  if (low === high) return { slope: 1, intercept: low };
  const fits = Math.max(Math.abs(low), Math.abs(high)) <= LARGEST * slope;
  return { slope, intercept: fits ? 0 : slope * Math.round((low + high) / 2 / slope) + 0 };
}

/** The range that stored numbers cover: the whole one, or, if outliers stretch it, a part around most voxels. */
function useful({ low, high }: Survey, sample: Float32Array): { low: number; high: number } {
  const range = sampleRange(sample);
  if (!range) return { low, high };
  const most = ((range[1] - range[0]) * 2 * LARGEST) / LEAST_STEPS;
  if (most === 0 || high - low <= most) return { low, high };
  const middle = (range[0] + range[1]) / 2;
  return { low: Math.max(low, middle - most / 2), high: Math.min(high, middle + most / 2) };
}

/** Some 50,000 of the values, evenly spread. */
export function thinned(values: Float32Array): Float32Array {
  const step = Math.max(1, Math.floor(values.length / 50_000));
  return Float32Array.from({ length: Math.ceil(values.length / step) }, (_, n) => values[n * step]!);
}

/** The 1st and the 99th percentile of finite values; undefined if there is none. */
function sampleRange(sample: Float32Array): readonly [number, number] | undefined {
  const sorted = thinned(sample).filter(Number.isFinite).sort();
  const at = (fraction: number): number => sorted[Math.round(fraction * (sorted.length - 1))]!;
  return sorted.length > 0 ? [at(0.01), at(0.99)] : undefined;
}
