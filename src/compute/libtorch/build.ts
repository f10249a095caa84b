/** Builds the native part of the libtorch backend with the system's compiler, when asked to and never at install. */
import { readFile, rm, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { compiledFile } from '../../package';
import type { LongCall } from '../../progress';
import {
  buildFolder,
  execute,
  findCompiler,
  install,
  nodeApiHeaders,
  testInProcess,
} from '../machine/toolchain';
import { addonPath, type Build, buildKey, nativeSources, sourceFolder } from './built';
import { findLibtorch, type Libtorch } from './locate';

/** Reading libtorch's headers takes longer than compiling our sources, so several sources make one unit. */
const UNITS = 2;

interface BuildOptions extends LongCall {
  /** A folder with libtorch's include and lib; by default it is searched for. */
  readonly libtorch?: string;
  /** The processor to compile for, as compilers name it (`x86-64-v3`); by default this machine's. */
  readonly march?: string;
}

/**
 * Builds, tests and installs the addon. The one that was there before stays until the new one has passed its test.
 * @throws UnavailableBackend with what to install, or with the end of what the compiler said.
 */
export async function buildLibtorch(options: BuildOptions = {}): Promise<Build> {
  const { signal, onProgress } = options;
  const started = performance.now();
  const [libtorch, compiler] = [await findLibtorch(options.libtorch), await findCompiler('libtorch')];
  // `native` is a compiler's name for this machine's processor.
  const march = options.march === 'native' ? undefined : options.march;
  const flags = compilerFlags(libtorch, march);
  return install(buildFolder('libtorch'), async (work) => {
    const units = await writeUnits(work);
    const total = units.length + 2;
    let done = 0;
    const report = (what: string) => onProgress?.({ done: done++, total, what });
    report(`compiling for libtorch ${libtorch.version} (${libtorch.from})`);
    const waiting = [...units];
    const compileAll = async () => {
      for (let unit = waiting.shift(); unit; unit = waiting.shift()) {
        const args = [...flags, '-c', unit, '-o', `${unit}.o`];
        await execute(compiler, args, { backend: 'libtorch', what: 'compiling', signal });
        report(`compiled ${done} of ${units.length}`);
      }
    };
    await Promise.all(Array.from({ length: Math.min(availableParallelism(), units.length) }, compileAll));
    const objects = units.map((unit) => `${unit}.o`);
    const out = ['-shared', '-fopenmp', '-o', addonPath(work)];
    const link = [...out, ...objects, ...linkArguments(libtorch, libtorch.cuda)];
    await execute(compiler, link, { backend: 'libtorch', what: 'linking', signal });
    report('linked');
    const program = compiledFile('src', 'compute', 'libtorch', 'self-test.js');
    const test = await testInProcess<Build['test']>(program, [addonPath(work)], {
      backend: 'libtorch',
      signal,
    });
    report('tested');
    await Promise.all([...units, ...objects].map((file) => rm(file)));
    const { version, from, cuda, includes } = libtorch;
    const seconds = (performance.now() - started) / 1000;
    const key = buildKey(march);
    return { libtorch: version, from, cuda, headers: includes[0]!, march, key, seconds, test };
  });
}

/** Files that include the sources, about as much text in each; the same grouping on every machine. */
async function writeUnits(folder: string): Promise<string[]> {
  const files = nativeSources().filter((file) => file.endsWith('.cc'));
  const sources = await Promise.all(
    files.map(async (file) => {
      const path = join(sourceFolder(), file);
      return { line: `#include ${JSON.stringify(path)}\n`, size: (await readFile(path)).length };
    }),
  );
  const units = Array.from({ length: UNITS }, (_, i) => ({
    file: join(folder, `unit${i}.cc`),
    size: 0,
    text: '',
  }));
  for (const { line, size } of sources.sort((a, b) => b.size - a.size)) {
    const smallest = units.reduce((least, unit) => (unit.size < least.size ? unit : least));
    smallest.text += line;
    smallest.size += size;
  }
  await Promise.all(units.map(({ file, text }) => writeFile(file, text)));
  return units.map(({ file }) => file);
}

function compilerFlags(libtorch: Libtorch, march = 'native'): string[] {
  const standard = Number(libtorch.version.split('.')[0]) >= 2 ? 'c++20' : 'c++17';
  return [
    `-std=${standard}`,
    `-march=${march}`,
    ...'-O3 -fno-math-errno -fno-trapping-math -ffp-contract=fast'.split(' '),
    ...'-fPIC -fopenmp -fvisibility=hidden -Wno-psabi -DNODE_GYP_MODULE_NAME=patchwise'.split(' '),
    `-I${sourceFolder()}`,
    ...includeArguments(libtorch),
  ];
}

/** What finds the headers of Node-API, of libtorch and of more folders. */
export function includeArguments(libtorch: Libtorch, more: readonly string[] = []): string[] {
  // The compiler searches /usr/include anyway; if we named it, it would come before the compiler's own headers.
  const folders = [...libtorch.includes, ...more].filter((folder) => folder !== '/usr/include');
  return [
    `-D_GLIBCXX_USE_CXX11_ABI=${libtorch.cxx11 ? 1 : 0}`,
    `-I${nodeApiHeaders()}`,
    ...folders.flatMap((folder) => ['-isystem', folder]),
  ];
}

/** What links an addon with libtorch, and with its CUDA if that is asked for. */
export function linkArguments({ libraries }: Libtorch, cuda: boolean): string[] {
  return [
    `-L${libraries}`,
    '-ltorch_cpu',
    '-lc10',
    // libtorch_cuda registers GPUs as it is loaded; nothing in it is called by name.
    ...(cuda ? ['-Wl,--no-as-needed', '-ltorch_cuda', '-lc10_cuda'] : []),
    `-Wl,-rpath,${libraries}`,
    // Threads that still wait when the process ends run in the library, so it must stay loaded.
    '-Wl,-z,nodelete',
  ];
}
