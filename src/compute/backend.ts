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
import { loadLibtorch } from './libtorch/backend';
import { buildCommand, isBuilt } from './libtorch/built';
import { referenceKernels } from './reference';
import { freeGradientsEarly } from './tape';
import { loadWasm } from './wasm';

/** The backends of this version. */
export type BackendName = 'libtorch' | 'wasm' | 'cpu';

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

const allBackends: readonly BackendName[] = ['libtorch', 'wasm', 'cpu'];

/** The backends `useBackend` can load, fastest first: `libtorch` where it is built. */
export const backendNames: readonly BackendName[] = allBackends.filter(
  (name) => name !== 'libtorch' || isBuilt(),
);

/** Backends of the design that this version does not have yet, and what to do meanwhile. */
const PLANNED: Record<string, string> = {
  tensorflow: 'Patchwise 0.1 has no TensorFlow backend yet. Use backend "wasm", or "auto"',
};

/** What computes, as the backend says of itself when it is loaded. */
type Facts = Pick<BackendInfo, 'device' | 'threads' | 'version'>;

const LOADERS: Record<BackendName, () => Promise<Facts>> = {
  libtorch: loadLibtorch,
  wasm: () => loadWasm().then(javaScript),
  cpu: () => loadCpu().then(javaScript),
};

const javaScript = (): Facts => ({ device: 'CPU', threads: 1, version: `tfjs ${tf.version_core}` });

/** Stock kernels that the model, its losses, its codebook and the optimiser are written with. */
const STOCK_KERNELS = (
  'Abs Add BatchMatMul Cast ClipByValue Concat Exp Fill GatherV2 Greater Identity Log Maximum Mean Minimum ' +
  'Multiply Neg RealDiv Reshape Rsqrt Select Sigmoid Sign Slice Sqrt Square SquaredDifference Sub Sum Tanh ' +
  'Transpose ZerosLike'
).split(' ');

const loaded = new Map<BackendName, Promise<Facts>>();

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
  for (const candidate of allBackends) {
    if (candidate === 'libtorch' && !isBuilt()) {
      failures.push(`the fastest that is here (libtorch is not built: \`${buildCommand}\`)`);
      continue;
    }
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
  const known = allBackends.find((backend) => backend === name);
  if (known) return known;
  if (PLANNED[name]) throw new UnavailableBackend(name, 'it is not part of this version', PLANNED[name]);
  throw new InvalidArgument(argument, 'the name of a backend', name, ['auto', ...backendNames]);
}

async function activate(name: BackendName, reason: string): Promise<BackendInfo> {
  if (loaded.size === 0) prepareTfjs();
  if (!loaded.has(name)) loaded.set(name, LOADERS[name]());
  let facts: Facts;
  try {
    facts = await loaded.get(name)!;
    if (!(await tf.setBackend(name))) throw new Error('tfjs could not initialise it');
    await tf.ready();
  } catch (error) {
    loaded.delete(name);
    if (error instanceof UnavailableBackend || error instanceof InvalidArgument) throw error;
    const why = error instanceof Error ? error.message : String(error);
    const cure = name === 'libtorch' ? `Run \`${buildCommand}\`` : 'Run `npm ci` in the Patchwise folder';
    throw new UnavailableBackend(name, why, cure, { cause: error });
  }
  return {
    name,
    reason,
    ...facts,
    precision: 'float32',
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
  freeGradientsEarly();
}

async function loadCpu(): Promise<void> {
  await import('@tensorflow/tfjs-backend-cpu');
  registerKernels(
    'cpu',
    referenceKernels(() => tf.backend()),
  );
}
