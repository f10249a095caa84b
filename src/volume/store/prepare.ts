import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { InvalidArgument, UnreadableFile } from '../../errors';
import { compiledFile } from '../../package';
import type { LongCall } from '../../progress';
import { type IntensitySpec, resolveIntensity } from '../intensity';
import { checkShape, checkSpacing, type Vec3 } from '../vec3';
import { readPatientTable } from './csv';
import { readJson, unfinishedName, writeJson } from './files';
import {
  type BaselineView,
  type DatasetIndex,
  formatVersion,
  groupMetadata,
  type IndexEntry,
  indexFile,
  type LeftOut,
  type SplitName,
  type VolumeRecord,
  type VoxelSettings,
} from './format';
import { lockStore } from './lock';
import { checkFractions, type Fractions, type Ownership, patientsOf, splitPatients } from './patients';
import { checksum, type VolumeJob } from './prepare-volume';
import { findSources, type Source, stateOf } from './sources';
import { Threads } from './threads';

export interface PrepareOptions extends LongCall {
  /** How values become the model's; default 'auto', by each volume. Voxels are stored as the files have them. */
  readonly intensity?: IntensitySpec;
  /** Resample (trilinear) to this voxel size in mm, or leave out to keep the files' own. */
  readonly spacing?: Vec3;
  /** Turn every volume to RAS+ first. */
  readonly canonical?: boolean;
  /** A smaller view stored beside each volume, for a model that sees all of it at once. */
  readonly baseline?: BaselineView;
  /** Parts of the patients for train, validation and test; default 0.8, 0.1, 0.1. */
  readonly split?: readonly [number, number, number];
  /** Draws the split; default 0. */
  readonly seed?: number;
  /** A pattern on a file's path within the input: its first group is the patient. By default see `patientByName`. */
  readonly patient?: string | RegExp;
  /** A table `file,patient[,split]`; only files in it are prepared. */
  readonly csv?: string;
  /** Threads; each holds a whole volume or two. Default one a core, at most 4. */
  readonly workers?: number;
}

/** What `prepareDataset` did. */
export interface Prepared {
  readonly output: string;
  /** Names of the volumes that this call wrote, and of those that were there and unchanged. */
  readonly written: readonly string[];
  readonly kept: readonly string[];
  readonly leftOut: readonly LeftOut[];
  /** Volumes and patients on each side. */
  readonly split: Readonly<Record<SplitName, { readonly volumes: number; readonly patients: number }>>;
  /** What a person should look at. */
  readonly notes: readonly string[];
}

/**
 * Makes a dataset of NIfTI files that `openDataset` and training read patches from at random. Called again it
 * writes only what is new, changed or unfinished. A file that cannot be read is left out with its reason; a killed
 * call leaves whole volumes and what the next call removes. The same files and options give the same bytes.
 *
 * @param input a folder, searched through, or NIfTI files
 * @param output the dataset's folder
 * @throws InvalidArgument for wrong options, before anything is written; UnreadableFile where no volume could be
 *   prepared; the signal's reason on abort
 */
