/** What a native backend is built with: a C++ compiler, Node-API's headers, and a Python that knows its packages. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { UnavailableBackend } from '../../errors';
import { packageRoot } from '../../package';

const run = promisify(execFile);

/** The backends that are built on the machine they run on. */
export type NativeBackend = 'libtorch' | 'tensorflow';

/** The command that builds a backend. */
export function buildCommand(backend: NativeBackend, gpu = false): string {
  return `npx patchwise backend build ${backend}${gpu ? ' --gpu' : ''}`;
}

/** Where a built backend is kept: PATCHWISE_CACHE, else a folder that `npm ci` empties with all it was built for. */
export function buildFolder(backend: NativeBackend): string {
  const cache = process.env.PATCHWISE_CACHE ?? join(packageRoot(), 'node_modules', '.cache', 'patchwise');
  return join(cache, backend);
}

/** CXX where it is set, else g++ or clang++. @throws UnavailableBackend saying what to install. */
export async function findCompiler(backend: NativeBackend): Promise<string> {
  const names = process.env.CXX ? [process.env.CXX] : ['g++', 'clang++'];
  for (const name of names) if ((await tell(name, ['--version'])) !== undefined) return name;
  throw new UnavailableBackend(
    backend,
    `no C++ compiler answers (${names.join(', ')})`,
    `Install one (Debian: \`sudo apt-get install g++\`); then \`${buildCommand(backend)}\``,
  );
}

/** The folder of node_api.h, whose functions are the same in every version of Node. */
export function nodeApiHeaders(): string {
  return (require('node-api-headers') as { include_dir: string }).include_dir;
}

/**
 * The folder of a Python package, from the first Python that has it, without importing it, which takes seconds.
 * Pythons are asked in this order: PATCHWISE_PYTHON, .venv/bin/python, python3.
 */
export async function findPythonPackage(
  name: string,
): Promise<{ readonly folder: string; readonly python: string } | undefined> {
  const script =
    'import importlib.util as u; ' +
    `s = u.find_spec("${name}"); print((s and s.submodule_search_locations or [""])[0])`;
  for (const python of [process.env.PATCHWISE_PYTHON, '.venv/bin/python', 'python3']) {
    const folder = python && (await tell(python, ['-c', script]));
    if (folder) return { folder, python };
  }
  return undefined;
}

/** What a program prints, trimmed; undefined where it is not here or fails. */
export async function tell(program: string, args: readonly string[]): Promise<string | undefined> {
  return run(program, args, { timeout: 60_000 }).then(
    ({ stdout }) => stdout.trim(),
    () => undefined,
  );
}

export interface Tool {
  readonly backend: NativeBackend;
  /** What the program does, for the message when it fails. */
  readonly what: string;
  readonly folder?: string;
  readonly signal?: AbortSignal;
}

/** Runs a compiler or installer. @throws UnavailableBackend with the first error it printed, and the command. */
export async function execute(program: string, args: readonly string[], tool: Tool): Promise<void> {
  const { backend, what, folder, signal } = tool;
  await run(program, args, { signal, cwd: folder, maxBuffer: 64 << 20 }).catch(
    (error: Error & { stderr?: string }) => {
      signal?.throwIfAborted();
      const said = (error.stderr || error.message).trim().split('\n');
      const first = said.find((line) => line.includes('error')) ?? said.at(-1);
      throw new UnavailableBackend(
        backend,
        `${what} failed: ${first}`,
        `The whole command was \`${program} ${args.join(' ')}\`; when it works, run \`${buildCommand(backend)}\` again`,
        { cause: error },
      );
    },
  );
}

/** Runs a self-test in a process of its own: an addon that crashes must not take its builder along. */
export async function testInProcess<Result>(
  program: string,
  args: readonly string[],
  { backend, signal }: Pick<Tool, 'backend' | 'signal'>,
): Promise<Result> {
  const { stdout } = await run(process.execPath, [program, ...args], { signal, timeout: 300_000 }).catch(
    (error: Error & { stderr?: string }) => {
      signal?.throwIfAborted();
      const said = (error.stderr || error.message).trim().split('\n').slice(-4).join(' ');
      throw new UnavailableBackend(
        backend,
        `it was built but does not work: ${said}`,
        `Give another one (\`npx patchwise backend build --help\`), then \`${buildCommand(backend)}\``,
        { cause: error },
      );
    },
  );
  return JSON.parse(stdout.trim().split('\n').at(-1)!) as Result;
}

/** The record of a build; undefined where it is damaged. */
export function readBuildRecord<Record extends object>(path: string): Record | undefined {
  try {
    const record: unknown = JSON.parse(readFileSync(path, 'utf8'));
    return typeof record === 'object' && record !== null ? (record as Record) : undefined;
  } catch {
    return undefined;
  }
}
