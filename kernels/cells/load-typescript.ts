/**
 * Loads the stock TypeScript compiler in 50 to 100 ms instead of 250: V8's compiled form of its 9 MB is kept in the
 * user's cache folder. The cache only saves time: one that is missing, stale or not writable is passed over. A thread that
 * compiles imports this file first. Its other files then get this copy when they import `typescript`.
 */
import { readFileSync } from 'node:fs';
import Module, { createRequire } from 'node:module';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { Script } from 'node:vm';
import { workerData } from 'node:worker_threads';
import { replaceFile } from '../../src/atomic-file';
import { attempt } from '../../src/errors';
import { makeFolder } from '../../src/make-folder';
import { TYPESCRIPT_VERSION } from './typescript';

/** Names the cache: each kind of thread keeps the functions that it needs, and reads no others in vain. */
const { use } = workerData as { readonly use: string };
const path = require.resolve('typescript');
const cachePath = join(cacheFolder(), `typescript-${TYPESCRIPT_VERSION}-${use}-${process.version}.v8`);
let cachedData = attempt(() => readFileSync(cachePath));
// The file is plain ASCII: as latin1 it stays one byte a character in memory.
const script = new Script(Module.wrap(readFileSync(path, 'latin1')), { filename: path, cachedData });
const compiler = new Module(path);
const run = script.runInThisContext() as (...given: unknown[]) => void;
run(compiler.exports, createRequire(path), compiler, path, dirname(path));
compiler.loaded = true;
require.cache[path] = compiler;

/** Writes the cache if there was none, with what has been compiled by now; takes 100 ms or more. */
export function keepTypescript(): void {
  const isCached = cachedData && !script.cachedDataRejected;
  cachedData = undefined; // 3 MB that nobody reads again
  if (isCached) return;
  attempt(() => {
    makeFolder(dirname(cachePath));
    replaceFile(cachePath, script.createCachedData()); // in a read-only home the next kernel starts as slowly
  });
}

function cacheFolder(): string {
  const { XDG_CACHE_HOME, LOCALAPPDATA } = process.env;
  const home =
    process.platform === 'darwin' ? join(homedir(), 'Library', 'Caches') : join(homedir(), '.cache');
  return join(XDG_CACHE_HOME || (process.platform === 'win32' && LOCALAPPDATA) || home, 'patchwise');
}
