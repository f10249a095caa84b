import { InvalidArgument } from '../errors';
import type { GridOptions } from '../patch/grid';
import type { WindowName } from '../patch/windows';
import type { LongCall } from '../progress';
import { chooseCheckpoint } from '../reconstruct/pass';
import { type Reconstruction, reconstruct } from '../reconstruct/reconstruct';
import { isPhantom } from '../train/data/loader';
import { heldOut, volumeAt } from '../train/data/sides';
import type { ChosenCheckpoint } from '../train/record/choose-checkpoint';
import { Run } from '../train/run';
import { attach } from '../train/runs';
import type { RunConfig } from '../train/settings/config';
import { eachAxis, type Size, type Vec3 } from '../vec3';
import type { IntensitySpec } from '../volume/intensity';
import type { LeftOut } from '../volume/store/format';
import type { Volume } from '../volume/volume';
import { findCohort, measureCohort, namedOnce } from './cohort';
import type { CompareOptions, ComparisonRow } from './compare';
import { type ConfidenceOptions, type PairedDifference, pairedDifference } from './confidence';
import {
  type AggregateRow,
  aggregateRows,
  grouped,
  type MetricName,
  type MetricRow,
  overRows,
  shownMetrics,
} from './metrics';
import type { MissingInVolume } from './missing';
import { type Measured, notesOnPatients, notesOnSeen, seenBy } from './seen';
import { type TrainingFigures, trainingFigures } from './training-cost';

/** Runs to compare: a list, or runs by names of your own. */
export type NamedRuns = readonly (Run | string)[] | Readonly<Record<string, Run | string>>;

export interface CompareRunsOptions extends LongCall, ConfidenceOptions, Pick<CompareOptions, 'ignoreNaN'> {
  /** Volume files, folders, DICOM, datasets, phantoms or volumes that no run has seen; default: what the first run held out. */
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
  /** Default: the first run's for each volume. */
  readonly intensity?: IntensitySpec;
  /** Threads that send patches through a model; default: as many as backend, cores and memory allow, one on a GPU. */
  readonly workers?: number;
  /** Gets what is measured by then if an error or a signal ends the call after the first volume. The call still throws. */
  readonly onUnfinished?: (comparison: RunComparison) => void;
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
    /** Metrics that a volume does not have, and why; it is in no mean of them. */
    readonly missing: readonly MissingInVolume[] = [],
  ) {}
}

/**
 * Reconstructs the same volumes with each run, whatever view it was trained on, measures all at the volumes' own
 * resolution, with the same overlap of patches and within one intensity window (the first run's), and compares them
 * patient by patient. A volume that cannot be read is left out with its reason, and a copy of another counts once. The
 * measured volumes choose no checkpoint unless you ask for it.
 *
 * @throws InvalidArgument for fewer than two runs or no volume; InvalidConfig if the first run held out nothing;
 * UnreadableFile where no volume could be read
 */
export async function compareRuns(runs: NamedRuns, options: CompareRunsOptions = {}): Promise<RunComparison> {
  const named = await attachAll(runs);
  const given = options.volumes && namedOnce(options.volumes);
  const cohort = given && (await measuredOf(given.once, options));
  const volumes = cohort?.found ?? (await heldOut(await named[0]!.run.config()));
  if (volumes.length + (cohort?.leftOut.length ?? 0) === 0)
    throw new InvalidArgument('volumes', 'at least one volume', volumes);
  const { window = 'gaussian', signal, workers, intensity, stride } = options;
  const configs = await Promise.all(named.map(({ run }) => run.config()));
  const seen = await Promise.all(configs.map((config) => seenBy(config, volumes, configs[0]!)));
  const which = options.checkpoint ?? (seen.some(({ chosenBy }) => chosenBy > 0) ? 'last' : undefined);
  // Once: a run that goes on may have another one by the next volume.
  const models = await Promise.all(named.map(({ run }) => chooseCheckpoint(run, which)));
  const overlap = options.overlap ?? (stride ? undefined : largestOverlap(configs));
  const { measured, comparable, leftOut, missing, units, notes, ended } = await measureCohort(
    volumes,
    async (volume, onProgress) => {
      const made: Record<string, Reconstruction> = {};
      for (const [i, { name }] of named.entries()) {
        const how = { window, signal, workers, intensity, stride, overlap };
        made[name] = await reconstruct(models[i]!.dir, volume, how);
        onProgress?.({ done: i + 1, total: named.length, what: 'reconstructions' });
      }
      return made;
    },
    { ...options, leftOut: cohort?.leftOut ?? [], keeps: options.onUnfinished !== undefined },
  );
  const rows = measured.map(({ source, row, seconds }): RunRow => {
    return { ...row, volume: source.name, patient: source.patient, seconds };
  });
  const patients = byPatient(rows.map(comparable));
  const names = named.map(({ name }) => name);
  const training = await Promise.all(named.map(({ run }) => trainingFigures(run)));
  const comparison = new RunComparison(
    named.map(({ name, run }, i) => ({ name, id: run.id, checkpoint: models[i]!, training: training[i]! })),
    rows,
    aggregateRows(patients, options),
    differencesOf(patients, names, options),
    units,
    [
      ...(given?.notes ?? []),
      ...notesOnSeen(named, volumes.length, seen, options.checkpoint),
      ...notes,
      ...notesOnPatients(patients.length / named.length),
    ],
    leftOut,
    missing,
  );
  if (!ended) return comparison;
  options.onUnfinished?.(comparison);
  throw ended.error;
}

