import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
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

/** Whether two values are the same as JSON, whatever the order of their keys. */
export function same(a: unknown, b: unknown): boolean {
  return isDeepStrictEqual(asJson(a), asJson(b));
}

/** Whether a JSON value has all of another's, and perhaps more keys: other programs add theirs to metadata. */
export function contains(value: unknown, part: unknown): boolean {
  if (typeof part !== 'object' || part === null) return value === part;
  if (typeof value !== 'object' || value === null || Array.isArray(value) !== Array.isArray(part))
    return false;
  if (Array.isArray(part) && (value as unknown[]).length !== part.length) return false;
  return Object.entries(part).every(([key, own]) => contains((value as Record<string, unknown>)[key], own));
}

function asJson(value: unknown): unknown {
  return value === undefined ? undefined : JSON.parse(JSON.stringify(value));
}
