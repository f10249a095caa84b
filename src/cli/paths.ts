/**
 * What a command finds where a path of its points to. Paths are looked at before the command begins, so that a wrong
 * one leaves nothing half done. What a file holds is for its reader to say.
 */
import { lstatSync, readdirSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { InvalidArgument } from '../index';
import { isDataset, sinkOf } from '../internal';

type Check = (path: string) => string;

/** @param what the file is, with an article */
export function fileToRead(what: string): Check {
  return (path) => {
    const found = kindAt(path);
    if (found === 'folder') throw refused(path, `${what}, but this is a folder; give a file in it`);
    if (found === undefined) throw refused(path, `${what}, ${missing}`);
    return path;
  };
}

export function folderToRead(what: string): Check {
  return (path) => {
    const found = kindAt(path);
    if (found === 'file') throw refused(path, `${what}, but this is a file`);
    if (found === undefined) throw refused(path, `${what}, ${missing}`);
    return path;
  };
}

export function fileOrFolderToRead(what: string): Check {
  return (path) => {
    if (kindAt(path) === undefined) throw refused(path, `${what}, ${missing}`);
    return path;
  };
}

export function fileToWrite(what: string): Check {
  return (path) => {
    if (kindAt(path) === 'folder')
      throw refused(path, `${what}, but a folder is there; give the name of a file in it`);
    return belowFolder(path, what);
  };
}

export function folderToWrite(what: string): Check {
  return (path) => {
    if (kindAt(path) === 'file') throw refused(path, `${what}, but a file is there; give another place`);
    return belowFolder(path, what);
  };
}

/** A NIfTI file to write, in a folder that exists: it takes minutes until the file is written. */
export function niftiToWrite(path: string): string {
  fileToWrite('a NIfTI file')(path);
  const folder = dirname(resolve(path));
  if (kindAt(folder) === undefined)
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

/** Of arguments and options that take several paths. */
export function eachOf(check: Check): (path: string, before: readonly string[] | undefined) => string[] {
  return (path, before = []) => [...before, check(path)];
}

const missing = 'but nothing is there; check the spelling, and the folder that you are in';

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

/**
 * A device or a pipe counts as a file. `unclear` is a broken link, or what may not be looked at: its reader says why, and
 * what to do.
 */
function kindAt(path: string): 'file' | 'folder' | 'unclear' | undefined {
  try {
    return statSync(path).isDirectory() ? 'folder' : 'file';
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const isNothing = (code === 'ENOENT' && !isLink(path)) || code === 'ENOTDIR';
    return isNothing ? undefined : 'unclear';
  }
}

function isLink(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() ?? false;
}

function refused(path: string, expected: string): InvalidArgument {
  return new InvalidArgument('path', expected, path);
}
