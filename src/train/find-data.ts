/** What a run trains on: finds the entries of `data`, and keeps what no file holds. */
import { renameSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { InvalidArgument, InvalidConfig } from '../errors';
import { makeFolder } from '../make-folder';
import type { LongCall } from '../progress';
import { isOwnFault, reasonOf } from '../volume/base/fault';
import { withConverted } from '../volume/dicom/convert';
import type { Series } from '../volume/dicom/scan';
import { asGiven, type FoundVolume, findVolumes, nothingFound } from '../volume/intake';
import { patientByName, patientsBelow } from '../volume/patient-name';
import { type InspectedFile, type Inspection, inspectFiles, strictError } from '../volume/prepare/inspect';
import { type Oddity, oddityText } from '../volume/prepare/oddities';
import { describe } from '../volume/series';
import { openDataset } from '../volume/store/dataset';
import type { LeftOut } from '../volume/store/format';
import { Volume } from '../volume/volume';
import { writeVolume } from '../volume/write';
import { isPhantom, phantomOptions } from './data/loader';
import type { RunConfig } from './settings/config';
import { onTwoSides } from './two-sides';

/** One volume or dataset of a run. A phantom and a dataset are texts. */
type DataEntry = Volume | FoundVolume | string;

interface FoundData {
  readonly entries: readonly DataEntry[];
  /** The patient of each entry. Absent for datasets, which know theirs. */
  readonly patients?: readonly string[];
  readonly leftOut: readonly LeftOut[];
  /** What is odd about datasets beside one another. */
  readonly oddities: readonly Oddity[];
  /** Which DICOM series is used of each patient, and which are not. */
  readonly notes: readonly string[];
}

/**
 * Finds the volumes of a run. Of each DICOM patient it takes the series with the most slices: the others are mostly the
 * same scan once more.
 * @throws InvalidConfig if there is none, there are datasets beside volumes, or a patient is on different sides of two
 * datasets; UnreadableFile for a damaged dataset
 */
export async function findData(given: readonly (string | Volume)[], call: LongCall): Promise<FoundData> {
  const isPath = (entry: string | Volume): entry is string =>
    !(entry instanceof Volume) && phantomOptions(entry) === undefined;
  const paths = given.filter(isPath);
  const intake = await findVolumes(paths, { signal: call.signal }).catch(asProblem);
  const { datasets } = intake;
  const opened = datasets.map((dir) => openDataset(dir));
  const { chosen, notes } = onePerPatient(intake.volumes);
  const found: DataEntry[] = [...datasets, ...chosen];
  const first = given.findIndex(isPath);
  // The paths' volumes stand together, in the place of the first path.
  const entries = given.flatMap((entry, i): DataEntry[] =>
    isPath(entry) ? (i === first ? found : []) : [entry],
  );
  if (given.length > 0 && entries.length === 0) throw noData(paths, intake.leftOut.map(asGiven));
  const others = entries.filter((entry) => typeof entry !== 'string' || !datasets.includes(entry));
  if (datasets.length > 0 && others.length > 0) throw mixed(others.map(nameOf));
  const leftOut = intake.leftOut.map(asGiven);
  if (datasets.length === 0) return { entries, patients: patientsOf(entries), leftOut, oddities: [], notes };
  const { certain, odd: oddities } = onTwoSides(opened);
  if (certain.length > 0) throw twoSides(certain);
  return { entries, leftOut, oddities, notes };
}

/** A phantom is a patient of its own. So is a volume that was made in memory. */
function patientsOf(entries: readonly DataEntry[]): string[] {
  const read = entries.flatMap((entry) =>
    entry instanceof Volume && entry.source?.includes('/') ? [entry.source] : [],
  );
  const below = patientsBelow(read.map(dirname), read);
  return entries.map((entry, i) => {
    if (typeof entry === 'string') return entry;
    if (!(entry instanceof Volume)) return entry.patient;
    const { source } = entry;
    if (source === undefined) return `volume ${i + 1}`;
    if (isPhantom(source)) return source;
    return below[read.indexOf(source)] ?? patientByName(source);
  });
}

/** What a run keeps of its data: the texts of `data` in its config, and what was found. */
export interface RunData extends Pick<Inspection, 'leftOut' | 'oddities'> {
  readonly data: readonly string[];
  readonly patients?: readonly string[];
  /** Which DICOM series is used of each patient, and which are not. */
  readonly notes: readonly string[];
}

/** How `train` looks at its data before the ranks start. */
export interface TrainCall extends LongCall {
  /** Refuse data of which anything is left out or odd. */
  readonly strict?: boolean;
  /** Called with what was found, before the ranks start; default: warn of it on the console. `prepare` has looked at datasets: it is
   * called for them only if patients of one name are on different sides. */
  readonly onInspect?: (inspection: Inspection) => void;
}

/**
 * Writes volumes in memory and DICOM series to files in a folder of the run, so that every rank reads them, and looks at
 * all volume files. Those that cannot be read are left out.
 * @throws InvalidConfig if nothing is left, or datasets should be read in another way; UnreadableFile if the call is strict and anything is left out or odd
 */
export async function keepData(
  folder: string,
  { entries, leftOut: notUsed, oddities: before, notes }: FoundData,
  config: RunConfig,
  call: TrainCall,
): Promise<RunData> {
  checkDatasets(entries, config);
  const leftOut = [...notUsed];
  const kept: { path: string; entry: DataEntry; patient?: string; file?: InspectedFile }[] = [];
  const stored: readonly DataEntry[] = entries.filter((entry) => entry instanceof Volume || isSeries(entry));
  if (stored.length > 0) makeFolder(folder);
  for (const [i, entry] of entries.entries()) {
    const patient = config.patients?.[i];
    const done = stored.indexOf(entry);
    if (done >= 0) call.onProgress?.({ done, total: stored.length, what: 'volumes' });
    try {
      const { file, ...own } = await keepEntry(folder, entry, done, call);
      kept.push({ ...own, patient, ...(file && { file: { ...file, patient: patient ?? file.patient } }) });
    } catch (error) {
      if (!isSeries(entry) || !isOwnFault(error)) throw error;
      leftOut.push({ file: entry.given, reason: reasonOf(entry.given, error) });
    }
  }
  const files = kept.flatMap(({ file }) => file ?? []);
  const { canonical, index } = config;
  const inspection = await inspectFiles(files, leftOut, {
    ...call,
    canonical,
    index,
    holdsOut: config.validation > 0,
  });
  const { leftOut: all } = inspection;
  const oddities = [...before, ...inspection.oddities];
  const unreadable = new Set(all.map(({ file }) => file));
  const left = kept.filter(({ file }) => !file || !unreadable.has(file.file));
  const data = left.map(({ path }) => path);
  const patients = left.flatMap(({ patient }) => patient ?? []);
  if (data.length === 0 && entries.length > 0) throw noData(entries.map(nameOf), all);
  const refused = call.strict
    ? strictError(entries.map(nameOf).slice(0, 3).join(', '), { leftOut: all, oddities })
    : undefined;
  if (files.length + all.length + oddities.length > 0) (call.onInspect ?? warn)({ ...inspection, oddities });
  if (refused) throw refused;
  return { data, ...(patients.length > 0 && { patients }), leftOut: all, oddities, notes };
}

function warn({ leftOut, oddities }: Inspection): void {
  for (const { file, reason } of leftOut) console.warn(`left out ${file}: ${reason}`);
  for (const oddity of oddities) console.warn(`note: ${oddityText(oddity)}`);
}

/** Keeps an entry. `path` is its text in the run's config; `file` is what can be looked at. */
async function keepEntry(folder: string, entry: DataEntry, n: number, { signal }: LongCall) {
  if (entry instanceof Volume) {
    const path = join(folder, `volume-${n}.nii`);
    await writeVolume(path, entry, { dtype: 'float32', signal });
    return { path, entry };
  }
  if (typeof entry === 'string') return { path: isPhantom(entry) ? entry : resolve(entry), entry };
  const { series, given: file } = entry;
  if (!series) {
    const { path, patient } = entry;
    return { path, entry, file: { path, file, patient } };
  }
  const path = join(folder, `${series.name}.nii`);
  const notes = await withConverted(series, { signal, within: folder }, async (made) => {
    renameSync(made.path, path);
    return made.notes;
  });
  const converted = [...series.notes, ...notes];
  return { path, entry, file: { path, file, patient: series.patient, converted } };
}

function isSeries(entry: DataEntry): entry is FoundVolume {
  return typeof entry === 'object' && !(entry instanceof Volume) && entry.series !== undefined;
}

/** Makes a wrong path a problem of the setting `data`. */
function asProblem(error: unknown): never {
  if (!(error instanceof InvalidArgument)) throw error;
  const { expected, received } = error;
  throw new InvalidConfig([{ key: 'data', expected, received }]);
}

/** The error for a run without data. */
function noData(names: readonly string[], leftOut: readonly LeftOut[]): InvalidConfig {
  const received = names.length === 1 ? names[0] : names;
  const named = leftOut.map(({ file, reason }) => ({ file, given: file, reason }));
  const { expected } = nothingFound('data', received, { leftOut: named });
  return new InvalidConfig([{ key: 'data', expected, received }]);
}

/** Datasets were prepared with settings of their own. */
function checkDatasets(entries: readonly DataEntry[], config: RunConfig): void {
  if (!entries.some((entry) => typeof entry === 'string' && !isPhantom(entry))) return;
  const given = { canonical: config.canonical || undefined, spacing: config.spacing, index: config.index };
  const problems = Object.entries(given)
    .filter(([, received]) => received !== undefined)
    .map(([key, received]) => ({ key, expected: 'nothing for a prepared dataset; prepare it so', received }));
  if (problems.length > 0) throw new InvalidConfig(problems);
}

function mixed(others: readonly string[]): InvalidConfig {
  const expected = 'either prepared datasets or volumes: their splits do not mix';
  return new InvalidConfig([{ key: 'data', expected, received: others }]);
}

function twoSides(pairs: readonly string[]): InvalidConfig {
  const expected =
    'datasets that have each patient on one side; make one dataset of all their files with `npx patchwise prepare`';
  return new InvalidConfig([{ key: 'data', expected, received: pairs }]);
}

/** An entry in a message. */
export function nameOf(entry: DataEntry): string {
  if (typeof entry === 'string') return entry;
  return entry instanceof Volume ? (entry.source ?? 'a volume in memory') : entry.given;
}

function onePerPatient(volumes: readonly FoundVolume[]): { chosen: FoundVolume[]; notes: string[] } {
  const ofPatient = new Map<string, FoundVolume[]>();
  for (const volume of volumes) {
    const { series } = volume;
    if (series) ofPatient.set(series.patient, [...(ofPatient.get(series.patient) ?? []), volume]);
  }
  const taken = new Set<FoundVolume>();
  const notes: string[] = [];
  for (const [patient, own] of ofPatient) {
    const [most, ...others] = own as [FoundVolume, ...FoundVolume[]]; // the one with the most slices comes first
    taken.add(most);
    const named = (volume: FoundVolume) => describe(volume.series as Series);
    const rest = others.length > 0 ? `; not used: ${others.map(named).join('; ')}` : '';
    notes.push(`patient ${patient}: ${named(most)}${rest}`);
  }
  return { chosen: volumes.filter((volume) => !volume.series || taken.has(volume)), notes };
}
