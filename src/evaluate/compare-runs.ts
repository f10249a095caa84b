import { InvalidArgument } from '../errors';
import type { WindowName } from '../patch/windows';
import type { LongCall } from '../progress';
import { type HeldOut, heldOut } from '../train/held-out';
import { attach, Run } from '../train/run';
import { readVolume } from '../volume/read';
import { patientByName } from '../volume/store/patients';
import type { Volume } from '../volume/volume';
import { type ComparisonRow, compareVolumes } from './compare';
import type { ConfidenceOptions } from './confidence';
import { type AggregateRow, aggregateRows, type MetricName, metricNames } from './evaluate';
import { type PairedDifference, pairedDifference } from './paired';
import { type ReconstructOptions, reconstruct } from './reconstruct';
import type { Reconstruction } from './reconstruction';
import { type TrainingFigures, trainingFigures } from './training-figures';

/** Runs to compare: a list, or each with a name of one's own. */
export type NamedRuns = readonly (Run | string)[] | Readonly<Record<string, Run | string>>;

export interface CompareRunsOptions extends LongCall, ConfidenceOptions {
  /** NIfTI files or volumes that no run was trained on; default: what the first run held out. */
  readonly volumes?: readonly (string | Volume)[];
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

/** How much more the first run has than another, of one metric. */
export interface RunDifference extends PairedDifference {
  readonly metric: MetricName;
  readonly first: string;
  readonly other: string;
}

/** Runs beside one another on the same volumes. It is data; tables and figures are made from it. */
export class RunComparison {
  constructor(
    readonly runs: readonly {
      readonly name: string;
      readonly id: string;
      readonly training: TrainingFigures;
    }[],
    /** A row for each run and volume. */
    readonly rows: readonly RunRow[],
    /** Means over patients, each patient counting once. */
    readonly means: readonly AggregateRow[],
    /** The first run against each of the others. */
    readonly differences: readonly RunDifference[],
    readonly units: 'HU' | 'file',
    /** What a reader must know to take the figures for what they are. */
    readonly notes: readonly string[],
  ) {}
}

/**
 * Reconstructs the same volumes with each run, whatever view it was trained on, measures all at the volumes' own
 * resolution and within one intensity window (the first run's), and compares them patient by patient.
 *
 * @throws InvalidArgument for fewer than two runs or no volume; InvalidConfig where the first run held out nothing
 */
export async function compareRuns(runs: NamedRuns, options: CompareRunsOptions = {}): Promise<RunComparison> {
  const named = await attachAll(runs);
  const volumes = options.volumes?.map(asHeldOut) ?? (await heldOut(await named[0]!.run.config()));
  if (volumes.length === 0) throw new InvalidArgument('volumes', 'at least one volume', volumes);
  const { window = 'gaussian', signal, workers, intensity, onProgress } = options;
  const rows: RunRow[] = [];
  let units: 'HU' | 'file' = 'file';
  const total = volumes.length * named.length;
  for (const { name, patient, read } of volumes) {
    const volume = await read();
    const made: Reconstruction[] = [];
    for (const { run } of named) {
      made.push(await reconstruct(run, volume, { window, signal, workers, intensity }));
      onProgress?.({ done: rows.length + made.length, total, what: 'reconstructions' });
    }
    const candidates = Object.fromEntries(named.map((run, i) => [run.name, made[i]!]));
    const comparison = compareVolumes(volume, candidates, { intensity });
    units = comparison.intensity.units;
    comparison.metrics.forEach((row, i) => {
      rows.push({ ...row, volume: name, patient, seconds: made[i]!.seconds });
    });
  }
  const patients = byPatient(rows);
  const training = await Promise.all(named.map(({ run }) => trainingFigures(run)));
  return new RunComparison(
    named.map(({ name, run }, i) => ({ name, id: run.id, training: training[i]! })),
    rows,
    aggregateRows(patients, options),
    differencesOf(
      patients,
      named.map(({ name }) => name),
      options,
    ),
    units,
    await notesOn(named, patients.length / named.length, options.volumes === undefined),
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

function asHeldOut(volume: string | Volume, i: number): HeldOut {
  if (typeof volume === 'string')
    return { name: volume, patient: patientByName(volume), read: () => readVolume(volume) };
  const name = volume.source ?? `volume ${i + 1}`;
  return { name: `${name} (${i + 1})`, patient: `volume ${i + 1}`, read: async () => volume };
}

/** The mean row of every patient and run: two scans of one patient count once. */
function byPatient(rows: readonly RunRow[]): ComparisonRow[] {
  const groups = new Map<string, RunRow[]>();
  for (const row of rows) {
    const key = JSON.stringify([row.patient, row.name]);
    groups.set(key, [...(groups.get(key) ?? []), row]);
  }
  return [...groups.values()].map((own) => {
    const mean = (metric: keyof RunRow) =>
      own.reduce((sum, row) => sum + ((row[metric] as number | undefined) ?? Number.NaN), 0) / own.length;
    const metrics = metricNames(own).filter((metric) => typeof own[0]![metric] === 'number');
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
      if (![...a, ...b].every(Number.isFinite)) return [];
      return [{ metric, first, other, ...pairedDifference(a, b, options) }];
    }),
  );
}

async function notesOn(
  named: readonly { name: string; run: Run }[],
  patients: number,
  heldOutOfFirst: boolean,
): Promise<string[]> {
  const configs = await Promise.all(named.map(({ run }) => run.config()));
  const sideOf = ({ data, validation, seed }: (typeof configs)[number]) =>
    JSON.stringify([data, validation, seed]);
  const others = named.filter((_, i) => sideOf(configs[i]!) !== sideOf(configs[0]!));
  const notes: string[] = [];
  if (heldOutOfFirst && others.length > 0)
    notes.push(
      `${others.map(({ name }) => name).join(', ')}: other data or another split than ${named[0]!.name}, so it may ` +
        'have been trained on what is measured here',
    );
  if (patients < 2)
    notes.push(
      'one patient: an interval over patients and a test mean nothing, only the differences are of use',
    );
  else if (patients < 6) notes.push(`${patients} patients: p cannot be below ${2 / 2 ** patients}`);
  return notes;
}
