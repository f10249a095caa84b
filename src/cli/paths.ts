/**
 * Checks of paths. A command checks its paths before it begins, so that a wrong one leaves nothing half done. The reader
 * of a file checks its content.
 */
import { lstatSync, readdirSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { InvalidArgument } from '../index';
import { isDataset, sinkOf } from '../internal';

type Check = (path: string) => string;

/** `unclear` is a broken link, or a place that may not be looked at: its reader says why, and what to do. */
type Kind = 'file' | 'folder' | 'nothing' | 'unclear';

const nothing = 'nothing is there; check the spelling, and the folder that you are in';

/** Checks a path by what is there. Each such check takes what the path is of, with an article. */
export const fileToRead = checkOf({ folder: 'this is a folder; give a file in it', nothing });
export const folderToRead = checkOf({ file: 'this is a file', nothing });
export const fileOrFolderToRead = checkOf({ nothing });
export const fileToWrite = checkOf(
  { folder: 'a folder is there; give the name of a file in it' },
  belowFolder,
);
export const folderToWrite = checkOf({ file: 'a file is there; give another place' }, belowFolder);

function checkOf(
  wrong: Readonly<Partial<Record<Kind, string>>>,
  more?: (path: string, what: string) => string,
): (what: string) => Check {
  return (what) => (path) => {
    const why = wrong[kindAt(path)];
    if (why !== undefined) throw refused(path, `${what}, but ${why}`);
    return more ? more(path, what) : path;
  };
}

/** A NIfTI file to write, in a folder that exists: it takes minutes until the file is written. */
export function niftiToWrite(path: string): string {
  fileToWrite('a NIfTI file')(path);
  const folder = dirname(resolve(path));
  if (kindAt(folder) === 'nothing')
    throw refused(path, `a NIfTI file, but the folder ${folder} does not exist; make it first`);
  return path;
}

/** A NIfTI file to write, or the folder of a dataset to add a volume to. */
export function fileOrDataset(path: string): string {
  if ('file' in sinkOf(path)) return niftiToWrite(path);
  const what = 'a .nii or .nii.gz file, or the folder of a dataset';
  folderToWrite(what)(path);
  if (kindAt(path) === 'folder' && holdsSomething(path) && !isDataset(path))
    throw refused(path, `${what}, but this folder holds something else`);
  return path;
}

function belowFolder(path: string, what: string): string {
  for (let at = resolve(path); at !== dirname(at); ) {
    at = dirname(at);
    const found = kindAt(at);
    if (found === 'folder' || found === 'unclear') break;
    if (found === 'file') throw refused(path, `${what}, but ${at} is a file; give another place`);
  }
  return path;
}

/** Hidden files do not count: a call that was killed leaves some, and so do desktops. */
function holdsSomething(folder: string): boolean {
  return readdirSync(folder).some((name) => !name.startsWith('.'));
}

/** A device or a pipe counts as a file. */
function kindAt(path: string): Kind {
  try {
    return statSync(path).isDirectory() ? 'folder' : 'file';
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const isNothing = (code === 'ENOENT' && !isLink(path)) || code === 'ENOTDIR';
    return isNothing ? 'nothing' : 'unclear';
  }
}

function isLink(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() ?? false;
}

function refused(path: string, expected: string): InvalidArgument {
  return new InvalidArgument('path', expected, path);
}
