/** The one rule for which files of a folder are volumes. */
import { type Dirent, readdirSync, realpathSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { isSystemError } from '../atomic-file';
import { openError } from './fault';
import { convertDicom, holdsDicom } from './foreign';
import { isVolumeName, pairPaths } from './names';

export interface FolderContent {
  /** Files with the name of a volume, relative to the folder, with forward slashes, sorted by path. */
  readonly volumes: readonly string[];
  /** Folders and links that cannot be searched, and images without their header. */
  readonly leftOut: readonly { readonly file: string; readonly reason: string }[];
  /** Folders that hold DICOM files, as paths. */
  readonly dicom: readonly string[];
}

/**
 * Searches a folder and its subfolders for volumes by name. It follows links but searches each folder once, so loops of
 * links end. It skips hidden files and folders.
 */
export function searchFolder(root: string): FolderContent {
  const search = new Search(root);
  // Links come last, so that files within the folder keep their own path.
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

/** What was expected of a folder without volumes, with the cure. */
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

  /** The contents of a folder; undefined if it was searched before or cannot be read. */
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

  /** The kind of a link's target. A broken link with the name of a volume counts as a file; reading it gives the reason. */
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
