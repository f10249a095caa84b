import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** The folder that holds this package's package.json, whether this file runs from `src` or from `dist/src`. */
export function packageRoot(): string {
  let folder = __dirname;
  while (!existsSync(join(folder, 'package.json'))) {
    const parent = dirname(folder);
    if (parent === folder) throw new Error(`no package.json above ${__dirname}`);
    folder = parent;
  }
  return folder;
}

/** The compiled form of a source file, for what can only start compiled: worker threads and child processes. */
export function compiledFile(...path: readonly string[]): string {
  return join(packageRoot(), 'dist', ...path);
}

/** This package's version. */
export function version(): string {
  const text = readFileSync(join(packageRoot(), 'package.json'), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
