/** Metrics that could not be measured: which ones, of which volumes, and why. */
import { fitsMsSsim } from '../fidelity/ms-ssim';
import { fitsSsim, TAPS } from '../fidelity/ssim';
import type { Volume } from '../volume/volume';
import type { ComparisonRow } from './compare';
import { grouped, type MetricName, shownMetrics } from './metrics';

/** Metrics that a volume lacks, so that it is in no mean of them. */
export interface MissingMetrics {
  readonly metrics: readonly MetricName[];
  /** The candidate that lacks them. Absent if the reference is the cause, so that all candidates do. */
  readonly candidate?: string;
  readonly reason: string;
  /** What the reason means for this volume, such as `24 x 20 x 2 voxels`. */
  readonly detail?: string;
}

/** The same in a cohort. */
export interface MissingInVolume extends MissingMetrics {
  readonly volume: string;
}

/** Metrics that many volumes lack. Their absence is worth a note only where others have them. */
const optional: readonly MetricName[] = ['msSsim', 'seamEnergy'];

/** What the rows of one comparison lack. `unknown` counts the reference's NaN voxels, `patches` those of its grid. */
export function missingMetrics(
  { shape, data }: Volume,
  rows: readonly ComparisonRow[],
  how: { readonly unknown: number; readonly ignoreNaN: boolean; readonly patches: number | undefined },
): MissingMetrics[] {
  const { unknown, ignoreNaN, patches } = how;
  const detail = `${shape.join(' x ')} voxels`;
  const needs = (voxels: number) => `it needs ${voxels} voxels on every axis`;
  const missing: MissingMetrics[] = [];
  const [hasSsim, hasMsSsim, hasSeams] = [fitsSsim(shape), fitsMsSsim(shape), patches !== 1];
  if (!hasSsim) missing.push({ metrics: ['ssim'], reason: needs(TAPS), detail });
  if (!hasMsSsim) missing.push({ metrics: ['msSsim'], reason: needs(TAPS * 16), detail });
  if (!hasSeams)
    missing.push({
      metrics: ['seamEnergy'],
      reason: 'one patch holds all of it, so there is no seam',
      detail,
    });

  const similarity: MetricName[] = [
    ...(hasSsim ? ['ssim' as const] : []),
    ...(hasMsSsim ? ['msSsim' as const] : []),
  ];
  const ofVoxels: MetricName[] = ['psnr', ...similarity, 'mae', 'rmse'];
  const all: MetricName[] = [...ofVoxels, ...(patches && hasSeams ? ['seamEnergy' as const] : [])];
  if (unknown === data.length) return [...missing, { metrics: all, reason: 'every voxel is NaN' }];
  if (unknown > 0 && !ignoreNaN) {
    const reason = 'NaN voxels, which ignoreNaN (--ignore-nan) leaves out';
    return [...missing, { metrics: all, reason, detail: `${unknown} of ${data.length} voxels` }];
  }
  for (const { name: candidate, psnr, ssim } of rows) {
    if (psnr === Number.POSITIVE_INFINITY)
      missing.push({ metrics: ['psnr'], candidate, reason: 'it equals the original, so it is infinite' });
    else if (Number.isNaN(psnr))
      missing.push({ metrics: ofVoxels, candidate, reason: 'it has NaN where the original has values' });
    else if (hasSsim && Number.isNaN(ssim))
      missing.push({ metrics: similarity, candidate, reason: 'NaN is in each of its windows' });
  }
  return missing;
}

/** Notes on what one comparison lacks. */
export function notesOnMissing(missing: readonly MissingMetrics[]): string[] {
  const worth = missing.filter(({ metrics }) => metrics.some((key) => !optional.includes(key)));
  return worth.map(({ metrics, candidate, reason, detail }) => {
    const of = candidate === undefined ? '' : `${candidate}: `;
    return `${of}no ${labels(metrics)}${detail ? ` (${detail})` : ''}: ${reason}`;
  });
}

/** Names in a note. The rest is counted; the rows show who lacks a metric. */
const MOST_NAMES = 12;

/** Notes on what the volumes of a cohort lack, one for each reason. `measured` are the metrics that any volume has. */
export function notesOnCohort(
  missing: readonly MissingInVolume[],
  measured: ReadonlySet<MetricName>,
): string[] {
  const worth = missing.flatMap((one) => {
    const metrics = one.metrics.filter((key) => measured.has(key) || !optional.includes(key));
    return metrics.length > 0 ? [{ ...one, metrics }] : [];
  });
  return grouped(worth, ({ metrics, reason }) => JSON.stringify([metrics, reason])).map((own) => {
    const { metrics, reason } = own[0]!;
    const names = new Set(
      own.map(({ volume, candidate, detail }) => {
        const what = [candidate, detail].filter((part) => part !== undefined).join(', ');
        return what === '' ? volume : `${volume} (${what})`;
      }),
    );
    return `no ${labels(metrics)} of ${listed([...names])}: ${reason}`;
  });
}

/** The first names of a list, and how many more there are. */
export function listed(names: readonly string[]): string {
  const rest = names.length > MOST_NAMES ? ` and ${names.length - MOST_NAMES} more` : '';
  return `${names.slice(0, MOST_NAMES).join(', ')}${rest}`;
}

function labels(metrics: readonly MetricName[]): string {
  const shown = shownMetrics.filter(({ key }) => metrics.includes(key));
  return shown.map(({ label }) => label.replace(/, dB$/, '')).join(', ');
}
