import { InvalidArgument } from '../errors';
import { perplexity, usage } from '../model/codebook';
import type { WindowName } from '../patch/windows';
import { chooseCheckpoint, type ModelSource } from '../reconstruct/pass';
import { type ReconstructOptions, reconstruct } from '../reconstruct/reconstruct';
import { type RunSide, sidesOf } from '../train/data/sides';
import { readState } from '../train/record/checkpoint';
import type { ChosenCheckpoint } from '../train/record/choose-checkpoint';
import type { SeriesChoice } from '../volume/series';
import type { LeftOut } from '../volume/store/format';
import { findCohort, measureCohort, namedOnce } from './cohort';
import type { CompareOptions, ComparisonRow } from './compare';
import type { ConfidenceOptions } from './confidence';
import { type AggregateRow, aggregateRows } from './metrics';
import type { MissingInVolume } from './missing';

export interface EvaluateOptions
  extends ReconstructOptions,
    ConfidenceOptions,
    Pick<CompareOptions, 'ignoreNaN'> {
  /** Default `linear` and `gaussian`. */
  readonly windows?: readonly WindowName[];
  /** Turn each volume to RAS+ first. */
  readonly canonical?: boolean;
  /** Which volume of a 4D file, and which component of complex or colour voxels, as in `readVolume`. */
  readonly index?: number;
  readonly channel?: string;
  /** Which series of DICOM; default: all that are volumes. */
  readonly series?: SeriesChoice;
  /** Gets what is measured by then if an error or a signal ends the call after the first volume. The call still throws. */
  readonly onUnfinished?: (evaluation: Evaluation) => void;
}

/** How far one window's reconstruction of one file is from it. */
export interface EvaluatedRow extends ComparisonRow {
  readonly file: string;
  /** The units of MAE and RMSE: Hounsfield units, or the file's own. */
  readonly units: 'HU' | 'file';
  /** What the run used the file for; absent if it does not know the file. */
  readonly side?: RunSide;
}

/** The results of an evaluation: a row for each volume and window, and one for each window over all volumes. */
export interface Evaluation {
  /** The model that all volumes went through. */
  readonly checkpoint: ChosenCheckpoint;
  readonly rows: readonly EvaluatedRow[];
  readonly aggregate: readonly AggregateRow[];
  /** exp(entropy) of the codes of all volumes together. */
  readonly perplexity: number;
  /** Distinct codes that the volumes used between them, over those there are. */
  readonly usage: number;
  /** Files that could not be read, and why; no figure counts them. */
  readonly leftOut: readonly LeftOut[];
  /** Metrics that a volume does not have, and why; it is in no mean of them. */
  readonly missing: readonly MissingInVolume[];
  /** What a reader must know to judge the figures. */
  readonly notes: readonly string[];
}

/**
 * Reconstructs volumes with one or more windows and measures the results, one in memory at a time: volume files, folders
 * of them or of DICOM, and prepared datasets. A file that cannot be read is left out with its reason, and a copy of another
 * counts once. Errors are those of `reconstruct`; UnreadableFile if no file could be read.
 *
 * ```ts
 * const [run] = await pw.listRuns();
 * const evaluation = await pw.evaluateFiles(run!, ['ct.nii.gz'], { windows: ['linear', 'gaussian'] });
 * console.log(evaluation.rows);
 * ```
 */
export async function evaluateFiles(
  model: ModelSource,
  files: readonly string[],
  options: EvaluateOptions = {},
): Promise<Evaluation> {
  const { windows = ['linear', 'gaussian'], canonical, index, channel, series, signal } = options;
  if (files.length === 0) throw new InvalidArgument('files', 'at least one volume file', []);
  // Once: a run that goes on may have another one by the next volume.
  const checkpoint = await chooseCheckpoint(model, options.checkpoint);
  const counts: number[] = [];
  const sideOf = await sidesOf(readState(checkpoint.dir).config);
  const { once, notes } = namedOnce(files);
  const cohort = await findCohort(once, { canonical, index, channel, series, signal });
  if (cohort.found.length + cohort.leftOut.length === 0)
    throw new InvalidArgument('files', 'at least one volume', files);
  const { measured, leftOut, missing, comparable, ended, ...found } = await measureCohort(
    cohort.found,
    async (volume, onProgress) => {
      const made = await reconstruct(checkpoint.dir, volume, { ...options, windows, onProgress });
      // One pass made all windows, so any of them has the volume's codes.
      made[windows[0]!].codeCounts.forEach((count, code) => {
        counts[code] = (counts[code] ?? 0) + count;
      });
      return made;
    },
    { ...options, leftOut: cohort.leftOut, keeps: options.onUnfinished !== undefined },
  );
  const sides = new Map<string, RunSide | undefined>();
  for (const { source } of measured)
    if (!sides.has(source.name)) sides.set(source.name, await sideOf(source.source));
  const rows = measured.map(({ source: { name: file }, row, units }): EvaluatedRow => {
    const side = sides.get(file);
    return { file, units, ...(side && { side }), ...row };
  });
  const evaluation: Evaluation = {
    checkpoint,
    rows,
    leftOut,
    missing,
    aggregate: aggregateRows(rows.map(comparable), options),
    perplexity: perplexity(counts),
    usage: usage(counts),
    notes: [...notes, ...found.notes, ...notesOn([...sides.values()])],
  };
  if (!ended) return evaluation;
  options.onUnfinished?.(evaluation);
  throw ended.error;
}

/** How many of the volumes the run was trained on, or its checkpoint was chosen by. */
function notesOn(sides: readonly (RunSide | undefined)[]): string[] {
  const of = (...some: RunSide[]) => sides.filter((side) => side && some.includes(side)).length;
  const [trained, chosen] = [of('train', 'part'), of('validation')];
  const all = `of ${sides.length} volumes`;
  const notes: string[] = [];
  if (trained > 0) notes.push(`${trained} ${all}: the run was trained on them, so their figures flatter it`);
  if (chosen > 0)
    notes.push(`${chosen} ${all}: the run's validation, by which its best checkpoint was chosen`);
  return notes;
}
