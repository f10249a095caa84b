/**
 * Builds tfjs-node against a TensorFlow of this machine. Its own installer fetches TensorFlow 2.9.1 of 2022, which
 * knows no newer GPU and no newer Node; its sources compile against a current one unchanged.
 */
import { statSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { UnavailableBackend } from '../../errors';
import { compiledFile, packageRoot } from '../../package';
import type { LongCall } from '../../progress';
import {
  buildCommand,
  buildFolder,
  execute,
  findCompiler,
  install,
  nodeApiHeaders,
  testInProcess,
} from '../machine/toolchain';
import {
  bindingPath,
  loaderPath,
  OUR_TFJS,
  type TensorflowBuild,
  TFJS_NODE,
  type TfjsNodePackage,
} from './built';
import { cudaLibraries, findTensorflow, type Tensorflow } from './locate';
import { downloadStock, misfit } from './stock';

interface TensorflowBuildOptions extends LongCall {
  /** A Python's `tensorflow` folder or the C library's; by default it is searched for. */
  readonly tensorflow?: string;
  /** Build tfjs-node-gpu, and fail if it then sees no GPU. */
  readonly gpu?: boolean;
}

const STEPS = ['find', 'install', 'compile', 'test'] as const;

/** What every step needs. */
interface Job {
  /** The folder in which all is built. */
  readonly work: string;
  readonly name: TfjsNodePackage;
  readonly gpu: boolean;
  readonly signal: AbortSignal | undefined;
}

/**
 * Builds, tests and installs it. One that was there before stays until the new one has passed its test. Needs a C++
 * compiler, npm's registry and a TensorFlow; without one it fetches the stock library if that fits this machine.
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
  const build = await install(folder, async (work) => {
    const name: TfjsNodePackage = gpu ? '@tensorflow/tfjs-node-gpu' : '@tensorflow/tfjs-node';
    const job = { work, name, gpu, signal };
    report('find', 'looking for TensorFlow');
    const tensorflow =
      (await findTensorflow(options.tensorflow)) ??
      (await stockIfItFits(job, (what) => report('find', what)));
    const { from, libraries } = tensorflow;
    if (gpu && !tensorflow.cuda)
      throw failed(`${from} was compiled without CUDA`, `Install one with it (${WITH_CUDA})`, gpu);
    report('install', `fetching ${name} ${TFJS_NODE}, for ${from}`);
    await installTfjsNode(job);
    report('compile', 'compiling its addon');
    await compile(compiler, job, tensorflow);
    report('test', 'testing');
    const program = compiledFile('src', 'compute', 'tensorflow', 'self-test.js');
    const tool = { backend: 'tensorflow', signal } as const;
    const test = await testInProcess<TensorflowBuild['test']>(program, [work, name], tool);
    if (gpu && !test.gpu)
      throw failed(
        'it was built, but TensorFlow sees no GPU',
        `See that nvidia-smi shows one and that CUDA and cuDNN fit TensorFlow (${WITH_CUDA} brings them)`,
        gpu,
      );
    return {
      tensorflow: test.version,
      from,
      package: name,
      tfjsNode: TFJS_NODE,
      library: libraries[0]!.replace(work, folder),
      librarySize: statSync(libraries[0]!).size,
      seconds: (performance.now() - started) / 1000,
      test,
    };
  });
  onProgress?.({ done: STEPS.length, total: STEPS.length, what: 'tested' });
  return build;
}

const WITH_CUDA = "`.venv/bin/pip install 'tensorflow[and-cuda]'`";

function failed(problem: string, cure: string, gpu: boolean, cause?: Error): UnavailableBackend {
  const whole = `${cure}, then \`${buildCommand('tensorflow', gpu)}\``;
  return new UnavailableBackend('tensorflow', problem, whole, { cause });
}

async function stockIfItFits(job: Job, report: (what: string) => void): Promise<Tensorflow> {
  const { work, gpu, signal } = job;
  const missing = (why: string, cause?: Error) => {
    const packages = gpu ? "'tensorflow[and-cuda]'" : 'tensorflow-cpu';
    const install = `python3 -m venv .venv && .venv/bin/pip install ${packages}`;
    const cure = `Install TensorFlow (\`${install}\`) or give --tensorflow DIR`;
    return failed(`TensorFlow is not on this machine, and ${why}`, cure, gpu, cause);
  };
  const why = await misfit(gpu);
  if (why) throw missing(why);
  return downloadStock(join(work, 'stock'), gpu, { signal, onProgress: ({ what }) => report(what) }).catch(
    (error: Error) => {
      signal?.throwIfAborted();
      throw missing(`the stock one cannot be fetched (${error.message})`, error);
    },
  );
}

/** Fetches the package and what it loads. Our tfjs-core stands in for the tfjs and tfjs-core that it asks for. */
async function installTfjsNode({ work, name, signal }: Job): Promise<void> {
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

async function compile(compiler: string, job: Job, tensorflow: Tensorflow): Promise<void> {
  const { work, name, gpu, signal } = job;
  const cuda = gpu ? cudaLibraries(dirname(dirname(tensorflow.libraries[0]!))) : [];
  // The folder has one name while it is tested, and another once it is installed.
  const places = [...tensorflow.libraries, ...cuda].map((file) => dirname(file));
  const folders = new Set(places.flatMap((place) => [place, place.replace(work, buildFolder('tensorflow'))]));
  const common = [
    ...'-shared -fPIC -O2 -std=c++17 -DNAPI_VERSION=8 -I..'.split(' '),
    `-I${nodeApiHeaders()}`,
    '-isystem',
    tensorflow.headers,
    // When TensorFlow starts, it asks for CUDA's libraries by name. It finds those of pip if they are loaded already.
    ...(cuda.length ? ['-Wl,--disable-new-dtags'] : []),
    ...[...folders].map((folder) => `-Wl,-rpath,${folder}`),
  ];
  const loader = join(packageRoot(), 'src', 'compute', 'tensorflow', 'native', 'load.cc');
  const sources = ['tfjs_backend.cc', 'tfjs_binding.cc', ...tensorflow.libraries];
  if (cuda.length) sources.push('-Wl,--no-as-needed', ...cuda);
  const addons = [
    ['-DNODE_GYP_MODULE_NAME=load', '-o', loaderPath(work), loader, '-ldl'],
    ['-DNODE_GYP_MODULE_NAME=tfjs_binding', '-o', bindingPath(work), ...sources],
  ];
  const folder = join(work, 'node_modules', name, 'binding');
  const tool = { backend: 'tensorflow', what: 'compiling the addon', folder, signal } as const;
  await Promise.all(addons.map((args) => execute(compiler, [...common, ...args], tool)));
}
