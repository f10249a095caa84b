/** Which volumes are where, and which files are not used and why: one answer for every command. */
import { lstatSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { attempt, InvalidArgument, UnreadableFile } from '../errors';
import { reasonOf } from './base/fault';
import { notDicom } from './dicom/elements';
import { type DicomContent, type Series, scanDicom, whyNotDicom } from './dicom/scan';
import { type FolderContent, searchFolder } from './folder';
import { hasDicomEnding } from './formats/foreign';
import { patientsBelow } from './patient-name';
import { isDicomFile, matchingSeries, type SeriesOptions, unnamed } from './series';

/** A volume file or a DICOM series. */
export interface FoundVolume {
  /** Absolute. For a series its name, because the paths of its files may name the patient. */
  readonly path: string;
  /** Path within the input folder, with forward slashes. For a file given by path, its name. */
  readonly file: string;
  /** The path as the caller would write it. */
  readonly given: string;
  /** By the file's name or folder (`patientByName`), or the pseudonym of DICOM. */
  readonly patient: string;
  readonly series?: Series;
}

/** A file, folder or series that is not used. */
export interface NotUsed {
  readonly file: string;
  readonly given: string;
  readonly reason: string;
}

/** What lies at some paths. */
export interface Intake {
  /** In the order of the paths, then of the files within a folder, then the DICOM series. Nothing is opened but DICOM. */
  readonly volumes: readonly FoundVolume[];
  /** Paths that are folders in Zarr, such as prepared datasets. */
  readonly datasets: readonly string[];
  readonly leftOut: readonly NotUsed[];
  /** Files among the DICOM files that are none, and the key of the pseudonyms; absent if there are no series. */
  readonly dicom?: Pick<DicomContent, 'skipped' | 'key'>;
}

/** The kinds of volumes, for an error that finds none. */
const kinds = 'volumes (.nii, .nii.gz, .hdr + .img, .mha, .mhd, .nrrd, .nhdr, DICOM)';

/**
 * Finds the volumes of files, folders and their subfolders. A folder without volumes, a DICOM series that is no volume, and
 * whatever else cannot be used is left out with its reason. A path where nothing is counts as a volume among others;
 * reading it gives the reason.
 * @param call `series` chooses DICOM series; default: all that are volumes. `beside`: the caller has other volumes too
 * @throws InvalidArgument if nothing is at any of the paths, or the choice fits no series; the signal's reason on abort
 */
export async function findVolumes(
  input: string | readonly string[],
  call: SeriesOptions & { readonly beside?: boolean } = {},
): Promise<Intake> {
  const entries = [input].flat() as readonly string[];
  const missing = entries.filter(isNothing);
  if (!call.beside && missing.length > 0 && missing.length === entries.length)
    throw nothingFound('input', input, { leftOut: missing.map(notThere) });
  const files = new Map<string, Omit<FoundVolume, 'patient'>>();
  const folders: string[] = [];
  const maybeDicom = new Set<string>();
  /** DICOM files that were given one by one, as the caller wrote them. */
  const typed = new Map<string, string>();
  const datasets: string[] = [];
  const leftOut: NotUsed[] = [];
  const unsearched: { entry: string; one: FolderContent['leftOut'][number] }[] = [];
  const empty: { entry: string; maybe: readonly string[]; zarr: readonly string[] }[] = [];
  for (const entry of entries) {
    const path = resolve(entry);
    if (!attempt(() => statSync(path))?.isDirectory()) {
      folders.push(dirname(path));
      if (isDicomFile(path)) {
        const reason = whyNotDicom(path);
        if (reason === undefined) typed.set(path, entry);
        else leftOut.push({ file: basename(entry), given: entry, reason });
      } else files.set(path, { path, file: basename(entry), given: entry });
      continue;
    }
    const content = searchFolder(path);
    const { zarr } = content;
    folders.push(path);
    if (zarr.includes('.')) {
      datasets.push(entry);
      continue;
    }
    for (const file of content.volumes) {
      const own = { path: join(path, file), file, given: join(entry, file) };
      if (!files.has(own.path)) files.set(own.path, own);
    }
    const maybe = content.mayBeDicom.map((file) => join(path, file));
    for (const one of maybe) maybeDicom.add(one);
    unsearched.push(...content.leftOut.map((one) => ({ entry, one })));
    if (content.volumes.length + content.leftOut.length === 0) empty.push({ entry, maybe, zarr });
  }
  const dicom = await scanDicom(resolve(entries[0] ?? '.'), [...maybeDicom, ...typed.keys()], call);
  const slices = new Set(dicom.series.flatMap((one) => one.files));
  /** The folders that hold slices, at any depth. */
  const ofDicom = new Set<string>();
  for (const path of slices)
    for (let folder = dirname(path); !ofDicom.has(folder); folder = dirname(folder)) ofDicom.add(folder);
  for (const { entry, one } of unsearched) {
    // A name beside DICOM files may be a patient's.
    const own = ofDicom.has(dirname(join(resolve(entry), one.file))) ? unnamed(one) : one;
    leftOut.push({ ...own, given: join(entry, own.file) });
  }
  const series = usableSeries(dicom, call);
  leftOut.push(...unusable(dicom, typed));
  const used = new Set(series.flatMap((one) => one.series?.files ?? []));
  for (const { entry, maybe, zarr } of empty) {
    if (maybe.some((path) => slices.has(path))) {
      // Of a folder among others; alone, the reasons of its series are the error.
      if (entries.length > 1 && !maybe.some((path) => used.has(path)))
        leftOut.push({ file: entry, given: entry, reason: 'no DICOM series in it is used' });
      continue;
    }
    const dataset = zarr.length > 0 ? `; ${join(entry, zarr[0]!)} is in Zarr; give it by itself` : '';
    const reason = reasonOf(entry, emptyFolder(entry)) + dataset;
    leftOut.push({ file: entry, given: entry, reason });
  }
  const patients = patientsBelow(folders, [...files.keys()]);
  return {
    volumes: [...[...files.values()].map((file, i) => ({ ...file, patient: patients[i]! })), ...series],
    datasets,
    leftOut,
    ...(dicom.series.length > 0 && { dicom: { skipped: dicom.skipped, key: dicom.key } }),
  };
}

/** Whether nothing is at a path, not even a broken link. */
function isNothing(path: string): boolean {
  return attempt(() => lstatSync(path, { throwIfNoEntry: false }) === undefined) ?? false;
}

function notThere(path: string): NotUsed {
  const reason = 'nothing is there; check the spelling, and the folder that you are in';
  return { file: path, given: path, reason };
}

/** A file that is not used, by the path that the caller would write. */
export function asGiven({ given, reason }: NotUsed): { file: string; reason: string } {
  return { file: given, reason };
}

/** The error for paths without volumes. It names the first things that are left out. */
export function nothingFound(
  argument: string,
  input: unknown,
  { leftOut }: Pick<Intake, 'leftOut'>,
): InvalidArgument {
  const why = leftOut.length > 0 ? ` (${named(leftOut)})` : '';
  return new InvalidArgument(argument, `${kinds}, or a folder with them${why}`, input);
}

/** The error for a folder without volumes. */
export function emptyFolder(folder: string, leftOut: readonly NotUsed[] = []): UnreadableFile {
  const within = leftOut.filter(({ given }) => given !== folder);
  return new UnreadableFile(folder, `a folder with ${kinds}`, within.length > 0 ? named(within) : 'none');
}

function named(leftOut: readonly NotUsed[]): string {
  const first = leftOut.slice(0, 3).map(({ given, reason }) => `${given}: ${reason}`);
  return [...first, ...(leftOut.length > 3 ? [`${leftOut.length - 3} more`] : [])].join('; ');
}

function usableSeries({ series }: DicomContent, { series: choice }: SeriesOptions): FoundVolume[] {
  const usable = series.filter(({ unusable }) => unusable === undefined);
  const chosen = usable.length > 0 ? matchingSeries(usable, choice) : [];
  return chosen.map((one) => ({
    path: one.name,
    file: one.name,
    given: one.name,
    patient: one.patient,
    series: one,
  }));
}

/** Series that are no volumes. Where there are no series at all, also files that cannot be read or are falsely named. */
function unusable({ series, skipped }: DicomContent, typed: ReadonlyMap<string, string>): NotUsed[] {
  if (series.length > 0)
    return series.flatMap(({ name, unusable: reason, files }) =>
      reason === undefined ? [] : [{ file: name, given: typed.get(files[0] ?? '') ?? name, reason }],
    );
  return skipped
    .filter(({ example, reason }) => hasDicomEnding(example) || reason !== notDicom)
    .map(({ example, files, reason }) => ({
      file: example,
      given: example,
      reason: files === 1 ? reason : `${reason}; ${files - 1} more such files`,
    }));
}
