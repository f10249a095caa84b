import { InvalidArgument } from '../errors';
import type { GridOptions } from '../patch/grid';
import type { WindowName } from '../patch/windows';
import type { LongCall } from '../progress';
import { chooseCheckpoint } from '../reconstruct/pass';
import { type Reconstruction, type ReconstructOptions, reconstruct } from '../reconstruct/reconstruct';
import { heldOut, volumeAt } from '../train/data/sides';
import type { ChosenCheckpoint } from '../train/record/choose-checkpoint';
import { attach, Run } from '../train/run';
import type { RunConfig } from '../train/settings/config';
import type { Size, Vec3 } from '../vec3';
import type { LeftOut } from '../volume/store/format';
import type { Volume } from '../volume/volume';
import { namedOnce, noneReadable, readCohort } from './cohort';
import { type ComparisonRow, compareVolumes } from './compare';
import type { ConfidenceOptions } from './confidence';
import {
  type AggregateRow,
  aggregateRows,
  type MetricName,
  metricNames,
  noCommonUnits,
  withoutErrors,
} from './evaluate';
import { type PairedDifference, pairedDifference } from './paired';
import { type Measured, notesOnPatients, notesOnSeen, seenBy } from './seen';
import { type TrainingFigures, trainingFigures } from './training-figures';

/** Runs to compare: a list, or runs by names of your own. */
export type NamedRuns = readonly (Run | string)[] | Readonly<Record<string, Run | string>>;

export interface CompareRunsOptions extends LongCall, ConfidenceOptions {
  /** NIfTI files, phantoms or volumes that no run has seen; default: what the first run held out. */
  readonly volumes?: readonly (string | Volume)[];
  /**
   * Which checkpoint of each run; default: what `chooseCheckpoint` gives, but `last` if the measured volumes chose any
   * run's best.
   */
  readonly checkpoint?: 'last' | 'best';
  /** Distance of neighbouring patches in voxels, the same for all runs. */
  readonly stride?: Size;
  /** The same as a fraction of each run's patch; default: the largest that any of the runs was trained with, for all. */
  readonly overlap?: GridOptions['overlap'];
  /** Default gaussian. */
  readonly window?: WindowName;
  readonly intensity?: ReconstructOptions['intensity'];
  readonly workers?: number;
}

/** How one run reconstructed one volume, at the volume's full resolution. */
export interface RunRow extends ComparisonRow {
  readonly volume: string;
  readonly patient: string;
}

/** How much higher the first run's values of a metric are than another's. */
export interface RunDifference extends PairedDifference {
  readonly metric: MetricName;
  readonly first: string;
  readonly other: string;
}

/** Runs side by side on the same volumes: the data that tables and figures show. */
export class RunComparison {
  constructor(
    readonly runs: readonly {
      readonly name: string;
      readonly id: string;
      /** The model that was measured. */
      readonly checkpoint: ChosenCheckpoint;
      readonly training: TrainingFigures;
    }[],
    /** A row for each run and volume. */
    readonly rows: readonly RunRow[],
    /** Means over patients, each patient counting once. */
    readonly means: readonly AggregateRow[],
    /** The first run against each of the others. */
    readonly differences: readonly RunDifference[],
    readonly units: 'HU' | 'file',
    /** What a reader must know to judge the figures. */
    readonly notes: readonly string[],
    /** Volumes that could not be read, and why; they count in no row and no mean. */
    readonly leftOut: readonly LeftOut[],
  ) {}
}

/**
 * Reconstructs the same volumes with each run, whatever view it was trained on, measures all at the volumes' own
 * resolution, with the same overlap of patches and within one intensity window (the first run's), and compares them
 * patient by patient. A volume that cannot be read is left out with its reason. The measured volumes choose no checkpoint
 * unless you ask for it.
 *
 * @throws InvalidArgument for fewer than two runs or no volume; InvalidConfig if the first run held out nothing;
 * UnreadableFile where no volume could be read
 */
