/**
 * Builds tfjs-node against a TensorFlow of this machine. Its own installer fetches TensorFlow 2.9.1 of 2022, which
 * knows no newer GPU and no newer Node; its sources compile against a current one unchanged.
 */

import { statSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { UnavailableBackend } from '../../errors';
import { makeFolder } from '../../make-folder';
import { compiledFile, packageRoot } from '../../package';
import type { LongCall } from '../../progress';
import {
  buildCommand,
  buildFolder,
  execute,
  findCompiler,
  nodeApiHeaders,
  testInProcess,
} from '../machine/toolchain';
import {
  bindingPath,
  loaderPath,
  OUR_TFJS,
  type TensorflowRecord,
  TFJS_NODE,
  tfjsNodePackage,
} from './built';
import { cudaLibraries } from './cuda';
import { findTensorflow, type Tensorflow } from './locate';
import type { TensorflowTest } from './self-test';
import { downloadStock, misfit } from './stock';

export interface TensorflowBuildOptions extends LongCall {
  /** A Python's `tensorflow` folder or the C library's; found by itself where it is not given. */
  readonly tensorflow?: string;
  /** Build tfjs-node-gpu, and fail where it then sees no GPU. */
  readonly gpu?: boolean;
}

export interface TensorflowBuild extends TensorflowRecord {
  readonly test: TensorflowTest;
}

const STEPS = ['find', 'install', 'compile', 'test'] as const;

/**
 * Builds, tests and installs it; one that was there before stays until the new one has passed its test. Needs a C++
 * compiler, npm's registry and a TensorFlow; without one it fetches the stock library where that fits this machine.
 *
 * @throws UnavailableBackend saying what to install, or with what the compiler, npm or the test said.
 */
export async function buildTensorflow(options: TensorflowBuildOptions = {}): Promise<TensorflowBuild> {
  const { signal, onProgress, gpu = false } = options;
  const started = performance.now();
  const report = (step: (typeof STEPS)[number], what: string) =>
    onProgress?.({ done: STEPS.indexOf(step), total: STEPS.length, what });
  const compiler = await findCompiler('tensorflow');
  const folder = buildFolder('tensorflow');
  makeFolder(dirname(folder));
  const work = await mkdtemp(`${folder}-`);
  try {
    report('find', 'looking for TensorFlow');
    const tensorflow =
      (await findTensorflow(options.tensorflow)) ??
      (await stockWhereItFits(work, gpu, signal, (what) => report('find', what)));
    if (gpu && !tensorflow.cuda) throw withoutCuda(tensorflow);
    const name = tfjsNodePackage(gpu);
    report('install', `fetching ${name} ${TFJS_NODE}, for ${tensorflow.from}`);
    await installTfjsNode(work, name, signal);
    report('compile', 'compiling its addon');
    await compile(compiler, work, name, tensorflow, gpu, signal);
    report('test', 'testing');
    const program = compiledFile('src', 'compute', 'tensorflow', 'self-test.js');
    const test = await testInProcess<TensorflowTest>(program, [work, name], {
      backend: 'tensorflow',
      signal,
    });
    if (gpu && !test.gpu) throw withoutGpu();
    const record: TensorflowRecord = {
      tensorflow: test.version,
      from: tensorflow.from,
      package: name,
      tfjsNode: TFJS_NODE,
      library: tensorflow.libraries[0]!.replace(work, folder),
      librarySize: statSync(tensorflow.libraries[0]!).size,
      seconds: (performance.now() - started) / 1000,
    };
    await writeFile(join(work, 'build.json'), `${JSON.stringify(record, null, 2)}\n`);
    await rm(folder, { recursive: true, force: true });
    await rename(work, folder);
    onProgress?.({ done: STEPS.length, total: STEPS.length, what: 'tested' });
    return { ...record, test };
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function stockWhereItFits(
  work: string,
  gpu: boolean,
  signal: AbortSignal | undefined,
  report: (what: string) => void,
): Promise<Tensorflow> {
  const cure =
    `Install TensorFlow (\`python3 -m venv .venv && .venv/bin/pip install ${gpu ? "'tensorflow[and-cuda]'" : 'tensorflow-cpu'}\`) ` +
    `or give --tensorflow DIR; then \`${buildCommand('tensorflow', gpu)}\``;
  const why = await misfit(gpu);
  if (why) throw new UnavailableBackend('tensorflow', `TensorFlow is not on this machine, and ${why}`, cure);
  return downloadStock(join(work, 'stock'), gpu, { signal, onProgress: ({ what }) => report(what) }).catch(
    (error: Error) => {
      signal?.throwIfAborted();
      const reason = `TensorFlow is not on this machine, and the stock one cannot be fetched (${error.message})`;
      throw new UnavailableBackend('tensorflow', reason, cure, { cause: error });
    },
  );
}

/** The package and what it loads, with our tfjs-core in the place of the tfjs and tfjs-core that it asks for. */
async function installTfjsNode(
  work: string,
  name: TensorflowRecord['package'],
  signal: AbortSignal | undefined,
): Promise<void> {
  const dependencies: Record<string, string> = { [name]: TFJS_NODE };
  for (const stand of ['tfjs', 'tfjs-core']) {
    await mkdir(join(work, stand));
    const manifest = { name: `@tensorflow/${stand}`, version: TFJS_NODE, main: 'index.js' };
    await writeFile(join(work, stand, 'package.json'), JSON.stringify(manifest));
    await writeFile(
      join(work, stand, 'index.js'),
      `module.exports = globalThis[Symbol.for('${OUR_TFJS}')];\n`,
    );
    dependencies[`@tensorflow/${stand}`] = `file:./${stand}`;
  }
  await writeFile(join(work, 'package.json'), JSON.stringify({ private: true, dependencies }));
  const quiet = ['--no-audit', '--no-fund', '--no-package-lock', '--loglevel=error'];
  const args = ['install', '--ignore-scripts', ...quiet, '--prefix', work];
  const what = `fetching ${name} ${TFJS_NODE} from npm`;
  await execute('npm', args, { backend: 'tensorflow', what, folder: work, signal });
}

async function compile(
  compiler: string,
  work: string,
  name: TensorflowRecord['package'],
  tensorflow: Tensorflow,
  gpu: boolean,
  signal: AbortSignal | undefined,
): Promise<void> {
  const cuda = gpu ? cudaLibraries(dirname(dirname(tensorflow.libraries[0]!))) : [];
  const final = (file: string) => file.replace(work, buildFolder('tensorflow'));
  // The folder has another name while it is tested and after.
  const folders = new Set(
    [...tensorflow.libraries, ...cuda].flatMap((file) => [dirname(file), dirname(final(file))]),
  );
  const common = [
    ...['-shared', '-fPIC', '-O2', '-std=c++17', '-DNAPI_VERSION=8'],
    ...['-I', '..', '-I', nodeApiHeaders(), '-isystem', tensorflow.headers],
    // TensorFlow asks for CUDA's libraries by name when it starts; those of pip are found if they are loaded already.
    ...(cuda.length ? ['-Wl,--disable-new-dtags'] : []),
    ...[...folders].map((folder) => `-Wl,-rpath,${folder}`),
  ];
  const loader = join(packageRoot(), 'src', 'compute', 'tensorflow', 'native', 'load.cc');
  const addons = [
    ['-DNODE_GYP_MODULE_NAME=load', '-o', loaderPath(work), loader, '-ldl'],
    [
      ...[
        '-DNODE_GYP_MODULE_NAME=tfjs_binding',
        '-o',
        bindingPath(work),
        'tfjs_backend.cc',
        'tfjs_binding.cc',
      ],
      ...tensorflow.libraries,
      ...(cuda.length ? ['-Wl,--no-as-needed', ...cuda] : []),
    ],
  ];
  const folder = join(work, 'node_modules', name, 'binding');
  const tool = { backend: 'tensorflow', what: 'compiling the addon', folder, signal } as const;
  await Promise.all(addons.map((args) => execute(compiler, [...common, ...args], tool)));
}

function withoutCuda({ from }: Tensorflow): UnavailableBackend {
  return new UnavailableBackend(
    'tensorflow',
    `${from} was compiled without CUDA`,
    `Install one with it (\`.venv/bin/pip install 'tensorflow[and-cuda]'\`), then \`${buildCommand('tensorflow', true)}\``,
  );
}

function withoutGpu(): UnavailableBackend {
  return new UnavailableBackend(
    'tensorflow',
    'it was built, but TensorFlow sees no GPU',
    'See that nvidia-smi shows one and that CUDA and cuDNN fit TensorFlow ' +
      `(\`.venv/bin/pip install 'tensorflow[and-cuda]'\` brings them), then \`${buildCommand('tensorflow', true)}\``,
  );
}
