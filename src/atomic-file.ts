/** Writing files: replaced in one step, appended whole, synced to the disk; and errors of the system that name the path. */
import { randomUUID } from 'node:crypto';
import * as fs from 'node:fs';
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
  const { durable: flush = false, mode } = options;
  // As bytes: an error about text would name the temporary file.
  const bytes = typeof content === 'string' ? Buffer.from(content) : content;
  replaceFileBy(path, (temporary) => fs.writeFileSync(temporary, bytes, { flush, mode }));
}

/** Replaces a file by one that `write` makes at the path `temporary`. */
export function replaceFileBy(path: string, write: (temporary: string) => void): void {
  const temporary = temporaryBeside(path, 'tmp');
  try {
    write(temporary);
    fs.renameSync(temporary, path);
  } catch (error) {
    fs.rmSync(temporary, { force: true });
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
  if (fs.lstatSync(path, { throwIfNoEntry: false })?.isDirectory())
    throw new InvalidArgument('path', 'a file', `the folder ${path}`);
  return join(dirname(path), `.${randomUUID()}.${extension}`);
}

/**
 * Appends to a file, whole or not at all: half a write on a full disk is cut off again.
 * @param bytes length of the file before
 */
export function appendWhole(path: string, content: string | Uint8Array, bytes: number): void {
  try {
    fs.appendFileSync(path, content);
  } catch (error) {
    if (fs.existsSync(path)) fs.truncateSync(path, bytes);
    throw error;
  }
}

/** Opens a file, uses it and closes it again. */
export function withFile<T>(path: string, flags: 'r' | 'w', use: (file: number) => T): T {
  const file = fs.openSync(path, flags);
  try {
    return use(file);
  } finally {
    fs.closeSync(file);
  }
}

/** Waits until the content of a file, or the entries of a folder, are on the disk. */
export function syncPath(path: string): void {
  withFile(path, 'r', fs.fsyncSync);
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
