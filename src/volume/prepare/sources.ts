import { createHash } from 'node:crypto';
import { existsSync, lstatSync, statSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { InvalidArgument } from '../../errors';
import { openError } from '../fault';
import { type FolderContent, noVolumes, searchFolder } from '../folder';
import { pairPaths, volumeStem } from '../names';

/** A file to prepare. */
export interface Source {
  readonly path: string;
  /** Relative to the input folder it was found in, with forward slashes; for a file that was named, its name. */
  readonly file: string;
  /** Of its folder in the store. */
  readonly name: string;
}

/** What an input holds. */
export interface Input extends Omit<FolderContent, 'volumes'> {
  readonly sources: readonly Source[];
}

/** The NIfTI files of a folder and the folders in it, or files by name. Errors are those of `searchInput`. */
export function findSources(input: string | readonly string[]): readonly Source[] {
  return searchInput(input).sources;
}

/**
 * The NIfTI files of a folder and the folders in it, or files by name, in the order of their paths.
 * @throws InvalidArgument if there is none, or a path does not exist
 */
export function searchInput(input: string | readonly string[]): Input {
  const found = new Map<string, string>();
  const leftOut: FolderContent['leftOut'][number][] = [];
  const dicom: string[] = [];
  for (const entry of [input].flat() as readonly string[]) {
    // A link that leads nowhere exists too: reading says what it is.
    const state = statSync(entry, { throwIfNoEntry: false });
    if (!state && !lstatSync(entry, { throwIfNoEntry: false }))
      throw new InvalidArgument('input', 'a folder or a NIfTI file', entry);
    if (state?.isDirectory()) {
      const content = searchFolder(entry);
      for (const file of content.volumes) found.set(resolve(entry, file), file);
      leftOut.push(...content.leftOut);
      dicom.push(...content.dicom);
    } else found.set(resolve(entry), basename(entry));
  }
  if (found.size === 0) throw new InvalidArgument('input', noVolumes({ volumes: [], leftOut, dicom }), input);
  const files = [...found].map(([path, file]) => ({ path, file, name: plainName(file) }));
  files.sort((a, b) => (a.file < b.file ? -1 : a.file > b.file ? 1 : a.path < b.path ? -1 : 1));
  return { sources: distinctNames(files), leftOut, dicom };
}

/** Gives volumes of the same name names of their own, which stay if the input is moved. */
function distinctNames(files: readonly Source[]): Source[] {
  // Compared without case, for file systems that do not tell `A` from `a`.
  const names = count(files.map(({ name }) => name.toLowerCase()));
  const inInput = count(files.map(({ file }) => file));
  return files.map((source) => {
    if (names.get(source.name.toLowerCase()) === 1) return source;
    // Files of several folders may have the same path within theirs.
    const told = inInput.get(source.file) === 1 ? source.file : source.path;
    return { ...source, name: `${source.name}-${fingerprint(told)}` };
  });
}

function count(keys: readonly string[]): Map<string, number> {
  const uses = new Map<string, number>();
  for (const key of keys) uses.set(key, (uses.get(key) ?? 0) + 1);
  return uses;
}

/** File systems take names of 255 bytes, encrypted ones 143; ours become a little longer while they are written. */
const longestName = 110;

/** A file's path as one folder's name. */
export function plainName(file: string): string {
  const stem = volumeStem(file).replaceAll('/', '__');
  const name = stem.replace(/[^\w.-]/g, '_').replace(/^\./, '_') || '_';
  return name.length <= longestName ? name : `${name.slice(0, longestName - 9)}-${fingerprint(file)}`;
}

function fingerprint(path: string): string {
  return createHash('sha256').update(path).digest('hex').slice(0, 8);
}

/** The files that a source consists of: itself, or a pair's header and image. */
export function filesOf({ path }: Pick<Source, 'path'>): string[] {
  const pair = pairPaths(path);
  if (!pair) return [path];
  return [pair.header, ...pair.images.filter((image) => existsSync(image)).slice(0, 1)];
}

/** Size and time of the last change of what a source consists of. */
export function stateOf(source: Pick<Source, 'path'>): { bytes: number; modified: number } {
  const states = filesOf(source).map((file) => {
    try {
      return statSync(file);
    } catch (error) {
      throw openError(file, error);
    }
  });
  return {
    bytes: states.reduce((sum, { size }) => sum + size, 0),
    modified: Math.max(...states.map(({ mtimeMs }) => mtimeMs)),
  };
}
