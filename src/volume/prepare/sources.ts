import { createHash } from 'node:crypto';
import { existsSync, lstatSync, statSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { withPath } from '../../atomic-file';
import { InvalidArgument } from '../../errors';
import { openError } from '../base/fault';
import { type DicomContent, type Series, scanDicom } from '../dicom/scan';
import { type FolderContent, noVolumes, searchFolder } from '../folder';
import { filesOfVolume } from '../formats/file';
import { hasDicomEnding } from '../formats/foreign';
import { pairPaths, volumeStem } from '../formats/names';
import { dicomFiles, matchingSeries, type SeriesOptions } from '../series';
import type { LeftOut } from '../store/format';

/** A file or DICOM series to prepare. */
export interface Source {
  /** For a series its name, because the paths of its files may name the patient. */
  readonly path: string;
  /** Path within the input folder, with forward slashes. For a file given by path, its name. */
  readonly file: string;
  /** Name of its folder in the dataset. */
  readonly name: string;
  readonly series?: Series;
}

/** The contents of an input. */
interface Input {
  readonly sources: readonly Source[];
  readonly leftOut: readonly LeftOut[];
  /** Absent if there are no DICOM series. */
  readonly dicom?: Pick<DicomContent, 'skipped' | 'key'>;
}

/**
 * The volume files and DICOM series of folders and their subfolders, and files given by path, sorted by path. A DICOM
 * series that is no volume is left out with its reason.
 * @param call `series` chooses DICOM series; default: all that are volumes
 * @throws InvalidArgument if there is nothing, a path does not exist, or the choice fits no series
 */
export async function searchInput(
  input: string | readonly string[],
  call: SeriesOptions = {},
): Promise<Input> {
  const entries = [input].flat() as readonly string[];
  const found = new Map<string, string>();
  const contents: FolderContent[] = [];
  const maybe = new Set<string>();
  for (const entry of entries) {
    // A broken link passes here; reading it gives the reason.
    const state = statSync(entry, { throwIfNoEntry: false });
    if (!state && !lstatSync(entry, { throwIfNoEntry: false }))
      throw new InvalidArgument('input', 'a folder or a volume file', entry);
    if (state?.isDirectory()) {
      const content = searchFolder(entry);
      for (const file of content.volumes) found.set(resolve(entry, file), file);
      for (const file of content.mayBeDicom) maybe.add(resolve(entry, file));
      contents.push(content);
    } else if (dicomFiles(entry)) maybe.add(resolve(entry));
    else found.set(resolve(entry), basename(entry));
  }
  const dicom = await scanDicom(resolve(entries[0] ?? '.'), [...maybe], call);
  const usable = dicom.series.filter(({ unusable }) => unusable === undefined);
  const chosen = usable.length > 0 ? matchingSeries(usable, call.series) : [];
  const unusable = dicom.series.flatMap(({ name, unusable: reason }) =>
    reason ? [{ file: name, reason }] : [],
  );
  // Beside series these are told as notes on the DICOM files.
  const falselyNamed =
    dicom.series.length > 0 ? [] : dicom.skipped.filter(({ example }) => hasDicomEnding(example));
  const leftOut = [
    ...contents.flatMap((content) => content.leftOut),
    ...unusable,
    ...falselyNamed.map(({ example, files, reason }) => ({
      file: example,
      reason: files === 1 ? reason : `${reason}; ${files - 1} more such files`,
    })),
  ];
  if (found.size + chosen.length === 0) {
    const [first] = leftOut;
    throw new InvalidArgument('input', noVolumes(first), input);
  }
  const files = [...found].map(([path, file]): Source => ({ path, file, name: plainName(file) }));
  files.push(
    ...chosen.map((series) => ({ path: series.name, file: series.name, name: series.name, series })),
  );
  files.sort((a, b) => (a.file < b.file ? -1 : a.file > b.file ? 1 : a.path < b.path ? -1 : 1));
  return { sources: distinctNames(files), leftOut, ...(dicom.series.length > 0 && { dicom }) };
}

/** Gives volumes of the same name different names, which stay the same if the input moves. */
function distinctNames(files: readonly Source[]): Source[] {
  // Compared without case, because some file systems ignore it.
  const names = count(files.map(({ name }) => name.toLowerCase()));
  const inInput = count(files.map(({ file }) => file));
  return files.map((source) => {
    if (names.get(source.name.toLowerCase()) === 1) return source;
    // Files of several input folders may have the same path within their folder.
    const told = inInput.get(source.file) === 1 ? source.file : source.path;
    return { ...source, name: `${source.name}-${fingerprint(told)}` };
  });
}

function count(keys: readonly string[]): Map<string, number> {
  const uses = new Map<string, number>();
  for (const key of keys) uses.set(key, (uses.get(key) ?? 0) + 1);
  return uses;
}

/** File systems allow names of 255 bytes, encrypted ones 143. Our temporary names are a little longer than this. */
const longestName = 110;

/** Turns a file's path into a folder's name. */
export function plainName(file: string): string {
  const stem = volumeStem(file).replaceAll('/', '__');
  const name = stem.replace(/[^\w.-]/g, '_').replace(/^\./, '_') || '_';
  return name.length <= longestName ? name : `${name.slice(0, longestName - 9)}-${fingerprint(file)}`;
}

function fingerprint(path: string): string {
  return createHash('sha256').update(path).digest('hex').slice(0, 8);
}

/** The files of a source: itself, a header and the files with its voxels, or the files of a series. */
export function filesOf({ path, series }: Pick<Source, 'path' | 'series'>): readonly string[] {
  if (series) return series.files;
  const pair = pairPaths(path);
  if (!pair) return filesOfVolume(path);
  return [pair.header, ...pair.images.filter((image) => existsSync(image)).slice(0, 1)];
}

/** Total size and last change of a source's files. */
export function stateOf(source: Pick<Source, 'path' | 'series'>): { bytes: number; modified: number } {
  const states = filesOf(source).map((file) => {
    try {
      return statSync(file);
    } catch (error) {
      throw sourceError(source, file, error);
    }
  });
  return {
    bytes: states.reduce((sum, { size }) => sum + size, 0),
    modified: states.reduce((latest, { mtimeMs }) => Math.max(latest, mtimeMs), 0),
  };
}

/** The error for a file of a source that cannot be read. It names a series and not its file. */
export function sourceError(
  { path, series }: Pick<Source, 'path' | 'series'>,
  file: string,
  error: unknown,
): unknown {
  return series ? openError(path, error) : withPath(openError(file, error), file);
}
