/**
 * The seam to what computes tensors. A backend is a tfjs backend plus our `Kernels`; models, gradients and
 * optimisers are written once against `@tensorflow/tfjs-core` and the ops of this folder.
 *
 * Contract: one backend is current in a process; it is chosen before the first tensor is made; work on it is
 * synchronous and happens in order; tensors belong to whoever made them (`tf.tidy` or `dispose`). Every backend
 * passes `test/conformance`.
 */
import * as tf from '@tensorflow/tfjs-core';
import { InvalidArgument, UnavailableBackend } from '../errors';
import { registerStockGradients } from './gradients';
import { registerKernelGradients, registerKernels } from './kernels';
import { referenceKernels } from './reference';
import { loadWasm } from './wasm';

/** The backends of this version. */
export type BackendName = 'wasm' | 'cpu';

export interface BackendInfo {
  readonly name: BackendName;
  /** Why this one. */
  readonly reason: string;
  readonly device: string;
  readonly threads: number;
  readonly precision: 'float32';
  /** Of the software that computes. */
  readonly version: string;
  /** Stock tfjs kernels that models or losses may ask for and this backend lacks. */
  readonly missing: readonly string[];
}

/** The backends `useBackend` can load, fastest first. */
export const backendNames: readonly BackendName[] = ['wasm', 'cpu'];

/** Backends of the design that this version does not have yet, and what to do meanwhile. */
const PLANNED: Record<string, string> = {
  libtorch: 'Patchwise 0.1 has no libtorch backend yet. Use backend "wasm", or "auto"',
  tensorflow: 'Patchwise 0.1 has no TensorFlow backend yet. Use backend "wasm", or "auto"',
};

const LOADERS: Record<BackendName, () => Promise<void>> = { wasm: loadWasm, cpu: loadCpu };

/** Stock kernels that the model, its losses, its codebook and the optimiser are written with. */
const STOCK_KERNELS = (
  'Abs Add BatchMatMul Cast ClipByValue Concat Exp Fill GatherV2 Greater Identity Log Maximum Mean Minimum ' +
  'Multiply Neg RealDiv Reshape Rsqrt Select Sigmoid Sign Slice Sqrt Square SquaredDifference Sub Sum Tanh ' +
  'Transpose ZerosLike'
).split(' ');

const loaded = new Map<BackendName, Promise<void>>();

/**
 * Loads a backend and makes it current. `auto`, or nothing, takes PATCHWISE_BACKEND where it is set, and else the
 * fastest that works.
 *
 * @throws InvalidArgument for an unknown name; UnavailableBackend, with the cure, for one that cannot be had.
 */
export async function useBackend(name: BackendName | 'auto' | (string & {}) = 'auto'): Promise<BackendInfo> {
  const wish = process.env.PATCHWISE_BACKEND;
  if (name !== 'auto') return activate(requireBackend(name, 'backend'), 'asked for by name');
  if (wish && wish !== 'auto') {
    return activate(requireBackend(wish, 'PATCHWISE_BACKEND'), 'asked for by PATCHWISE_BACKEND');
  }
  const failures: string[] = [];
  for (const candidate of backendNames) {
    try {
      const why = failures.length ? failures.join('; ') : 'the fastest backend of this version';
      return await activate(candidate, why);
    } catch (error) {
      failures.push(error instanceof Error ? error.message : String(error));
    }
  }
  throw new UnavailableBackend('auto', failures.join('; '), 'Run `npm ci` in the Patchwise folder');
}

function requireBackend(name: string, argument: string): BackendName {
  const known = backendNames.find((backend) => backend === name);
  if (known) return known;
  if (PLANNED[name]) throw new UnavailableBackend(name, 'it is not part of this version', PLANNED[name]);
  throw new InvalidArgument(argument, 'the name of a backend', name, ['auto', ...backendNames]);
}

async function activate(name: BackendName, reason: string): Promise<BackendInfo> {
  if (loaded.size === 0) prepareTfjs();
  if (!loaded.has(name)) loaded.set(name, LOADERS[name]());
  try {
    await loaded.get(name);
    if (!(await tf.setBackend(name))) throw new Error('tfjs could not initialise it');
    await tf.ready();
  } catch (error) {
    loaded.delete(name);
    const why = error instanceof Error ? error.message : String(error);
    throw new UnavailableBackend(name, why, 'Run `npm ci` in the Patchwise folder', { cause: error });
  }
  return {
    name,
    reason,
    device: 'CPU',
    threads: 1,
    precision: 'float32',
    version: `tfjs ${tf.version_core}`,
    missing: STOCK_KERNELS.filter((kernel) => !tf.getKernel(kernel, name)),
  };
}

let prepared = false;

function prepareTfjs(): void {
  if (prepared) return;
  prepared = true;
  // Production mode silences tfjs's advice to install tfjs-node, which does not apply to us.
  tf.enableProdMode();
  registerStockGradients();
  registerKernelGradients();
}

async function loadCpu(): Promise<void> {
  await import('@tensorflow/tfjs-backend-cpu');
  registerKernels(
    'cpu',
    referenceKernels(() => tf.backend()),
  );
}
