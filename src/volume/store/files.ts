import { closeSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

/** Names of what is still being written: hidden, and known as ours when a later call cleans up. */
export const unfinishedName = /^\..+\.part$/;

export function unfinished(path: string): string {
  return join(dirname(path), `.${basename(path)}.part`);
}

/** Replaces a JSON file at once: readers see the old one or the new one, never a part. */
export function writeJson(path: string, value: unknown): void {
  const temporary = unfinished(path);
  try {
    const file = openSync(temporary, 'w');
    try {
      const bytes = Buffer.from(`${JSON.stringify(value, null, 2)}\n`);
      for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

/** A JSON file's value; undefined where there is none or it is no JSON. */
export function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return undefined;
  }
}

/** Whether two values are written as the same JSON. */
export function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
