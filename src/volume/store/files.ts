import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { replaceFile } from '../../atomic-file';

/** Names of what is still being written: hidden, and known as ours when a later call cleans up. */
const unfinishedName = /^\..+\.part$/;

export function unfinished(path: string): string {
  return join(dirname(path), `.${basename(path)}.part`);
}

/** Removes what a killed or failed call left in a folder. */
export function removeUnfinished(folder: string): void {
  for (const name of readdirSync(folder).filter((name) => unfinishedName.test(name)))
    rmSync(join(folder, name), { recursive: true, force: true });
}

/** Replaces a JSON file at once, on the disk when this returns. */
export function writeJson(path: string, value: unknown): void {
  replaceFile(path, `${JSON.stringify(value, null, 2)}\n`, { durable: true });
}

/**
 * A JSON file's value; undefined if there is none or it is no JSON. Throws the system's error if it cannot be read:
 * an index behind a lost network folder is not gone.
 */
export function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (error instanceof SyntaxError || code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw error;
  }
}

/** Whether two values are written as the same JSON. */
export function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
