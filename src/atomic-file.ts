import { randomUUID } from 'node:crypto';
import { closeSync, fsyncSync, lstatSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { InvalidArgument } from './errors';

/**
 * Replaces a file atomically: readers see the old content or the new one, never a part. `durable` also waits until the
 * content is on the disk, so that it survives a power cut.
 */
export function replaceFile(
  path: string,
  content: string | Uint8Array,
  options: { durable?: boolean; mode?: number | undefined } = {},
): void {
  replaceFileBy(path, (temporary) => {
    const file = openSync(temporary, 'w', options.mode);
    try {
      const bytes = typeof content === 'string' ? Buffer.from(content) : content;
      for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
      if (options.durable) fsyncSync(file);
    } finally {
      closeSync(file);
    }
  });
}

/** Replaces a file by one that `write` makes at the path `temporary`. */
export function replaceFileBy(path: string, write: (temporary: string) => void): void {
  const temporary = temporaryBeside(path, 'tmp');
  try {
    write(temporary);
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw withPath(error, path);
  }
}

/**
 * Replaces a file by the content that `write` writes over time. Waits until the content is on the disk.
 * @throws InvalidArgument if the new file cannot be created
 */
export async function replaceFileSlowly(
  path: string,
  write: (file: FileHandle) => Promise<void>,
): Promise<void> {
  const temporary = writeTo('path', path, () => temporaryBeside(path, 'part'));
  const file = await open(temporary, 'wx').catch((error: unknown) => {
    throw placeError('path', path, error);
  });
  try {
    await write(file);
    await file.sync();
    await file.close();
    await rename(temporary, path);
  } catch (error) {
    await file.close().catch(() => {});
    await rm(temporary, { force: true });
    throw withPath(error, path);
  }
}

/** A temporary path in the same folder. Its name is short, because the name of `path` may have the greatest length. */
function temporaryBeside(path: string, extension: string): string {
  // Checked before the work: lstat throws for a name that is too long, and a file cannot replace a folder.
  if (lstatSync(path, { throwIfNoEntry: false })?.isDirectory())
    throw new InvalidArgument('path', 'a file', `the folder ${path}`);
  return join(dirname(path), `.${randomUUID()}.${extension}`);
}

/** Puts the path into a system error. Errors of an open file have no path, and errors of a rename the temporary one. */
export function withPath(error: unknown, path: string): unknown {
  if (!isSystemError(error)) return error;
  const system = error as NodeJS.ErrnoException & { dest?: string };
  if (system.dest === path) system.path = path;
  if (system.path !== undefined) return error;
  system.path = path;
  system.message = `${system.message} '${path}'`;
  return error;
}

/** Whether the operating system caused an error. Errors of zlib have a code too, but no system call. */
export function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'code' in error && 'syscall' in error;
}

/** Why a path that a user chose cannot be written. */
const misplaced: Readonly<Record<string, string>> = {
  EACCES: 'permission is denied',
  EEXIST: 'something else is there',
  EISDIR: 'a folder is there',
  ENOENT: 'its folder does not exist',
  ENOTDIR: 'a file stands where a folder is needed',
  EPERM: 'permission is denied',
  EROFS: 'the disk is read-only',
};

/** Writes to a path that a user gave. @throws InvalidArgument if nothing can be written there */
export function writeTo<T>(argument: string, path: string, write: () => T): T {
  try {
    return write();
  } catch (error) {
    throw placeError(argument, path, error);
  }
}

/** InvalidArgument if the system says that nothing can be written at this place; any other error unchanged. */
export function placeError(argument: string, path: string, error: unknown): unknown {
  const { code = '' } = error as NodeJS.ErrnoException;
  const why = misplaced[code];
  if (why === undefined) return error;
  return new InvalidArgument(argument, `a place that can be written, but ${why} (${code})`, path);
}
