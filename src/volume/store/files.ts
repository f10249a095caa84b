import { readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { replaceFile } from '../../atomic-file';

/** Names of what is still being written: hidden, and known as ours when a later call cleans up. */
export const unfinishedName = /^\..+\.part$/;

export function unfinished(path: string): string {
  return join(dirname(path), `.${basename(path)}.part`);
}

/** Replaces a JSON file at once, on the disk when this returns. */
export function writeJson(path: string, value: unknown): void {
  replaceFile(path, `${JSON.stringify(value, null, 2)}\n`, { durable: true });
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