export async function compareRuns(runs: NamedRuns, options: CompareRunsOptions = {}): Promise<RunComparison> {
  const named = await attachAll(runs);
  const given = options.volumes && namedOnce(options.volumes);
  const volumes = given?.once.map(asMeasured) ?? (await heldOut(await named[0]!.run.config()));
  if (volumes.length === 0) throw new InvalidArgument('volumes', 'at least one volume', volumes);
  const { window = 'gaussian', signal, workers, intensity, stride, onProgress } = options;
  const configs = await Promise.all(named.map(({ run }) => run.config()));
  const seen = await Promise.all(configs.map((config) => seenBy(config, volumes, configs[0]!)));
  const which = options.checkpoint ?? (seen.some(({ chosenBy }) => chosenBy > 0) ? 'last' : undefined);
  // Once: a run that goes on may have another one by the next volume.
  const models = await Promise.all(named.map(({ run }) => chooseCheckpoint(run, which)));
  const overlap = options.overlap ?? (stride ? undefined : largestOverlap(configs));
  const notes = [...(given?.notes ?? []), ...notesOnSeen(named, volumes.length, seen, options.checkpoint)];
  const rows: RunRow[] = [];
  const units = new Set<'HU' | 'file'>();
  const total = volumes.length * named.length;
  const leftOut: LeftOut[] = [];
  const files = volumes.map((volume) => ({ ...volume, file: volume.name }));
  for await (const { source, volume } of readCohort(files, leftOut, undefined)) {
    const { name, patient } = source;
    const made: Reconstruction[] = [];
    for (const { dir } of models) {
      const how = { window, signal, workers, intensity, stride, overlap };
      made.push(await reconstruct(dir, volume, how));
      const before = leftOut.length * named.length + rows.length;
      onProgress?.({ done: before + made.length, total, what: 'reconstructions' });
    }
    const candidates = Object.fromEntries(named.map((run, i) => [run.name, made[i]!]));
    const comparison = compareVolumes(volume, candidates, { intensity });
    units.add(comparison.intensity.units);
    notes.push(...comparison.notes.map((note) => `${name}: ${note}`));
    comparison.metrics.forEach((row, i) => {
      rows.push({ ...row, volume: name, patient, seconds: made[i]!.seconds });
    });
  }
  if (rows.length === 0) throw noneReadable(leftOut);
  onProgress?.({ done: total, total, what: 'reconstructions' });
  if (units.size > 1) notes.push(noCommonUnits);
  const patients = byPatient(units.size > 1 ? rows.map(withoutErrors) : rows);
  const training = await Promise.all(named.map(({ run }) => trainingFigures(run)));
  return new RunComparison(
    named.map(({ name, run }, i) => ({
      ...{ name, id: run.id },
      ...{ checkpoint: models[i]!, training: training[i]! },
    })),
    rows,
    aggregateRows(patients, options),
    differencesOf(
      patients,
      named.map(({ name }) => name),
      options,
    ),
    units.size === 1 ? [...units][0]! : 'file',
    [...notes, ...notesOnPatients(patients.length / named.length)],
    leftOut,
  );
}

async function attachAll(runs: NamedRuns): Promise<{ name: string; run: Run }[]> {
  const given: [string | undefined, Run | string][] = Array.isArray(runs)
    ? (runs as readonly (Run | string)[]).map((run) => [undefined, run])
    : Object.entries(runs as Readonly<Record<string, Run | string>>);
  const named = await Promise.all(
    given.map(async ([name, run]) => {
      const attached = run instanceof Run ? run : await attach(run);
      return { name: name ?? attached.id, run: attached };
    }),
  );
  const names = named.map(({ name }) => name);
  if (new Set(names).size < 2 || new Set(names).size < names.length)
    throw new InvalidArgument('runs', 'at least two different runs', names);
  return named;
}

function asMeasured(volume: string | Volume, i: number): Measured {
  if (typeof volume === 'string') return { name: volume, ...volumeAt(volume), source: volume };
  const { source } = volume;
  const name = `${source ?? 'volume'} (${i + 1})`;
  return { name, patient: `volume ${i + 1}`, ...(source && { source }), read: async () => volume };
}

/** The mean row of every patient and run: two scans of one patient count once. */
function byPatient(rows: readonly RunRow[]): ComparisonRow[] {
  const groups = new Map<string, RunRow[]>();
  for (const row of rows) {
    const key = JSON.stringify([row.patient, row.name]);
    groups.set(key, [...(groups.get(key) ?? []), row]);
  }
  return [...groups.values()].map((own) => {
    const mean = (metric: MetricName) => {
      const values = own.flatMap((row) => row[metric] ?? []).filter(Number.isFinite);
      return values.reduce((sum, value) => sum + value, 0) / values.length;
    };
    const metrics = metricNames(own);
    return { name: own[0]!.name, ...Object.fromEntries(metrics.map((m) => [m, mean(m)])) } as ComparisonRow;
  });
}

function differencesOf(
  patients: readonly ComparisonRow[],
  names: readonly string[],
  options: ConfidenceOptions,
): RunDifference[] {
  const [first, ...others] = names as [string, ...string[]];
  const valuesOf = (name: string, metric: MetricName) =>
    patients.filter((row) => row.name === name).map((row) => row[metric] ?? Number.NaN);
  return others.flatMap((other) =>
    metricNames(patients).flatMap((metric) => {
      const [a, b] = [valuesOf(first, metric), valuesOf(other, metric)];
      // A patient that one of the two has no value of is no pair.
      const both = (_: number, i: number) => Number.isFinite(a[i]) && Number.isFinite(b[i]);
      const pairs = [a.filter(both), b.filter(both)] as const;
      if (pairs[0].length === 0) return [];
      return [{ metric, first, other, ...pairedDifference(...pairs, options) }];
    }),
  );
}

/** Along each axis, so that no run has less overlap than another. */
function largestOverlap(configs: readonly RunConfig[]): Vec3 {
  const along = (axis: 0 | 1 | 2) =>
    Math.max(...configs.map(({ patch, stride }) => (patch[axis] - stride[axis]) / patch[axis]));
  return [along(0), along(1), along(2)];
}
