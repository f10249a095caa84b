/** How native parts are built, tested, kept and found again: a C++ compiler, Node-API's headers, Python's packages. */

import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { attempt, InvalidArgument, UnavailableBackend } from '../../errors';
import { makeFolder } from '../../make-folder';
import { packageRoot } from '../../package';

const run = promisify(execFile);

/** The backends that are built on the machine they run on. */
export type NativeBackend = 'libtorch' | 'tensorflow';

/** The command that builds a backend. */
export function buildCommand(backend: NativeBackend, gpu = false): string {
  return `npx patchwise backend build ${backend}${gpu ? ' --gpu' : ''}`;
}

/** Where a build is kept: in PATCHWISE_CACHE, else in a folder that `npm ci` empties with all it was built for. */
export function buildFolder(name: NativeBackend | 'c10d'): string {
  const cache = process.env.PATCHWISE_CACHE ?? join(packageRoot(), 'node_modules', '.cache', 'patchwise');
  return join(cache, name);
}

const recordIn = (folder: string) => join(folder, 'build.json');

/**
 * Runs `build` in a new folder, writes the record it returns there, and puts the folder in place of `folder`. A build
 * that was there before stays until the new one is whole.
 */
export async function install<Record extends object>(
  folder: string,
  build: (work: string) => Promise<Record>,
): Promise<Record> {
  makeFolder(dirname(folder));
  const work = await mkdtemp(`${folder}-`);
  try {
    const record = await build(work);
    await writeFile(recordIn(work), `${JSON.stringify(record, null, 2)}\n`);
    await rm(folder, { recursive: true, force: true });
    await rename(work, folder);
    return record;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** The addon of each build. */
const ADDONS = { libtorch: 'patchwise.node', tensorflow: 'tfjs_binding.node', c10d: 'c10d.node' } as const;

/** Whether a build is here with its addon, fitting or not. */
export function isBuilt(name: keyof typeof ADDONS): boolean {
  const folder = buildFolder(name);
  return existsSync(recordIn(folder)) && existsSync(join(folder, ADDONS[name]));
}

/** The record of a build; undefined if there is none, it lacks its addon, or the record is damaged. */
export function builtRecord<Record extends object>(name: keyof typeof ADDONS): Record | undefined {
  if (!isBuilt(name)) return undefined;
  const record: unknown = attempt(() => JSON.parse(readFileSync(recordIn(buildFolder(name)), 'utf8')));
  return typeof record === 'object' && record !== null ? (record as Record) : undefined;
}

/**
 * The record of a backend's build. `fault` says why it no longer fits.
 * @throws UnavailableBackend, with the command that builds it, if there is none or it does not fit
 */
export function requireBuilt<Record extends object>(
  backend: NativeBackend,
  fault: (record: Record) => string | undefined,
): Record {
  const record = builtRecord<Record>(backend);
  const missing = isBuilt(backend) ? `${recordIn(buildFolder(backend))} is damaged` : 'it is not built';
  const problem = record ? fault(record) : missing;
  if (record && problem === undefined) return record;
  throw new UnavailableBackend(
    backend,
    problem!,
    `Run \`${buildCommand(backend)}\`, which says what it needs`,
  );
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

/** Where the libraries of a backend may be, and how to know them. */
interface Search<Found> {
  readonly backend: NativeBackend;
  /** A folder that the user names. */
  readonly folder: string | undefined;
  /** Python's name of the package. */
  readonly python: string;
  /** What the folder must hold, for the error. */
  readonly expected: string;
  /** What a folder holds; undefined if it is not complete. `from` says how it was found. */
  look(folder: string, from: string): Found | undefined;
}

/**
 * Looks into the folder that is given, else into that of the environment (LIBTORCH, TENSORFLOW), else into the packages
 * of PATCHWISE_PYTHON, .venv/bin/python and python3. No package is imported: that takes seconds.
 *
 * @throws InvalidArgument for a given folder without it
 */
export async function locate<Found>(search: Search<Found>): Promise<Found | undefined> {
  const { backend, folder, python: name, expected, look } = search;
  const variable = backend.toUpperCase();
  const [origin, given] = folder ? [backend, folder] : [variable, process.env[variable]];
  if (given) {
    const found = look(resolve(given), `${origin} ${given}`);
    if (found) return found;
    throw new InvalidArgument(origin, expected, given);
  }
  const script =
    'import importlib.util as u; ' +
    `s = u.find_spec("${name}"); print((s and s.submodule_search_locations or [""])[0])`;
  for (const python of [process.env.PATCHWISE_PYTHON, '.venv/bin/python', 'python3']) {
    const place = python && (await tell(python, ['-c', script]));
    if (place) return look(place, `the ${name} of ${python}`);
  }
  return undefined;
}

/** What a program prints, trimmed; undefined where it is not here or fails. */
async function tell(program: string, args: readonly string[]): Promise<string | undefined> {
  return run(program, args, { timeout: 60_000 }).then(
    ({ stdout }) => stdout.trim(),
    () => undefined,
  );
}

interface Tool {
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