export async function prepareDataset(
  input: string | readonly string[],
  output: string,
  options: PrepareOptions = {},
): Promise<Prepared> {
  const { signal, seed = 0 } = options;
  signal?.throwIfAborted();
  const plan = planPreparation(input, options);
  mkdirSync(output, { recursive: true });
  const unlock = lockStore(output);
  try {
    for (const name of readdirSync(output).filter((name) => unfinishedName.test(name)))
      rmSync(join(output, name), { recursive: true, force: true });
    const records = new Map<Source, VolumeRecord>();
    const kept = new Set<Source>();
    const leftOut: LeftOut[] = [];
    await prepareVolumes(plan, output, options, { records, kept, leftOut });
    const entries = [...records].map(([source, record]) => ({ source, record }));
    if (entries.length === 0) {
      const [first] = leftOut;
      throw new UnreadableFile(first!.file, 'at least one volume that can be read', first!.reason);
    }
    const before = readJson(join(output, indexFile)) as Partial<DatasetIndex> | undefined;
    const sides = splitPatients(
      entries.map(({ source }) => plan.owners.get(source)!.patient),
      { fractions: plan.fractions, seed, fixed: fixedSides(plan, seed, before) },
    );
    const volumes = entries.map(({ source, record }): IndexEntry => {
      const { patient } = plan.owners.get(source)!;
      return { name: source.name, patient, split: sides.get(patient)!, ...record };
    });
    volumes.sort((a, b) => (a.name < b.name ? -1 : 1));
    leftOut.sort((a, b) => (a.file < b.file ? -1 : 1));
    const index: DatasetIndex = {
      format: 'patchwise dataset',
      version: formatVersion,
      seed,
      fractions: plan.fractions,
      settings: plan.settings,
      volumes,
      leftOut,
    };
    writeJson(join(output, 'zarr.json'), groupMetadata({}));
    writeJson(join(output, indexFile), index);
    return {
      output,
      written: volumes.filter(({ name }) => !named(kept, name)).map(({ name }) => name),
      kept: volumes.filter(({ name }) => named(kept, name)).map(({ name }) => name),
      leftOut,
      split: splitSummary(volumes),
      notes: notesOn(volumes, output, options),
    };
  } finally {
    unlock();
  }
}

/** Everything that is decided before a file is opened. */
interface Preparation {
  readonly sources: readonly Source[];
  readonly owners: ReadonlyMap<Source, Ownership>;
  readonly settings: VoxelSettings;
  readonly intensity: IntensitySpec;
  readonly fractions: Fractions;
}

function planPreparation(input: string | readonly string[], options: PrepareOptions): Preparation {
  const { patient, csv, baseline, intensity = 'auto', workers } = options;
  if (patient !== undefined && csv !== undefined)
    throw new InvalidArgument('patient', 'either a pattern or a csv, not both', patient);
  if (workers !== undefined && !(Number.isInteger(workers) && workers > 0))
    throw new InvalidArgument('workers', 'a whole number above 0', workers);
  if (options.seed !== undefined && !Number.isSafeInteger(options.seed))
    throw new InvalidArgument('seed', 'a whole number', options.seed);
  if (baseline && baseline.how !== 'resample' && baseline.how !== 'crop')
    throw new InvalidArgument('baseline.how', 'a way to make it', baseline.how, ['resample', 'crop']);
  const settings: VoxelSettings = {
    format: formatVersion,
    canonical: options.canonical ?? false,
    spacing: options.spacing ? checkSpacing('spacing', options.spacing) : null,
    baseline: baseline ? { shape: checkShape('baseline', baseline.shape), how: baseline.how } : null,
  };
  resolveIntensity(intensity, { data: new Float32Array(1) });
  const fractions = checkFractions(options.split ?? [0.8, 0.1, 0.1]);
  const table = csv === undefined ? undefined : readPatientTable(csv);
  const owners = patientsOf(findSources(input), { pattern: patient, table });
  return { sources: [...owners.keys()], owners, settings, intensity, fractions };
}

/** What becomes of the files. */
interface Outcome {
  readonly records: Map<Source, VolumeRecord>;
  readonly kept: Set<Source>;
  readonly leftOut: LeftOut[];
}

