import { createHash } from 'node:crypto';
import { existsSync, lstatSync, statSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { InvalidArgument } from '../../errors';
import { openError } from '../base/fault';
import { type FolderContent, noVolumes, searchFolder } from '../folder';
import { filesOfVolume } from '../formats/file';
import { pairPaths, volumeStem } from '../formats/names';

/** A file to prepare. */
export interface Source {
  readonly path: string;
  /** Path within the input folder, with forward slashes. For a file given by path, its name. */
  readonly file: string;
  /** Name of its folder in the dataset. */
  readonly name: string;
}

/** The contents of an input. */
interface Input extends Omit<FolderContent, 'volumes'> {
  readonly sources: readonly Source[];
}

/**
 * The volume files of folders and their subfolders, and files given by path, sorted by path.
 * @throws InvalidArgument if there are no files, or a path does not exist
 */
export function searchInput(input: string | readonly string[]): Input {
  const found = new Map<string, string>();
  const leftOut: FolderContent['leftOut'][number][] = [];
  const [dicom, mayBeDicom]: [string[], string[]] = [[], []];
  for (const entry of [input].flat() as readonly string[]) {
    // A broken link passes here; reading it gives the reason.
    const state = statSync(entry, { throwIfNoEntry: false });
    if (!state && !lstatSync(entry, { throwIfNoEntry: false }))
      throw new InvalidArgument('input', 'a folder or a volume file', entry);
    if (state?.isDirectory()) {
      const content = searchFolder(entry);
      for (const file of content.volumes) found.set(resolve(entry, file), file);
      leftOut.push(...content.leftOut);
      dicom.push(...content.dicom);
      mayBeDicom.push(...content.mayBeDicom.map((file) => resolve(entry, file)));
    } else found.set(resolve(entry), basename(entry));
  }
  if (found.size === 0)
    throw new InvalidArgument('input', noVolumes({ volumes: [], leftOut, dicom, mayBeDicom }), input);
  const files = [...found].map(([path, file]) => ({ path, file, name: plainName(file) }));
  files.sort((a, b) => (a.file < b.file ? -1 : a.file > b.file ? 1 : a.path < b.path ? -1 : 1));
  return { sources: distinctNames(files), leftOut, dicom, mayBeDicom };
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

/** The files of a source: itself, or a header and the files with its voxels. */
export function filesOf({ path }: Pick<Source, 'path'>): readonly string[] {
  const pair = pairPaths(path);
  if (!pair) return filesOfVolume(path);
  return [pair.header, ...pair.images.filter((image) => existsSync(image)).slice(0, 1)];
}

/** Total size and last change of a source's files. */
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
