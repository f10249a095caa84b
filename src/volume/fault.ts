/** Whose fault a failure to read a volume is. */
import { readlinkSync } from 'node:fs';
import { isSystemError } from '../atomic-file';
import { type InvalidArgument, isPatchwiseError, UnreadableFile } from '../errors';

/**
 * Whether an error is one file's own fault, so that a cohort can be read without it: the file is no volume, is
 * damaged, or is one of several volumes and nobody said which. A full disk, a lost network folder or too little memory
 * say nothing about the file: they end the whole call.
 */
export function isOwnFault(error: unknown): error is UnreadableFile | InvalidArgument {
  return isPatchwiseError(error, 'UnreadableFile') || isPatchwiseError(error, 'InvalidArgument');
}

/** What is wrong with a file, without its path in front if `file`, which stands beside it, is that path or its end. */
export function reasonOf(file: string, error: UnreadableFile | InvalidArgument): string {
  const { message } = error;
  const path = 'path' in error ? error.path : undefined;
  return path?.endsWith(file) && message.startsWith(`${path}: `) ? message.slice(path.length + 2) : message;
}

/** What the system says of one file: it is not there, may not be read, or is none. */
const ofOneFile = ['EACCES', 'EISDIR', 'ELOOP', 'ENAMETOOLONG', 'ENOENT', 'ENOTDIR', 'EPERM'];

/** The error of a file that cannot be opened: UnreadableFile if that is its own fault, else the system's error. */
export function openError(path: string, error: unknown): unknown {
  if (!isSystemError(error) || !ofOneFile.includes(error.code!)) return error;
  const missing = error.code === 'ENOENT' || error.code === 'ELOOP';
  const found = missing ? missingFile(path) : `one that cannot be opened (${error.code})`;
  return new UnreadableFile(path, 'a file', found, { cause: error });
}

/** What stands at a path where no file is: nothing, or a link that leads nowhere. */
function missingFile(path: string): string {
  const target = linkTarget(path);
  if (target === undefined) return 'none there';
  if (target.includes('.git/annex/objects/'))
    return `a link into git-annex whose content is not here: fetch it with \`datalad get\` or \`git annex get\``;
  return `a link to ${target}, where no file is`;
}

function linkTarget(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}
