import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { replaceFile } from '../../atomic-file';

/** Names of unfinished files and folders. They are hidden, and a later call recognises and removes them. */
const unfinishedName = /^\..+\.part$/;

export function unfinished(path: string): string {
  return join(dirname(path), `.${basename(path)}.part`);
}

/** Removes the unfinished files that a killed or failed call left in a folder. */
export function removeUnfinished(folder: string): void {
  for (const name of readdirSync(folder).filter((name) => unfinishedName.test(name)))
    rmSync(join(folder, name), { recursive: true, force: true });
}

/** Replaces a JSON file atomically and waits until it is on the disk. */
export function writeJson(path: string, value: unknown): void {
  replaceFile(path, `${JSON.stringify(value, null, 2)}\n`, { durable: true });
}

/**
 * A JSON file's value; undefined if the file does not exist or is not JSON. Throws the system's error if reading fails:
 * an index in a network folder that is offline is not gone.
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

/**
 * The cure for a damaged dataset. `prepare` finds missing and shortened files by itself, and changed bytes with `--verify`.
 * The settings and the split are in the dataset, so the command needs no other option.
 */
export function repair(dataset: string): string {
  return `to repair it: npx patchwise prepare INPUT ${quoted(dataset)} --verify (INPUT: what it was made of)`;
}

/** The cure for a dataset whose call did not end. */
export function finish(dataset: string): string {
  return `prepare it again, to the end: npx patchwise prepare INPUT ${quoted(dataset)}`;
}

/** A path as a shell takes it. */
function quoted(path: string): string {
  return /^[\w./~+:@%-]+$/.test(path) && !path.startsWith('-') ? path : `'${path.replaceAll("'", "'\\''")}'`;
}

/** Whether two values have the same JSON. The order of keys does not count. */
export function same(a: unknown, b: unknown): boolean {
  return isDeepStrictEqual(asJson(a), asJson(b));
}

/** Whether a JSON value contains another one. It may have more keys, because other programs add keys to metadata. */
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
