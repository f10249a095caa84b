import { InvalidArgument, UnreadableFile } from '../errors';
import { perplexity, usage } from '../model/codebook';
import type { WindowName } from '../patch/windows';
import { readVolume } from '../volume/read';
import type { LeftOut } from '../volume/store/format';
import { readCohort } from './cohort';
import { type ComparisonRow, compareVolumes } from './compare';
import { type ConfidenceInterval, type ConfidenceOptions, confidenceInterval } from './confidence';
import { type ModelSource, type ReconstructOptions, reconstructWindows } from './reconstruct';

export interface EvaluateOptions extends ReconstructOptions, ConfidenceOptions {
  /** Default `linear` and `gaussian`. */
  readonly windows?: readonly WindowName[];
  /** Turn each volume to RAS+ first. */
  readonly canonical?: boolean;
  /** Which volume of a 4D file, and which component of complex or colour voxels, as in `readVolume`. */
  readonly index?: number;
  readonly channel?: string;
}

/** How far one window's reconstruction of one file is from it. */
export interface EvaluatedRow extends ComparisonRow {
  readonly file: string;
}

export type MetricName = Exclude<keyof ComparisonRow, 'name'>;

/** The mean of every metric over the volumes, with its confidence interval. */
export interface AggregateRow {
  /** The window. */
  readonly name: string;
  /** Only metrics that every volume has a finite value of. */
  readonly metrics: Readonly<Partial<Record<MetricName, ConfidenceInterval>>>;
}

/** What an evaluation found: a row for each volume and window, and one for each window over all volumes. */
export interface Evaluation {
  readonly rows: readonly EvaluatedRow[];
  readonly aggregate: readonly AggregateRow[];
  /** exp(entropy) of the codes of all volumes together. */
  readonly perplexity: number;
  /** Distinct codes that the volumes used between them, over those there are. */
  readonly usage: number;
  /** Files that could not be read, and why; they count in nothing else. */
  readonly leftOut: readonly LeftOut[];
}

/**
 * Reconstructs NIfTI files with one or more windows and measures the results, one file in memory at a time. A file
 * that cannot be read is left out with its reason. Errors are those of `reconstructWindows`; UnreadableFile where no
 * file could be read.
 */
export async function evaluateFiles(
  model: ModelSource,
  files: readonly string[],
  options: EvaluateOptions = {},
): Promise<Evaluation> {
  const { windows = ['linear', 'gaussian'], canonical, index, channel, signal, intensity } = options;
  if (files.length === 0) throw new InvalidArgument('files', 'at least one NIfTI file', []);
  const rows: EvaluatedRow[] = [];
  const leftOut: LeftOut[] = [];
  const counts: number[] = [];
  const sources = files.map((file) => ({
    file,
    read: () => readVolume(file, { canonical, index, channel, signal }),
  }));
  for await (const { source, volume, onProgress } of readCohort(sources, leftOut, options.onProgress)) {
    const candidates = await reconstructWindows(model, volume, { ...options, windows, onProgress });
    // One pass made all windows, so any of them has the volume's codes.
    candidates[windows[0]!].codeCounts.forEach((count, code) => {
      counts[code] = (counts[code] ?? 0) + count;
    });
    const { metrics } = compareVolumes(volume, candidates, { intensity });
    rows.push(...metrics.map((row) => ({ file: source.file, ...row })));
  }
  const [first] = leftOut;
  if (first && rows.length === 0)
    throw new UnreadableFile(first.file, 'at least one volume that can be read', first.reason);
  const aggregate = aggregateRows(rows, options);
  return { rows, aggregate, leftOut, perplexity: perplexity(counts), usage: usage(counts) };
}

/** Means over volumes, each volume counting once, with bootstrap confidence intervals, by the rows' names. */
export function aggregateRows(
  rows: readonly ComparisonRow[],
  { level, resamples, seed }: ConfidenceOptions = {},
): AggregateRow[] {
  return [...new Set(rows.map((row) => row.name))].map((name) => {
    const own = rows.filter((row) => row.name === name);
    const metrics: Partial<Record<MetricName, ConfidenceInterval>> = {};
    for (const metric of metricNames(own)) {
      const values = own.map((row) => row[metric] ?? Number.NaN);
      // An infinite PSNR, or an MS-SSIM that only the larger volumes have, has no mean over all of them.
      if (values.every(Number.isFinite))
        metrics[metric] = confidenceInterval(values, { level, resamples, seed });
    }
    return { name, metrics };
  });
}

/** The metrics that rows have, in the order of the first row that has them. */
export function metricNames(rows: readonly ComparisonRow[]): MetricName[] {
  const names = rows.flatMap((row) => Object.keys(row)).filter((key) => key !== 'name' && key !== 'file');
  return [...new Set(names)] as MetricName[];
}
