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

/**
 * The arguments with which Node runs a compiled file in a process of its own. SIGUSR1 makes Node open a debugger port,
 * until the program listens to that signal. Any user of the machine can run code through the port, so it gets an
 * address that no machine has (RFC 5737), and Node cannot open it.
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
