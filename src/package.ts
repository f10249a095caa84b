import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** The name that code imports this package by. */
export const PACKAGE = 'patchwise';

/** The folder with this package's package.json, whether this file runs from `src` or from `dist/src`. */
export function packageRoot(): string {
  let folder = __dirname;
  while (!existsSync(join(folder, 'package.json'))) {
    const parent = dirname(folder);
    if (parent === folder) throw new Error(`no package.json above ${__dirname}`);
    folder = parent;
  }
  return folder;
}

/** The path of a compiled file. Worker threads and child processes can only run compiled files. */
export function compiledFile(...path: readonly string[]): string {
  return join(packageRoot(), 'dist', ...path);
}

/**
 * The arguments with which Node runs a compiled file in a new process. Until the program listens to SIGUSR1, that signal
 * makes Node open a debugger port, through which any user of the machine can run code. So the port gets an address that no
 * machine has (RFC 5737), and Node cannot open it.
 */
export function nodeArguments(file: string, ...args: readonly string[]): string[] {
  const isWanted = /--inspect(?!-p)/.test(process.env.NODE_OPTIONS ?? '');
  const closed = process.features.inspector && !isWanted ? ['--inspect-port=192.0.2.1:9229'] : [];
  return [...closed, file, ...args];
}

/** This package's version. */
export function version(): string {
  const text = readFileSync(join(packageRoot(), 'package.json'), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
