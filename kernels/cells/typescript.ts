/**
 * Loads the stock TypeScript compiler in 50 to 100 ms instead of 250: V8's compiled form of its 9 MB is kept in the
 * user's cache folder. The cache only saves time: one that is missing, stale or not writable is passed over.
 */
import { readFileSync } from 'node:fs';
import Module, { createRequire } from 'node:module';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { Script } from 'node:vm';
import type * as TypeScript from 'typescript';
import { replaceFile } from '../../src/atomic-file';
import { makeFolder } from '../../src/make-folder';

export type Typescript = typeof TypeScript;

export interface LoadedTypescript {
  readonly typescript: Typescript;
  /** Writes the cache where there was none, with what has been compiled by now; takes 100 ms or more. */
  keep(): void;
}

/** @param use names the cache: each use keeps the functions that it needs, and no others to be read in vain */
export function loadTypescript(use: string): LoadedTypescript {
  const path = require.resolve('typescript');
  const cachePath = join(cacheFolder(), `typescript-${TYPESCRIPT_VERSION}-${use}-${process.version}.v8`);
  // The file is plain ASCII: as latin1 it stays one byte a character in memory.
  const source = Module.wrap(readFileSync(path, 'latin1'));
  const cachedData = readIfThere(cachePath);
  const script = new Script(source, { filename: path, cachedData });
  const module = { exports: {} };
  const run = script.runInThisContext() as (...given: unknown[]) => void;
  run(module.exports, createRequire(path), module, path, dirname(path));
  const keep = (): void => {
    if (cachedData && !script.cachedDataRejected) return;
    try {
      makeFolder(dirname(cachePath));
      replaceFile(cachePath, script.createCachedData());
    } catch {
      // A read-only home: the next kernel starts as slowly as this one.
    }
  };
  return { typescript: module.exports as Typescript, keep };
}

export const TYPESCRIPT_VERSION = (require('typescript/package.json') as { version: string }).version;

function cacheFolder(): string {
  const { XDG_CACHE_HOME, LOCALAPPDATA } = process.env;
  const home =
    process.platform === 'darwin' ? join(homedir(), 'Library', 'Caches') : join(homedir(), '.cache');
  return join(XDG_CACHE_HOME || (process.platform === 'win32' && LOCALAPPDATA) || home, 'patchwise');
}

function readIfThere(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch {
    return undefined;
  }
}
