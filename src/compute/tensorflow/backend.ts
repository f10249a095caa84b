/**
 * TensorFlow as a backend: tfjs-node's kernels, built against a TensorFlow of this machine, and ours composed on top.
 *
 * Threads: TensorFlow's belong to the process; their number is set before it is loaded. GPUs: tfjs-node computes on one,
 * so each rank sees its own only.
 */
import { createRequire } from 'node:module';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import type { Backend } from '../contract/backend';
import { rankGpu, rankThreads } from '../machine/threads';
import { buildFolder } from '../machine/toolchain';
import { bindingPath, loaderPath, OUR_TFJS, requireTensorflow, type TfjsNodePackage } from './built';
import { type Binding, type NodeBackend, tensorflowKernels } from './kernels';

/** Loads what was built. @throws UnavailableBackend with the command that builds it. */
export async function loadTensorflow(): Promise<Backend> {
  const record = requireTensorflow();
  const backend = tensorflowBackend(buildFolder('tensorflow'), record.package);
  return { ...backend, version: `TensorFlow ${backend.version} (${record.from})` };
}

/** The backend of a build in a folder; its test uses it too. */
export function tensorflowBackend(folder: string, packageName: TfjsNodePackage): Backend {
  const threads = rankThreads();
  giveBackUtilities();
  Object.assign(globalThis, { [Symbol.for(OUR_TFJS)]: require('@tensorflow/tfjs-core') });
  const load = createRequire(join(folder, 'package.json'));
  const loader = load(loaderPath(folder)) as Loader;
  for (const [name, value] of Object.entries(settings(threads))) loader.tell(name, value);
  process.stderr.write(loader.load(bindingPath(folder)).replace(OWN_TALK, ''));
  const binding = load(bindingPath(folder)) as Binding;
  const { NodeJSKernelBackend } = load(`${packageName}/dist/nodejs_kernel_backend`) as {
    readonly NodeJSKernelBackend: new (binding: Binding, packageName: string) => NodeBackend;
  };
  tf.registerBackend('tensorflow', () => new NodeJSKernelBackend(binding, packageName));
  load(`${packageName}/dist/register_all_kernels`);
  keepWholeNumbersWhenRounding();
  const backend = () => tf.backend() as NodeBackend;
  const device = binding.isUsingGpuDevice() ? `GPU ${rankGpu()}` : 'CPU';
  return {
    name: 'tensorflow',
    device,
    threads,
    version: binding.TF_Version,
    precisions: ['float32'],
    kernels: tensorflowKernels(backend),
  };
}

/** What every TensorFlow prints as it is loaded. */
const OWN_TALK = /^.*(absl::InitializeLog|oneDNN custom operations|optimized to use available CPU).*\n/gm;

/** The addon of `native/load.cc`. */
interface Loader {
  /** Sets an environment variable of the process. */
  tell(name: string, value: string): void;
  /** Loads a library and returns what it printed. */
  load(path: string): string;
}

/** Environment variables that TensorFlow reads when it starts. Those that are set already stay. */
function settings(threads: number): Record<string, string> {
  const { env } = process;
  const wanted: Record<string, string> = {
    TF_NUM_INTRAOP_THREADS: String(threads),
    TF_NUM_INTEROP_THREADS: '1',
    TF_CPP_MIN_LOG_LEVEL: '2',
    // Without it the first rank on a GPU takes all of its memory.
    TF_FORCE_GPU_ALLOW_GROWTH: 'true',
  };
  const unset = Object.entries(wanted).filter(([name]) => env[name] === undefined);
  const visible = env.CUDA_VISIBLE_DEVICES?.split(',').filter(Boolean);
  const gpu = rankGpu();
  const shown = gpu === undefined ? '-1' : visible ? visible[gpu % visible.length] : String(gpu);
  return { ...Object.fromEntries(unset), CUDA_VISIBLE_DEVICES: shown ?? '-1' };
}

/** Functions that tfjs-node calls. Node 22 warns at each call, and Node 23 has removed them. */
function giveBackUtilities(): void {
  const util = createRequire(__filename)('node:util') as Record<string, unknown>;
  util.isNullOrUndefined = (value: unknown) => value === null || value === undefined;
  util.isArray = Array.isArray;
}

/** TensorFlow's Round gives zeros for int32; ours gives the numbers themselves. */
function keepWholeNumbersWhenRounding(): void {
  const stock = tf.getKernel('Round', 'tensorflow')!;
  tf.unregisterKernel('Round', 'tensorflow');
  tf.registerKernel({
    ...stock,
    kernelFunc: (call) => {
      const x = call.inputs.x as tf.Tensor;
      return x.dtype === 'int32' ? tf.clone(x) : stock.kernelFunc(call);
    },
  });
}
