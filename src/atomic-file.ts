import { randomUUID } from 'node:crypto';
import { closeSync, fsyncSync, lstatSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { InvalidArgument } from './errors';

/**
 * Replaces a file at once: readers see the old content or the new one, never a part. `durable` also waits until it
 * is on the disk, so that it survives a power cut.
 */
export function replaceFile(
  path: string,
  content: string | Uint8Array,
  options: { durable?: boolean } = {},
): void {
  replaceFileBy(path, (temporary) => {
    const file = openSync(temporary, 'w');
    try {
      const bytes = typeof content === 'string' ? Buffer.from(content) : content;
      for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
      if (options.durable) fsyncSync(file);
    } finally {
      closeSync(file);
    }
  });
}

/** The same for who writes the content itself, into a file beside it. */
export function replaceFileBy(path: string, write: (temporary: string) => void): void {
  // A short name of its own: `path` may be as long as names can be.
  const temporary = join(dirname(path), `.${randomUUID()}.tmp`);
  lstatSync(path, { throwIfNoEntry: false }); // throws for a name that is too long, before the work is done
  try {
    write(temporary);
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw withPath(error, path);
  }
}

/**
 * A system error of reading or writing an open file, which does not say which file, with the path in it. One of
 * renaming into the path is of the path too, not of the file's name before.
 */
export function withPath(error: unknown, path: string): unknown {
  const system = error as NodeJS.ErrnoException & { dest?: string };
  if (!isSystemError(error)) return error;
  if (system.dest === path) system.path = path;
  if (system.path !== undefined) return error;
  system.path = path;
  system.message = `${system.message} '${path}'`;
  return error;
}

/** Whether an error comes of the operating system, and not of zlib, whose errors have codes too. */
export function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'code' in error && 'syscall' in error;
}

/** What the file system says of a place that a user chose badly. */
const misplaced: Readonly<Record<string, string>> = {
  EACCES: 'permission is denied',
  EEXIST: 'something else is there',
  EISDIR: 'a folder is there',
  ENOENT: 'its folder does not exist',
  ENOTDIR: 'a file stands where a folder is needed',
  EPERM: 'permission is denied',
  EROFS: 'the disk is read-only',
};

/** Writes to a path that a user gave. @throws InvalidArgument where nothing can be written there */
export function writeTo<T>(argument: string, path: string, write: () => T): T {
  try {
    return write();
  } catch (error) {
    throw placeError(argument, path, error);
  }
}

/** InvalidArgument where the system says that a place was chosen badly; any other error as it is. */
export function placeError(argument: string, path: string, error: unknown): unknown {
  const { code = '' } = error as NodeJS.ErrnoException;
  const why = misplaced[code];
  if (why === undefined) return error;
  return new InvalidArgument(argument, `a place that can be written, but ${why} (${code})`, path);
}
