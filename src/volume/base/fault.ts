/** Whether a file or the machine is at fault when a volume cannot be read. */

import { existsSync, readlinkSync } from 'node:fs';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { isSystemError } from '../../atomic-file';
import { attempt, type InvalidArgument, isPatchwiseError, UnreadableFile } from '../../errors';

/**
 * Whether one file is at fault, so that a call can go on with the other files. Such a file is not a volume, is damaged, or
 * holds several volumes and the options choose none. A full disk, an offline network folder or a lack of memory ends the
 * whole call.
 */
export function isOwnFault(error: unknown): error is UnreadableFile | InvalidArgument {
  return isPatchwiseError(error, 'UnreadableFile') || isPatchwiseError(error, 'InvalidArgument');
}

/** Whether the machine lacks memory: for an array, for a thread, or for WebAssembly. */
export function isOutOfMemory(error: unknown): boolean {
  if (!(error instanceof Error) || isOwnFault(error)) return false;
  const { code = '' } = error as NodeJS.ErrnoException;
  const isMemory = ['ENOMEM', 'ERR_WORKER_OUT_OF_MEMORY', 'ERR_MEMORY_ALLOCATION_FAILED'].includes(code);
  return (
    isMemory || /allocation failed|out of memory|cannot allocate|could not allocate/i.test(error.message)
  );
}

/** The error's message. It drops the path in front if the caller prints `file`, the end of that path, beside it. */
export function reasonOf(file: string, error: UnreadableFile | InvalidArgument): string {
  const { message } = error;
  const path = 'path' in error ? error.path : undefined;
  return path?.endsWith(file) && message.startsWith(`${path}: `) ? message.slice(path.length + 2) : message;
}

/** System errors that concern one file: it does not exist, is forbidden, or is not a file. */
const ofOneFile = ['EACCES', 'EISDIR', 'ELOOP', 'ENAMETOOLONG', 'ENOENT', 'ENOTDIR', 'EPERM'];

/** Whether the system says that one file cannot be opened, and not that the disk or the machine fails. */
export function isOfOneFile(error: unknown): error is NodeJS.ErrnoException {
  return isSystemError(error) && ofOneFile.includes(error.code!);
}

/** The error for a file that cannot be opened: UnreadableFile if the file is at fault, else the system's error. */
export function openError(path: string, error: unknown): unknown {
  if (!isOfOneFile(error)) return error;
  const missing = error.code === 'ENOENT' || error.code === 'ELOOP';
  const found = missing ? missingFile(path) : `a file that cannot be opened (${error.code})`;
  return new UnreadableFile(path, 'a file', found, { cause: error });
}

/** A package that `import()` loads. @throws what `errorOfLoading` says */
export async function loaded<Package>(loading: Promise<Package>): Promise<Package> {
  try {
    return await loading;
  } catch (error) {
    throw errorOfLoading(error);
  }
}

/**
 * The error of code that could not be loaded. If no more files can be opened, Node calls a package or module missing,
 * because it cannot read it: if it is there, this is the system's error instead.
 */
export function errorOfLoading(error: unknown): unknown {
  const message = error instanceof Error ? error.message : '';
  const [, name, from = ''] =
    /^Cannot find (?:package|module) '([^']+)'(?:(?: imported from |\nRequire stack:\n- )(.*))?/.exec(
      message,
    ) ?? [];
  const path = name && placesOf(name, from).find((place) => existsSync(place));
  if (!path) return error;
  const fields = { code: 'EMFILE', syscall: 'open', path };
  return Object.assign(new Error(`EMFILE: too many open files, open '${path}'`, { cause: error }), fields);
}

/** Where a package or module that a file asks for may be. Of a package whose description cannot be read, its folder. */
function placesOf(name: string, from: string): string[] {
  if (isAbsolute(name))
    return [name, name.replace(/(node_modules[\\/](?:@[^\\/]+[\\/])?[^\\/]+)[\\/]index\.js$/, '$1')];
  if (name.startsWith('.')) return [resolve(dirname(from), name), resolve(dirname(from), `${name}.js`)];
  const places: string[] = [];
  for (let folder = dirname(from); ; folder = dirname(folder)) {
    places.push(join(folder, 'node_modules', name));
    if (dirname(folder) === folder) return places;
  }
}

/** Describes a path without a file: nothing is there, or a broken link. */
function missingFile(path: string): string {
  const target = attempt(() => readlinkSync(path));
  // Node shows bytes that are not UTF-8 as U+FFFD and cannot name the file.
  if (target === undefined && path.includes('\uFFFD'))
    return 'a name whose bytes are not UTF-8; rename it, as `convmv` does for whole folders';
  if (target === undefined) return 'none there';
  if (target.includes('.git/annex/objects/'))
    return `a link into git-annex whose content is not here: fetch it with \`datalad get\` or \`git annex get\``;
  return `a link to ${target}, where no file is`;
}
