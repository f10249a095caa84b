import { resolve } from 'node:path';
import { writeTo } from '../../atomic-file';
import { InvalidArgument, UnreadableFile } from '../../errors';
import { makeFolder } from '../../make-folder';
import { checkShape, checkSpacing, type Size } from '../../vec3';
import { type IntensitySpec, resolveIntensity } from '../intensity';
import type { SeriesOptions } from '../series';
import { isUnfinished, storedIndex, writeRoot } from '../store/dataset-index';
import { removeUnfinished } from '../store/files';
import {
  type DatasetIndex,
  formatVersion,
  type LeftOut,
  type SplitName,
  type VoxelSettings,
} from '../store/format';
import type { GivenView } from '../view';
import { type Outcome, prepareVolumes } from './all-volumes';
import { readPatientTable } from './csv';
import { type Inspection, inspectFiles, strictError } from './inspect';
import { lockStore } from './lock';
import { type Oddity, odditiesOf } from './oddities';
import { checkFractions, keepPatients, patientsOf } from './patients';
import { planSides } from './sides';
import { searchInput } from './sources';
import { checkKey, lostIndex, notesOn, sourceNotes, splitSummary, writeIndex } from './write-index';

/**
 * Options of `prepareDataset`. Where a call gives none, it uses those of the dataset's last call: `intensity`, `spacing`,
 * `antialias`, `canonical`, `index`, `channel`, `baseline`, `split` and `seed`. The defaults are those of a new dataset.
 */
export interface PrepareOptions extends SeriesOptions {
  /** Maps values to the model's; default 'auto' for each volume. The stored voxels keep the file's values. */
  readonly intensity?: IntensitySpec;
  /** Resample (trilinear) to this voxel size in mm; default: keep the files' own. */
  readonly spacing?: Size;
  /** Before resampling, smooth axes that lose voxels with a gaussian, as scikit-image and MONAI do; default true. */
  readonly antialias?: boolean;
  /** Turn every volume to RAS+ first. */
  readonly canonical?: boolean;
  /** Which volume of each file, counted from 0. Without it, files with several volumes are left out. */
  readonly index?: number;
  /** Which component of complex or colour voxels: real, imaginary, red, green, blue, alpha. */
  readonly channel?: string;
  /** A smaller view to store beside each volume, for a model that sees all of it at once. */
  readonly baseline?: GivenView;
  /** Fractions of the patients for train, validation and test; default 0.8, 0.1, 0.1. */
  readonly split?: readonly [number, number, number];
  /** Seed of the split; default 0. */
  readonly seed?: number;
  /** Lets patients of the dataset change sides: by another `split` or `seed`, another table or pattern. Default false. */
  readonly resplit?: boolean;
  /** Reads all stored voxels again and makes volumes with a wrong checksum again; default false. */
  readonly verify?: boolean;
  /**
   * A pattern on a file's path within the input; its first group is the patient. Default: the patient that the file has
   * in the dataset, or for a new file `patientByName`.
   */
  readonly patient?: string | RegExp;
  /** Path of a table `file,patient[,split]`. Only files in it are prepared. */
  readonly csv?: string;
  /** Paths of the input files, and names of the DICOM series, to prepare; default all. */
  readonly only?: readonly string[];
  /** Refuse an input of which anything is left out or odd, before anything is written. It reads all voxels first. */
  readonly strict?: boolean;
  /** Called with what was found in the input, before anything is written. Voxels are read before only if it is strict. */
  readonly onInspect?: (inspection: Inspection) => void;
  /** Threads; each holds one or two whole volumes. Default one per core, at most 4. */
  readonly workers?: number;
}

