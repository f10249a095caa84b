import type { ConfidenceInterval } from '../evaluate/confidence';

interface ShownMetric {
  readonly key: string;
  readonly label: string;
  /** After the point. */
  readonly digits: number;
  /** What the value is multiplied by before it is shown. */
  readonly scale?: number;
}

/** Metrics as a reader calls them, in the order they are shown: each with one unit and one number of digits everywhere. */
export const shownMetrics = [
  { key: 'psnr', label: 'PSNR, dB', digits: 2 },
  { key: 'ssim', label: 'SSIM', digits: 4 },
  { key: 'msSsim', label: 'MS-SSIM', digits: 4 },
  { key: 'mae', label: 'MAE', digits: 2 },
  { key: 'rmse', label: 'RMSE', digits: 2 },
  { key: 'seamEnergy', label: 'seam energy', digits: 3 },
  { key: 'perplexity', label: 'perplexity', digits: 1 },
  { key: 'usage', label: 'codes in use, %', digits: 1, scale: 100 },
  { key: 'seconds', label: 's / volume', digits: 2 },
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

/** A mean, with its interval where there are enough values for one, and with their count where some lack a value. */
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
