/** Builds the native part of the libtorch backend with the system's compiler, when asked to and never at install. */
import { mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { makeFolder } from '../../make-folder';
import { compiledFile } from '../../package';
import type { LongCall } from '../../progress';
import { buildFolder, execute, findCompiler, nodeApiHeaders, testInProcess } from '../machine/toolchain';
import { addonPath, type BuildRecord, buildKey, nativeSources } from './built';
import { findLibtorch, type Libtorch } from './locate';
import type { SelfTest } from './self-test';

/** Reading libtorch's headers takes longer than compiling our sources, so several sources are compiled as one unit. */
const UNITS = 2;

export interface BuildOptions extends LongCall {
  /** A folder with libtorch's include and lib; found by itself where it is not given. */
  readonly libtorch?: string;
  /** The processor to compile for, as compilers name it (`x86-64-v3`); this machine's where it is not given. */
  readonly march?: string;
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
  const [libtorch, compiler] = [await findLibtorch(options.libtorch), await findCompiler('libtorch')];
  // `native` is a compiler's name for this machine's processor.
  const march = options.march === 'native' ? undefined : options.march;
  const flags = compilerFlags(libtorch, march);
  const folder = buildFolder('libtorch');
  makeFolder(dirname(folder));
  const work = await mkdtemp(`${folder}-`);
  try {
    const units = await writeUnits(work);
    const total = units.length + 2;
    let done = 0;
    const report = (what: string) => onProgress?.({ done: ++done, total, what });
    onProgress?.({ done, total, what: `compiling for libtorch ${libtorch.version} (${libtorch.from})` });
    const waiting = [...units];
    const compileAll = async () => {
      for (let unit = waiting.shift(); unit; unit = waiting.shift()) {
        const what = `compiling ${unit.sources.join(', ')}`;
        const args = [...flags, '-c', unit.file, '-o', `${unit.file}.o`];
        await execute(compiler, args, { backend: 'libtorch', what, signal });
        report(`compiled ${unit.sources.join(', ')}`);
      }
    };
    await Promise.all(Array.from({ length: Math.min(availableParallelism(), units.length) }, compileAll));
    const objects = units.map(({ file }) => `${file}.o`);
    const link = linkerArguments(libtorch, objects, addonPath(work));
    await execute(compiler, link, { backend: 'libtorch', what: 'linking', signal });
    report('linked');
    const program = compiledFile('src', 'compute', 'libtorch', 'self-test.js');
    const test = await testInProcess<SelfTest>(program, [addonPath(work)], { backend: 'libtorch', signal });
    report('tested');
    for (const { file } of units) await Promise.all([rm(file), rm(`${file}.o`)]);
    const { version, from, cuda } = libtorch;
    const seconds = (performance.now() - started) / 1000;
    const headers = libtorch.includes[0]!;
    const record: BuildRecord = {
      libtorch: version,
      from,
      cuda,
      headers,
      march,
      key: buildKey(march),
      seconds,
    };
    await writeFile(join(work, 'build.json'), `${JSON.stringify(record, null, 2)}\n`);
    await rm(folder, { recursive: true, force: true });
    await rename(work, folder);
    return { ...record, test };
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

interface Unit {
  readonly file: string;
  readonly sources: readonly string[];
}

/** Files that include the sources, about as much text in each; the same grouping on every machine. */
async function writeUnits(folder: string): Promise<Unit[]> {
  const names = (await readdir(nativeSources())).filter((name) => name.endsWith('.cc')).sort();
  const sources = await Promise.all(
    names.map(async (name) => ({ name, size: (await readFile(join(nativeSources(), name))).length })),
  );
  const units = Array.from({ length: UNITS }, (_, i) => ({ i, size: 0, sources: [] as string[] }));
  for (const { name, size } of sources.sort((a, b) => b.size - a.size)) {
    const smallest = units.reduce((least, unit) => (unit.size < least.size ? unit : least));
    smallest.sources.push(name);
    smallest.size += size;
  }
  return Promise.all(
    units.map(async ({ i, sources }) => {
      const file = join(folder, `unit${i}.cc`);
      const lines = sources.map((name) => `#include ${JSON.stringify(join(nativeSources(), name))}\n`);
      await writeFile(file, lines.join(''));
      return { file, sources };
    }),
  );
}

function compilerFlags(libtorch: Libtorch, march = 'native'): string[] {
  const standard = Number(libtorch.version.split('.')[0]) >= 2 ? 'c++20' : 'c++17';
  return [
    `-std=${standard}`,
    ...['-O3', `-march=${march}`, '-fno-math-errno', '-fno-trapping-math', '-ffp-contract=fast'],
    ...['-fPIC', '-fopenmp', '-fvisibility=hidden', '-Wno-psabi', '-DNODE_GYP_MODULE_NAME=patchwise'],
    `-D_GLIBCXX_USE_CXX11_ABI=${libtorch.cxx11 ? 1 : 0}`,
    `-I${nodeApiHeaders()}`,
    // Named again, /usr/include would come before the compiler's own headers, which count on coming first.
    ...libtorch.includes
      .filter((folder) => folder !== '/usr/include')
      .flatMap((folder) => ['-isystem', folder]),
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