/** What `prepareDataset` did. */
export interface Prepared {
  readonly output: string;
  /** Names of the volumes that this call wrote (`written`), and of unchanged volumes (`kept`). */
  readonly written: readonly string[];
  readonly kept: readonly string[];
  readonly leftOut: readonly LeftOut[];
  /** Volumes and patients on each side. */
  readonly split: Readonly<Record<SplitName, { readonly volumes: number; readonly patients: number }>>;
  /** What is odd about the volumes, by their headers and values. */
  readonly oddities: readonly Oddity[];
  /** Notes that a person should read. */
  readonly notes: readonly string[];
}

/**
 * Makes a dataset of volume files and DICOM series, from which training reads random patches. A second call writes only
 * what is new, changed, unfinished or damaged. No patient changes sides without `resplit`. An unreadable file is left
 * out with its reason. A full disk, another fault of the machine or a signal ends the call; finished volumes stay, and
 * the next call continues. The same files and options give the same bytes.
 *
 * ```ts
 * const { split, leftOut } = await pw.prepareDataset('ct.nii.gz', 'prepared');
 * console.log(split, leftOut); // patients on each side, and files that cannot be read
 * ```
 * @param input a folder to search, or volume files
 * @param output the dataset's folder
 * @throws InvalidArgument for wrong options, before it writes anything; UnreadableFile if no volume can be prepared; the
 *   system's error or NoMemory if the machine is at fault; the signal's reason on abort
 */
export async function prepareDataset(
  input: string | readonly string[],
  output: string,
  options: PrepareOptions = {},
): Promise<Prepared> {
  options.signal?.throwIfAborted();
  const request = await readRequest(input, options);
  const inspection = await inspectPlan(completeRequest(request, storedIndex(output)), options);
  const refused = options.strict && strictError([input].flat().join(', '), inspection);
  options.onInspect?.(inspection);
  if (refused) throw refused;
  writeTo('output', output, () => makeFolder(output));
  const unlock = await lockStore(output);
  try {
    removeUnfinished(output);
    const before = storedIndex(output);
    const plan = completeRequest(request, before);
    checkKey(plan, before, output);
    const isLost = before === undefined && isUnfinished(output);
    // First, so that an interrupted call leaves a recognisable folder.
    writeRoot(output);
    const outcome = await prepareVolumes(plan, output, options);
    if (outcome.records.size === 0) {
      const [first] = outcome.leftOut;
      throw new UnreadableFile(first!.file, 'at least one volume that can be read', first!.reason);
    }
    const { volumes, leftOut } = writeIndex(output, plan, outcome, before);
    const names = volumes.filter(({ added }) => !added).map(({ name }) => name);
    return {
      output,
      written: names.filter((name) => !outcome.kept.has(name)),
      kept: names.filter((name) => outcome.kept.has(name)),
      leftOut,
      split: splitSummary(volumes),
      oddities: odditiesAfter(inspection, outcome, { ...request, ...plan }),
      notes: [
        ...sourceNotes(plan, volumes),
        ...(isLost ? [lostIndex] : []),
        ...outcome.notes,
        ...plan.notes,
        ...notesOn(volumes, before, output, options),
      ],
    };
  } catch (error) {
    // A dead thread leaves its unfinished files, which take space on a full disk.
    removeUnfinished(output);
    throw error;
  } finally {
    unlock();
  }
}

/** Looks at the headers of all files, and at the voxels of all if the call is strict. */
function inspectPlan(
  { owners, leftOut, settings }: Preparation,
  options: PrepareOptions,
): Promise<Inspection> {
  const { strict = false, signal, onProgress, patient, csv } = options;
  const { canonical, index, channel } = settings;
  const files = [...owners].map(([source, owner]) => ({ ...source, patient: owner.patient }));
  const call = { signal, ...(strict && { onProgress }) };
  return inspectFiles(files, leftOut, { canonical, index, channel, patient, csv, voxels: strict, ...call });
}

