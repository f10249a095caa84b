import type { ConfidenceInterval } from '../../evaluate/confidence';
import { type MetricName, type ShownMetric, shownMetrics } from '../../evaluate/metrics';

/** The heading of a metric's column; errors are in Hounsfield units or in the file's own. */
export function metricLabel(key: MetricName, units: 'HU' | 'file'): string {
  const { label } = metricOf(key);
  if (key !== 'mae' && key !== 'rmse') return label;
  return units === 'HU' ? `${label}, HU` : `${label}, file units`;
}

/** '-' for what was not measured: JSON has `null` for it. */
export function metricText(key: MetricName, value: number | null | undefined): string {
  const { digits, scale = 1 } = metricOf(key);
  if (Number.isNaN(value ?? Number.NaN)) return '-';
  return value === Number.POSITIVE_INFINITY ? '∞' : (scale * value!).toFixed(digits); // the PSNR of equal volumes
}

/** A mean, with its interval if there are enough values, and with their count if some values are missing. */
export function meanText(key: MetricName, mean: ConfidenceInterval | undefined, of: number): string {
  if (!mean) return '-';
  const interval = Number.isNaN(mean.low)
    ? ''
    : ` [${metricText(key, mean.low)}, ${metricText(key, mean.high)}]`;
  return `${metricText(key, mean.mean)}${interval}${mean.count < of ? ` (n = ${mean.count})` : ''}`;
}

function metricOf(key: MetricName): ShownMetric {
  return shownMetrics.find((metric) => metric.key === key)!;
}