async function attachAll(runs: NamedRuns): Promise<{ name: string; run: Run }[]> {
  const named = await Promise.all(
    Object.entries<Run | string>(runs).map(async ([name, given]) => {
      const run = given instanceof Run ? given : await attach(given);
      return { name: Array.isArray(runs) ? run.id : name, run };
    }),
  );
  const names = named.map(({ name }) => name);
  if (new Set(names).size < 2 || new Set(names).size < names.length)
    throw new InvalidArgument('runs', 'at least two different runs', names);
  return named;
}

/** Volumes in memory and phantoms, then what lies at the paths. */
async function measuredOf(
  volumes: readonly (string | Volume)[],
  { signal }: LongCall,
): Promise<{ found: Measured[]; leftOut: LeftOut[] }> {
  const isPath = (volume: string | Volume) => typeof volume === 'string' && !isPhantom(volume);
  const others = volumes.flatMap((volume, i) => (isPath(volume) ? [] : [asMeasured(volume, i)]));
  const { found, leftOut } = await findCohort(volumes.filter(isPath) as string[], {
    signal,
    beside: others.length > 0,
  });
  return { found: [...others, ...found], leftOut };
}

function asMeasured(volume: string | Volume, i: number): Measured {
  if (typeof volume === 'string') return { name: volume, ...volumeAt(volume), source: volume };
  const { source } = volume;
  const name = `${source ?? 'volume'} (${i + 1})`;
  return { name, patient: `volume ${i + 1}`, ...(source && { source }), read: async () => volume };
}

/** The mean row of every patient and run: two scans of one patient count once. */
function byPatient(rows: readonly RunRow[]): MetricRow[] {
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  return grouped(rows, ({ patient, name }) => JSON.stringify([patient, name])).map((own) => ({
    name: own[0]!.name,
    ...overRows(own, mean),
  }));
}

function differencesOf(
  patients: readonly MetricRow[],
  [first, ...others]: readonly string[],
  options: ConfidenceOptions,
): RunDifference[] {
  const of = (name: string | undefined) => patients.filter((row) => row.name === name);
  return others.flatMap((other) =>
    shownMetrics.flatMap(({ key: metric }) => {
      const rows = of(other);
      const pairs = of(first).map((row, i) => [row[metric], rows[i]![metric]] as const);
      // A patient that one of the two has no value of is no pair.
      const both = pairs.filter((pair): pair is readonly [number, number] => !pair.includes(undefined));
      if (both.length === 0) return [];
      const [a, b] = [both.map(([one]) => one), both.map(([, one]) => one)];
      return [{ metric, first: first!, other, ...pairedDifference(a, b, options) }];
    }),
  );
}

/** Along each axis, so that no run has less overlap than another. */
function largestOverlap(configs: readonly RunConfig[]): Vec3 {
  return eachAxis((axis) =>
    Math.max(...configs.map(({ patch, stride }) => (patch[axis] - stride[axis]) / patch[axis])),
  );
}
