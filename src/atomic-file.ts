import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';

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
  const temporary = `${path}.${process.pid}-${written++}.tmp`;
  try {
    const file = openSync(temporary, 'w');
    try {
      const bytes = typeof content === 'string' ? Buffer.from(content) : content;
      for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
      if (options.durable) fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}
