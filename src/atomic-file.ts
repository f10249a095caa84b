import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { InvalidArgument } from './errors';

let written = 0;

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
  const temporary = `${path}.${process.pid}-${written++}.tmp`;
  try {
    write(temporary);
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

/** What the file system says of a place that a user chose badly. */
const misplaced = ['EACCES', 'EEXIST', 'EISDIR', 'ENOENT', 'ENOTDIR', 'EPERM', 'EROFS'];

/** Writes to a path that a user gave. @throws InvalidArgument where nothing can be written there */
export function writeTo<T>(argument: string, path: string, write: () => T): T {
  try {
    return write();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === undefined || !misplaced.includes(code)) throw error;
    throw new InvalidArgument(argument, `a place that can be written (${code})`, path);
  }
}