async function prepareVolumes(
  { sources, settings, intensity }: Preparation,
  output: string,
  { signal, onProgress, workers = Math.min(4, availableParallelism()) }: PrepareOptions,
  { records, kept, leftOut }: Outcome,
): Promise<void> {
  const threads = new Threads<VolumeJob, VolumeRecord>(
    compiledFile('src', 'volume', 'store', 'prepare-worker.js'),
    Math.min(workers, sources.length),
  );
  const stop = () => void threads.close();
  signal?.addEventListener('abort', stop);
  try {
    let done = 0;
    const report = () => onProgress?.({ done, total: sources.length, what: 'volumes' });
    report();
    const each = async (source: Source) => {
      const job = { source, output, settings, intensity };
      const unchanged = await unchangedRecord(job).catch(() => undefined);
      if (unchanged) kept.add(source);
      const answer = unchanged ? { result: unchanged } : await threads.run(job);
      if (signal?.aborted) return;
      if ('result' in answer) records.set(source, answer.result);
      else leftOut.push({ file: source.file, reason: answer.failed.message });
      done++;
      report();
    };
    // Batches of what threads can take, so that checksums of unchanged files do not run all at once.
    const waiting = [...sources];
    const lane = async () => {
      for (let source = waiting.shift(); source && !signal?.aborted; source = waiting.shift())
        await each(source);
    };
    await Promise.all(Array.from({ length: threads.most }, lane));
    signal?.throwIfAborted();
  } finally {
    signal?.removeEventListener('abort', stop);
    await threads.close();
  }
}

/** What the store has of a file, if that is what would be written now. */
async function unchangedRecord({
  source,
  output,
  settings,
  intensity,
}: VolumeJob): Promise<VolumeRecord | undefined> {
  const path = join(output, source.name, 'zarr.json');
  if (!existsSync(path)) return undefined;
  const record = (readJson(path) as { attributes?: VolumeRecord } | undefined)?.attributes;
  if (record?.source?.file !== source.file || !same(record.settings, settings)) return undefined;
  const state = stateOf(source);
  const touched = record.source.modified !== state.modified;
  if (record.source.bytes !== state.bytes) return undefined;
  if (touched && record.source.sha256 !== (await checksum(source))) return undefined;
  // The window is an attribute and not in the voxels, so another one rewrites a small file alone.
  const window = resolveIntensity(intensity, { data: Float32Array.from(record.range) });
  const current = { ...record, source: { ...record.source, ...state }, intensity: window };
  if (!same(current, record)) writeJson(path, groupMetadata(current));
  return current;
}

function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** Sides that are not drawn: those of a table, and those of the last call where it drew by the same rule. */
function fixedSides(
  { owners, fractions }: Preparation,
  seed: number,
  before: Partial<DatasetIndex> | undefined,
): Map<string, SplitName> {
  const sides = new Map<string, SplitName>();
  const comparable = before?.seed === seed && same(before.fractions, fractions);
  if (comparable) for (const { patient, split } of before.volumes ?? []) sides.set(patient, split);
  for (const { patient, split } of owners.values()) if (split) sides.set(patient, split);
  return sides;
}

function splitSummary(volumes: readonly IndexEntry[]): Prepared['split'] {
  const side = (split: SplitName) => {
    const own = volumes.filter((volume) => volume.split === split);
    return { volumes: own.length, patients: new Set(own.map(({ patient }) => patient)).size };
  };
  return { train: side('train'), validation: side('validation'), test: side('test') };
}

function notesOn(volumes: readonly IndexEntry[], output: string, { patient, csv }: PrepareOptions): string[] {
  const notes: string[] = [];
  const patients = new Set(volumes.map((volume) => volume.patient));
  if (patients.size === 1 && volumes.length > 1 && patient === undefined && csv === undefined) {
    const [only] = patients;
    notes.push(
      `by their names all files are of patient ${only}: nothing is held out. Give a pattern or a table.`,
    );
  }
  const listed = new Set(volumes.map(({ name }) => name));
  const others = readdirSync(output, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.') && !listed.has(entry.name))
    .map(({ name }) => name);
  if (others.length > 0)
    notes.push(
      `folders of volumes that are not in the input (any more) stay, unlisted: ${others.join(', ')}`,
    );
  return notes;
}

function named(sources: ReadonlySet<Source>, name: string): boolean {
  return [...sources].some((source) => source.name === name);
}
