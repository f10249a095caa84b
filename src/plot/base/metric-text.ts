import type { ConfidenceInterval } from '../../evaluate/confidence';
import { measures, measureTitle } from '../../train/settings/measures';

interface ShownMetric {
  readonly key: string;
  readonly label: string;
  /** After the point. */
  readonly digits: number;
  /** What the value is multiplied by before it is shown. */
  readonly scale?: number;
  /** Absent if neither is better. */
  readonly better?: 'higher' | 'lower';
}

/** Metrics as a reader calls them, in the order they are shown: each with one unit and one number of digits everywhere. */
export const shownMetrics = [
  { key: 'psnr', label: measureTitle('psnr'), digits: measures.psnr.digits, better: 'higher' },
  { key: 'ssim', label: measureTitle('ssim'), digits: measures.ssim.digits, better: 'higher' },
  { key: 'msSsim', label: 'MS-SSIM', digits: 4, better: 'higher' },
  { key: 'mae', label: 'MAE', digits: 2, better: 'lower' },
  { key: 'rmse', label: 'RMSE', digits: 2, better: 'lower' },
  { key: 'seamEnergy', label: 'seam energy', digits: 3, better: 'lower' },
  { key: 'perplexity', label: 'perplexity', digits: 1 },
  { key: 'usage', label: measureTitle('usage'), digits: measures.usage.digits, scale: measures.usage.times },
  { key: 'seconds', label: 's / volume', digits: 2, better: 'lower' },
] as const satisfies readonly ShownMetric[];

export type ShownMetricName = (typeof shownMetrics)[number]['key'];

/** The heading of a metric's column; errors are in Hounsfield units or in the file's own. */
export function metricLabel(key: ShownMetricName, units: 'HU' | 'file'): string {
  const { label } = metricOf(key);
  if (key !== 'mae' && key !== 'rmse') return label;
  return units === 'HU' ? `${label}, HU` : `${label}, file units`;
}

export function metricText(key: ShownMetricName, value: number | undefined): string {
  const { digits, scale = 1 } = metricOf(key);
  return value === undefined || Number.isNaN(value) ? '-' : (scale * value).toFixed(digits);
}

/** A mean, with its interval if there are enough values, and with their count if some values are missing. */
export function meanText(key: ShownMetricName, mean: ConfidenceInterval | undefined, of: number): string {
  if (!mean) return '-';
  const interval = Number.isNaN(mean.low)
    ? ''
    : ` [${metricText(key, mean.low)}, ${metricText(key, mean.high)}]`;
  return `${metricText(key, mean.mean)}${interval}${mean.count < of ? ` (of ${mean.count})` : ''}`;
}

function metricOf(key: ShownMetricName): ShownMetric {
  return shownMetrics.find((metric) => metric.key === key)!;
}
