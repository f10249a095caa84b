/** Which files of a folder are volumes: the one rule of everything that is given a folder of them. */
import { type Dirent, readdirSync, realpathSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { isSystemError } from '../atomic-file';
import { openError } from './fault';
import { convertDicom, holdsDicom } from './foreign';
import { isVolumeName, pairPaths } from './names';

export interface FolderContent {
  /** Files named as volumes are, relative to the folder, with forward slashes, in the order of their paths. */
  readonly volumes: readonly string[];
  /** What could hold volumes and cannot be searched, and images without their header. */
  readonly leftOut: readonly { readonly file: string; readonly reason: string }[];
  /** Folders that hold DICOM files, as paths. */
  readonly dicom: readonly string[];
}

/**
 * Searches a folder and the folders in it. Links are followed; a folder that several links lead to, or a loop of links,
 * is searched once. Hidden files and folders are not looked at. Only names are: reading tells what a file is.
 */
export function searchFolder(root: string): FolderContent {
  const search = new Search(root);
  // Links come last, so that files have the name of their own place if that is within the folder.
  for (
    let next: string | undefined = '';
    next !== undefined;
    next = search.folders.shift() ?? search.links.shift()
  )
    search.visit(next);
  const byFile = (a: { file: string }, b: { file: string }) => (a.file < b.file ? -1 : 1);
  return {
    volumes: search.volumes.sort(),
    leftOut: search.leftOut.sort(byFile),
    dicom: search.dicom.sort(),
  };
}

/** Why a folder without a volume is refused, with the cure. */
export function noVolumes({ leftOut, dicom }: FolderContent): string {
  const [folder] = dicom;
  if (folder !== undefined)
    return `NIfTI files (.nii, .nii.gz, .hdr + .img), not DICOM; convert it first: ${convertDicom(folder)}`;
  const [first] = leftOut;
  const why = first ? ` (${first.file}: ${first.reason})` : '';
  return `a folder with NIfTI files (.nii, .nii.gz, .hdr + .img)${why}`;
}

class Search {
  readonly volumes: string[] = [];
  readonly leftOut: { file: string; reason: string }[] = [];
  readonly dicom: string[] = [];
  readonly folders: string[] = [];
  readonly links: string[] = [];
  private readonly seen = new Set<string>();

  constructor(private readonly root: string) {}

  visit(folder: string): void {
    const path = join(this.root, folder);
    const entries = this.list(folder);
    if (!entries) return;
    const files: string[] = [];
    for (const entry of entries) {
      if (entry.name.startsWith('.')) continue;
      const file = folder === '' ? entry.name : `${folder}/${entry.name}`;
      const kind = entry.isSymbolicLink() ? this.kindOfTarget(file) : kindOf(entry);
      if (kind === 'folder') (entry.isSymbolicLink() ? this.links : this.folders).push(file);
      else if (kind === 'file') files.push(entry.name);
    }
    const names = new Set(files);
    for (const name of files) {
      const file = folder === '' ? name : `${folder}/${name}`;
      if (isVolumeName(name)) this.volumes.push(file);
      else if (/\.img(\.gz)?$/i.test(name) && !hasHeader(name, names))
        this.leftOut.push({ file, reason: 'an image without its header (.hdr)' });
    }
    if (holdsDicom(path, files)) this.dicom.push(path);
  }

  /** What is in a folder; undefined if that was seen before, or cannot be seen. */
  private list(folder: string): Dirent[] | undefined {
    const path = join(this.root, folder);
    try {
      const place = realpathSync(path);
      if (this.seen.has(place)) return undefined;
      this.seen.add(place);
      return readdirSync(path, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
    } catch (error) {
      this.leaveOut(folder || '.', path, error, 'a folder that cannot be read');
      return undefined;
    }
  }

  /** Of a link that leads nowhere and is named as a volume, reading says why. */
  private kindOfTarget(file: string): 'folder' | 'file' | undefined {
    const path = join(this.root, file);
    try {
      return kindOf(statSync(path));
    } catch (error) {
      if (isVolumeName(file)) return 'file';
      this.leaveOut(file, path, error, 'a link that cannot be followed');
      return undefined;
    }
  }

  private leaveOut(file: string, path: string, error: unknown, what: string): void {
    const own = openError(path, error);
    if (own === error || !isSystemError(error)) throw error;
    const missing = error.code === 'ENOENT' || error.code === 'ELOOP';
    const reason = missing ? (own as { received: string }).received : `${what} (${error.code})`;
    this.leftOut.push({ file, reason });
  }
}

function kindOf(entry: { isDirectory(): boolean; isFile(): boolean }): 'folder' | 'file' | undefined {
  return entry.isDirectory() ? 'folder' : entry.isFile() ? 'file' : undefined;
}

function hasHeader(image: string, names: ReadonlySet<string>): boolean {
  const header = pairPaths(image)!.header.replace(/\.gz$/i, '');
  return names.has(header) || names.has(`${header}.gz`);
}
