/** The one rule for which files of a folder are volumes. */
import { type Dirent, existsSync, readdirSync, realpathSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { isSystemError } from '../atomic-file';
import { openError } from './base/fault';
import { isDicomName } from './formats/foreign';
import {
  imageAlone,
  isRawName,
  isTextHeaderName,
  isUnfinishedName,
  isVolumeName,
  pairPaths,
  rawAlone,
  unfinishedFile,
} from './formats/names';

export interface FolderContent {
  /** Files with the name of a volume, relative to the folder, with forward slashes, sorted by path. */
  readonly volumes: readonly string[];
  /** Folders and links that cannot be searched, images without their header, and downloads that have not ended. */
  readonly leftOut: readonly { readonly file: string; readonly reason: string }[];
  /** Files whose names may be those of DICOM files, relative to the folder, sorted by path. Most have no extension. */
  readonly mayBeDicom: readonly string[];
  /** Folders in Zarr, such as prepared datasets. Their files are not searched. */
  readonly zarr: readonly string[];
}

/**
 * Searches a folder and its subfolders for volumes by name. It follows links but searches each folder once, so loops of
 * links end. It skips hidden files and folders, and what lies in Zarr.
 */
export function searchFolder(root: string): FolderContent {
  const volumes: string[] = [];
  const leftOut: { file: string; reason: string }[] = [];
  const mayBeDicom: string[] = [];
  const zarr: string[] = [];
  const folders = [''];
  const links: string[] = [];
  const seen = new Set<string>();

  /** The result of `read`. If the file or folder cannot be read: undefined, and `leftOut` gets an entry. */
  const attempt = <T>(file: string, what: string, read: (path: string) => T): T | undefined => {
    const path = join(root, file);
    try {
      return read(path);
    } catch (error) {
      const own = openError(path, error);
      if (own === error || !isSystemError(error)) throw error;
      const missing = error.code === 'ENOENT' || error.code === 'ELOOP';
      const reason = missing ? (own as { received: string }).received : `${what} (${error.code})`;
      leftOut.push({ file: file || '.', reason });
      return undefined;
    }
  };
  /** The contents of a folder; undefined if it was searched before or cannot be read. */
  const list = (folder: string) =>
    attempt(folder, 'a folder that cannot be read', (path) => {
      const place = realpathSync(path);
      if (seen.has(place)) return undefined;
      seen.add(place);
      return readdirSync(path, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
    });
  /** What an entry of a folder is, or what its link leads to. */
  const kindOf = (entry: Dirent, file: string): 'folder' | 'file' | undefined => {
    const isLink = entry.isSymbolicLink();
    // A broken link with the name of a volume counts as a file; reading it gives the reason.
    if (isLink && isVolumeName(file) && !existsSync(join(root, file))) return 'file';
    const target = isLink ? attempt(file, 'a link that cannot be followed', (path) => statSync(path)) : entry;
    if (target?.isDirectory()) return 'folder';
    // A pipe or device with the name of a volume counts as a file too.
    return target?.isFile() || (target && isVolumeName(file)) ? 'file' : undefined;
  };
  while (folders.length + links.length > 0) {
    // Links come last, so that files within the folder keep their own path.
    const folder = folders.shift() ?? links.shift()!;
    const files: string[] = [];
    const pathOf = (name: string) => (folder === '' ? name : `${folder}/${name}`);
    const entries = list(folder) ?? [];
    if (entries.some(({ name }) => name === zarrFile)) {
      zarr.push(folder || '.');
      continue;
    }
    for (const entry of entries) {
      if (entry.name.startsWith('.')) continue;
      const file = pathOf(entry.name);
      const kind = kindOf(entry, file);
      if (kind === 'folder') (entry.isSymbolicLink() ? links : folders).push(file);
      else if (kind === 'file') files.push(entry.name);
    }
    const names = new Set(files);
    for (const name of files)
      if (isVolumeName(name)) volumes.push(pathOf(name));
      else if (isUnfinishedName(name)) leftOut.push({ file: pathOf(name), reason: unfinishedFile });
      else if (/\.img(\.gz)?$/i.test(name) && !hasHeader(name, names))
        leftOut.push({ file: pathOf(name), reason: imageAlone });
      else if (isRawName(name) && !files.some(isTextHeaderName))
        leftOut.push({ file: pathOf(name), reason: rawAlone });
      else if (isDicomName(name)) mayBeDicom.push(pathOf(name));
  }
  leftOut.sort((a, b) => (a.file < b.file ? -1 : 1));
  return { volumes: volumes.sort(), leftOut, mayBeDicom: mayBeDicom.sort(), zarr: zarr.sort() };
}

/** Every folder in Zarr v3 has it. */
const zarrFile = 'zarr.json';

function hasHeader(image: string, names: ReadonlySet<string>): boolean {
  const header = pairPaths(image)!.header.replace(/\.gz$/i, '');
  return names.has(header) || names.has(`${header}.gz`);
}
