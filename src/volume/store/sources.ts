import { createHash } from 'node:crypto';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { basename, join, relative, resolve, sep } from 'node:path';
import { InvalidArgument } from '../../errors';
import { openError } from '../fault';
import { pairPaths } from '../names';

/** A file to prepare. */
export interface Source {
  readonly path: string;
  /** Relative to the input folder it was found in, with forward slashes; for a file that was named, its name. */
  readonly file: string;
  /** Of its folder in the store. */
  readonly name: string;
}

const niftiName = /\.(nii|hdr)(\.gz)?$/i;

/**
 * The NIfTI files of a folder and the folders in it, or files by name, in the order of their paths.
 * @throws InvalidArgument if there is none, or a path does not exist
 */
export function findSources(input: string | readonly string[]): Source[] {
  const found = new Map<string, string>();
  for (const entry of [input].flat() as readonly string[]) {
    if (!existsSync(entry)) throw new InvalidArgument('input', 'a folder or a NIfTI file', entry);
    if (statSync(entry).isDirectory()) {
      for (const path of walk(entry)) found.set(resolve(path), relative(entry, path).split(sep).join('/'));
    } else found.set(resolve(entry), basename(entry));
  }
  if (found.size === 0)
    throw new InvalidArgument('input', 'a folder with NIfTI files (.nii, .nii.gz, .hdr)', input);
  const files = [...found].map(([path, file]) => ({ path, file, name: plainName(file) }));
  files.sort((a, b) => (a.file < b.file ? -1 : a.file > b.file ? 1 : a.path < b.path ? -1 : 1));
  // Compared without case, for file systems that do not tell `A` from `a`.
  const key = ({ name }: Source) => name.toLowerCase();
  const uses = new Map<string, number>();
  for (const source of files) uses.set(key(source), (uses.get(key(source)) ?? 0) + 1);
  return files.map((source) =>
    uses.get(key(source)) === 1 ? source : { ...source, name: `${source.name}-${fingerprint(source.path)}` },
  );
}

function walk(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.name.startsWith('.')) return [];
    if (entry.isDirectory()) return walk(path);
    return niftiName.test(entry.name) ? [path] : [];
  });
}

/** A file's path as one folder's name. */
export function plainName(file: string): string {
  const stem = file.replace(/\.(nii|hdr|img)(\.gz)?$/i, '').replaceAll('/', '__');
  return stem.replace(/[^\w.-]/g, '_').replace(/^\./, '_') || '_';
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
