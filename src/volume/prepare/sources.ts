import { createHash } from 'node:crypto';
import { existsSync, statSync } from 'node:fs';
import { withPath } from '../../atomic-file';
import { openError } from '../base/fault';
import { filesOfVolume } from '../formats/file';
import { pairPaths, volumeStem } from '../formats/names';
import { type FoundVolume, findVolumes, type Intake, nothingFound } from '../intake';
import type { SeriesOptions } from '../series';
import { indexFile, type LeftOut } from '../store/format';

/** A file or DICOM series to prepare. */
export interface Source extends Omit<FoundVolume, 'given'> {
  /** Name of its folder in the dataset. */
  readonly name: string;
}

/** The contents of an input. */
interface Input {
  readonly sources: readonly Source[];
  readonly leftOut: readonly LeftOut[];
  /** Absent if there are no DICOM series. */
  readonly dicom?: Intake['dicom'];
}

/**
 * The volumes that `findVolumes` finds, sorted by path, each with a name of its own. What is left out is named by its path
 * within the input, so that a dataset is the same wherever the input lies.
 * @throws InvalidArgument if there is nothing, or the choice fits no series
 */
export async function searchInput(
  input: string | readonly string[],
  call: SeriesOptions = {},
): Promise<Input> {
  const intake = await findVolumes(input, call);
  const { volumes, datasets, dicom } = intake;
  const reason = 'a prepared dataset; give the files that it was made of';
  const leftOut = [...datasets.map((given) => ({ file: given, given, reason })), ...intake.leftOut];
  if (volumes.length === 0) throw nothingFound('input', input, { leftOut });
  return {
    sources: nameVolumes(volumes),
    leftOut: leftOut.map(({ file, reason }) => ({ file, reason })),
    ...(dicom && { dicom }),
  };
}

/** Sorts volumes by path, and gives each a name, which stays the same if the input moves. */
export function nameVolumes(volumes: readonly FoundVolume[]): (FoundVolume & Source)[] {
  const named = volumes.map((volume) => ({
    ...volume,
    name: volume.series ? volume.file : plainName(volume.file),
  }));
  named.sort((a, b) => (a.file < b.file ? -1 : a.file > b.file ? 1 : a.path < b.path ? -1 : 1));
  return distinctNames(named);
}

/** Gives volumes of the same name different names. */
function distinctNames<T extends Source>(files: readonly T[]): T[] {
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
  // Windows shares take no dot at the end.
  const name = stem.replace(/[^\w.-]/g, '_').replace(/^\.|\.$/g, '_') || '_';
  if (isReservedName(name)) return `${name}-${fingerprint(file)}`;
  return name.length <= longestName ? name : `${name.slice(0, longestName - 9)}-${fingerprint(file)}`;
}

/** Whether a dataset has a file of this name beside its volumes. Some file systems ignore case. */
export function isReservedName(name: string): boolean {
  return [indexFile, 'zarr.json'].includes(name.toLowerCase());
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
