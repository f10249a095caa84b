/** Builds the native part of the libtorch backend with the system's compiler. Nothing of it happens at install. */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { UnavailableBackend } from '../../errors';
import { compiledFile } from '../../package';
import type { LongCall } from '../../progress';
import { addonPath, type BuildRecord, buildCommand, buildFolder, buildKey, nativeSources } from './built';
import { findCompiler, findLibtorch, findNodeHeaders, type Libtorch } from './locate';
import type { SelfTest } from './self-test';

const run = promisify(execFile);

export interface BuildOptions extends LongCall {
  /** A folder with libtorch's include and lib; found by itself where it is not given. */
  readonly libtorch?: string;
}

export interface Build extends BuildRecord {
  readonly test: SelfTest;
}

/**
 * Builds, tests and installs the addon; one that was there before stays until the new one has passed its test.
 *
 * @throws UnavailableBackend saying what to install, or with the end of what the compiler said.
 */
export async function buildLibtorch(options: BuildOptions = {}): Promise<Build> {
  const { signal, onProgress } = options;
  const started = performance.now();
  const [libtorch, compiler] = [await findLibtorch(options.libtorch), await findCompiler()];
  const flags = compilerFlags(libtorch, findNodeHeaders());
  const folder = buildFolder();
  await mkdir(dirname(folder), { recursive: true });
  const work = await mkdtemp(`${folder}-`);
  try {
    const sources = (await readdir(nativeSources())).filter((name) => name.endsWith('.cc'));
    const waiting = [...sources];
    const total = sources.length + 2;
    let done = 0;
    const report = (what: string) => onProgress?.({ done: ++done, total, what });
    const compileAll = async () => {
      for (let name = waiting.shift(); name; name = waiting.shift()) {
        const [from, to] = [join(nativeSources(), name), join(work, `${name}.o`)];
        await execute(compiler, [...flags, '-c', from, '-o', to], `compiling ${name}`, signal);
        report(`compiled ${name}`);
      }
    };
    await Promise.all(Array.from({ length: Math.min(availableParallelism(), sources.length) }, compileAll));
    const objects = sources.map((name) => join(work, `${name}.o`));
    await execute(compiler, linkerArguments(libtorch, objects, addonPath(work)), 'linking', signal);
    report('linked');
    const test = await selfTest(addonPath(work), signal);
    report('tested');
    for (const object of objects) await rm(object);
    const { version, from, cuda } = libtorch;
    const seconds = (performance.now() - started) / 1000;
    const record: BuildRecord = { libtorch: version, from, cuda, key: buildKey(), seconds };
    await writeFile(join(work, 'build.json'), `${JSON.stringify(record, null, 2)}\n`);
    await rm(folder, { recursive: true, force: true });
    await rename(work, folder);
    return { ...record, test };
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

function compilerFlags(libtorch: Libtorch, nodeHeaders: string): string[] {
  const standard = Number(libtorch.version.split('.')[0]) >= 2 ? 'c++20' : 'c++17';
  return [
    `-std=${standard}`,
    ...['-O3', '-march=native', '-fno-math-errno', '-fno-trapping-math', '-ffp-contract=fast'],
    ...['-fPIC', '-fopenmp', '-fvisibility=hidden', '-Wno-psabi', '-DNODE_GYP_MODULE_NAME=patchwise'],
    `-D_GLIBCXX_USE_CXX11_ABI=${libtorch.cxx11 ? 1 : 0}`,
    `-I${nodeHeaders}`,
    ...libtorch.includes.flatMap((folder) => ['-isystem', folder]),
  ];
}

function linkerArguments(libtorch: Libtorch, objects: readonly string[], out: string): string[] {
  // GPUs are registered by libtorch_cuda's loading; nothing in it is called by name.
  const cuda = libtorch.cuda ? ['-Wl,--no-as-needed', '-ltorch_cuda', '-lc10_cuda'] : [];
  return [
    '-shared',
    ...['-o', out, ...objects],
    ...[`-L${libtorch.libraries}`, '-ltorch_cpu', '-lc10', ...cuda, '-fopenmp'],
    `-Wl,-rpath,${libtorch.libraries}`,
    // Worker threads end before libtorch's own threads do, so the library stays loaded.
    '-Wl,-z,nodelete',
  ];
}

async function execute(
  program: string,
  args: readonly string[],
  what: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  await run(program, args, { signal, maxBuffer: 64 << 20 }).catch((error: Error & { stderr?: string }) => {
    signal?.throwIfAborted();
    const said = (error.stderr || error.message).trim().split('\n');
    const first = said.find((line) => line.includes('error')) ?? said.at(-1);
    throw new UnavailableBackend(
      'libtorch',
      `${what} failed: ${first}`,
      `The whole command was \`${program} ${args.join(' ')}\`; when it works, run \`${buildCommand}\` again`,
      { cause: error },
    );
  });
}

/** In a process of its own: an addon that crashes must not take its builder along. */
async function selfTest(path: string, signal: AbortSignal | undefined): Promise<SelfTest> {
  const program = compiledFile('src', 'compute', 'libtorch', 'self-test.js');
  const { stdout } = await run(process.execPath, [program, path], { signal }).catch((error: Error) => {
    signal?.throwIfAborted();
    const why = `it was built but does not work: ${error.message.trim().split('\n').slice(-4).join(' ')}`;
    throw new UnavailableBackend('libtorch', why, 'Try another libtorch with --libtorch DIR', {
      cause: error,
    });
  });
  return JSON.parse(stdout) as SelfTest;
}