/** The oddities once the voxels are known. Notes on DICOM series are among the other notes. */
function odditiesAfter(
  { volumes }: Inspection,
  { records }: Outcome,
  { byName, settings }: Pick<Request, 'byName'> & Preparation,
): Oddity[] {
  const made = new Map([...records].map(([{ file }, record]) => [file, record]));
  const known = volumes.flatMap((volume) => {
    const record = made.get(volume.file);
    if (!record) return [];
    const { range, source, belowAir = Number.NaN } = record;
    // A file's checksum stands for its voxels. The part below air is without the least value.
    const facts = { range, second: range[0], atLeast: 0, belowAir, digest: source.sha256 };
    return [{ ...volume, voxels: volume.voxels ?? facts, notes: [] }];
  });
  const { canonical, index } = settings;
  return odditiesOf(known, { canonical, index, byName });
}

export type Preparation = ReturnType<typeof completeRequest>;

type Request = Awaited<ReturnType<typeof readRequest>>;

/** All decisions that need no earlier call. @throws InvalidArgument for a wrong option or input */
async function readRequest(input: string | readonly string[], options: PrepareOptions) {
  const { patient, csv, baseline, intensity, workers, seed, index, channel, canonical, antialias } = options;
  const { series, signal, onProgress, split, spacing, resplit = false } = options;
  if (patient !== undefined && csv !== undefined)
    throw new InvalidArgument('patient', 'either a pattern or a csv, not both', patient);
  if (workers !== undefined && !(Number.isInteger(workers) && workers > 0))
    throw new InvalidArgument('workers', 'a whole number above 0', workers);
  if (seed !== undefined && !Number.isSafeInteger(seed))
    throw new InvalidArgument('seed', 'a whole number', seed);
  if (index !== undefined && !(Number.isInteger(index) && index >= 0))
    throw new InvalidArgument('index', 'a whole number, 0 or more', index);
  if (baseline && baseline.how !== 'resample' && baseline.how !== 'crop')
    throw new InvalidArgument('baseline.how', 'a way to make it', baseline.how, ['resample', 'crop']);
  const settings: Partial<VoxelSettings> = {
    ...(canonical !== undefined && { canonical }),
    ...(spacing && { spacing: checkSpacing('spacing', spacing) }),
    ...(baseline && { baseline: { shape: checkShape('baseline', baseline.shape), how: baseline.how } }),
    ...(antialias !== undefined && { antialias }),
    ...(index !== undefined && { index }),
    ...(channel !== undefined && { channel }),
  };
  if (intensity !== undefined) resolveIntensity(intensity, { data: new Float32Array(1) });
  const fractions = split && checkFractions(split);
  const table = csv === undefined ? undefined : readPatientTable(csv);
  const { sources, leftOut, dicom } = await searchInput(input, { series, signal, onProgress });
  const wanted = options.only && new Set(options.only.flatMap((path) => [path, resolve(path)]));
  const chosen = wanted ? sources.filter(({ path }) => wanted.has(path)) : sources;
  if (chosen.length === 0) throw new InvalidArgument('only', 'at least one file of the input', options.only);
  const owners = patientsOf(chosen, { pattern: patient, table });
  const byName = patient === undefined && csv === undefined;
  return { owners, byName, settings, intensity, fractions, seed, resplit, leftOut, dicom };
}

/** What a new dataset has where no option says otherwise. */
const newSettings: VoxelSettings = {
  format: formatVersion,
  canonical: false,
  spacing: null,
  baseline: null,
  antialias: true,
};

/** Adds what the last call decided. Errors are those of `planSides`. */
function completeRequest(request: Request, before: Partial<DatasetIndex> | undefined) {
  const { byName, leftOut, dicom } = request;
  const stored = before?.version === formatVersion ? before.settings : undefined;
  const settings: VoxelSettings = { ...newSettings, ...stored, ...request.settings };
  const { owners, notes } = byName ? keepPatients(request.owners, before) : { ...request, notes: [] };
  const intensity = request.intensity ?? before?.intensity ?? 'auto';
  const sides = planSides({ ...request, owners }, before);
  return { sources: [...owners.keys()], owners, settings, intensity, sides, leftOut, dicom, notes };
}
