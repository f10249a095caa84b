import { measures, measureTitle } from '../train/settings/measures';
import type { ComparisonRow } from './compare';
import { type ConfidenceInterval, type ConfidenceOptions, confidenceInterval } from './confidence';

export type MetricName = Exclude<keyof ComparisonRow, 'name'>;

/** A metric as a reader calls it, with one unit and one number of digits everywhere. */
export interface ShownMetric {
  readonly key: MetricName;
  readonly label: string;
  /** After the point. */
  readonly digits: number;
  /** What the value is multiplied by before it is shown. */
  readonly scale?: number;
  /** Absent if neither is better. */
  readonly better?: 'higher' | 'lower';
}

/** All metrics, in the order they are shown. */
export const shownMetrics: readonly ShownMetric[] = [
  { key: 'psnr', label: measureTitle('psnr'), digits: measures.psnr.digits, better: 'higher' },
  { key: 'ssim', label: measureTitle('ssim'), digits: measures.ssim.digits, better: 'higher' },
  { key: 'msSsim', label: 'MS-SSIM', digits: 4, better: 'higher' },
  { key: 'mae', label: measures.mae.label, digits: measures.mae.digits, better: 'lower' },
  { key: 'rmse', label: 'RMSE', digits: 2, better: 'lower' },
  { key: 'seamEnergy', label: 'seam energy', digits: 3, better: 'lower' },
  { key: 'perplexity', label: measureTitle('perplexity'), digits: measures.perplexity.digits },
  { key: 'usage', label: measureTitle('usage'), digits: measures.usage.digits, scale: measures.usage.times },
  { key: 'seconds', label: 's / volume', digits: 2, better: 'lower' },
];

/** Some metrics by name, as of a volume. */
export type MetricRow = Pick<ComparisonRow, 'name'> & Partial<ComparisonRow>;

/** The mean of every metric over the volumes, with its confidence interval. */
export interface AggregateRow {
  /** The window. */
  readonly name: string;
  /** Each over the volumes with a finite value, with their `count`. */
  readonly metrics: Readonly<Partial<Record<MetricName, ConfidenceInterval>>>;
}

/**
 * Means over volumes by the rows' names, each volume counting once, with bootstrap confidence intervals. A volume without
 * a finite value of a metric (too thin for SSIM, an infinite PSNR) does not count in that mean.
 */
export function aggregateRows(rows: readonly MetricRow[], options: ConfidenceOptions = {}): AggregateRow[] {
  return grouped(rows, ({ name }) => name).map((own) => ({
    name: own[0]!.name,
    metrics: overRows(own, (values) => confidenceInterval(values, options)),
  }));
}

/** The rows of each key, in the order in which the keys come first. */
export function grouped<T>(rows: readonly T[], keyOf: (row: T) => string): T[][] {
  const groups = new Map<string, T[]>();
  for (const row of rows) groups.set(keyOf(row), [...(groups.get(keyOf(row)) ?? []), row]);
  return [...groups.values()];
}

/** Applies `make` to the finite values of each metric that has any. */
export function overRows<T>(rows: readonly MetricRow[], make: (values: readonly number[]) => T) {
  const entries = shownMetrics.flatMap(({ key }) => {
    const values = rows.flatMap((row) => row[key] ?? []).filter(Number.isFinite);
    return values.length > 0 ? [[key, make(values)] as const] : [];
  });
  return Object.fromEntries(entries) as Partial<Record<MetricName, T>>;
}
