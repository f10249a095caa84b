/** Chooses the backend that computes, loads it and makes it current. */
import * as tf from '@tensorflow/tfjs-core';
import { InvalidArgument, UnavailableBackend } from '../errors';
import type { Backend, BackendName } from './contract/backend';
import { registerBackend } from './contract/registry';
import { loadCpu } from './cpu/backend';
import { loadLibtorch } from './libtorch/backend';
import { askedGpu, idleGpus } from './machine/gpus';
import { rankGpu } from './machine/threads';
import { buildCommand, isBuilt, type NativeBackend } from './machine/toolchain';
import { registerGradients } from './ops/gradients';
import { freeGradientsEarly } from './ops/tape';
import { loadTensorflow } from './tensorflow/backend';
import { loadWasm } from './wasm/backend';

/** What a backend says of itself, and why it was taken. */
export interface BackendInfo extends Pick<Backend, 'name' | 'device' | 'threads' | 'version' | 'precisions'> {
  /** Why this one. */
  readonly reason: string;
  /** What is wrong with the choice: GPUs that are here are not used. */
  readonly warning?: string;
  /** Stock tfjs kernels that models or losses may ask for and this backend lacks. */
  readonly missing: readonly string[];
  /** All other kernels of tfjs that this backend lacks: what a notebook's own tensors cannot use on it. */
  readonly unsupported: readonly string[];
  /** Kernels of tfjs that it has in JavaScript alone, where each call copies its tensors to the host and back. */
  readonly onHost: readonly string[];
}

/** Fastest first. */
const allBackends: readonly BackendName[] = ['libtorch', 'tensorflow', 'wasm', 'cpu'];

/** Whether a backend is built on the machine it runs on. */
const isNative = (name: BackendName): name is NativeBackend => name === 'libtorch' || name === 'tensorflow';

/** The backends `useBackend` can load here, fastest first: the native ones where they are built. */
export const backendNames: readonly BackendName[] = allBackends.filter(
  (name) => !isNative(name) || isBuilt(name),
);

const LOADERS: Readonly<Record<BackendName, () => Promise<Backend>>> = {
  libtorch: loadLibtorch,
  tensorflow: loadTensorflow,
  wasm: loadWasm,
  cpu: loadCpu,
};

/** Stock kernels that the model, its losses, its codebook and the optimiser are written with. */
const STOCK_KERNELS = (
  'Abs Add BatchMatMul Cast ClipByValue Concat Exp Fill GatherV2 Greater Identity Log Maximum Mean Minimum ' +
  'Multiply Neg RealDiv Reshape Rsqrt Select Sigmoid Sign Slice Sqrt Square SquaredDifference Sub Sum Tanh ' +
  'Transpose ZerosLike'
).split(' ');

/** The names of tfjs's other kernels, which tfjs-core exports beside its functions. */
function allKernels(): string[] {
  const names = Object.entries(tf).flatMap(([, value]) =>
    typeof value === 'string' && /^_?[A-Z]/.test(value) ? [value] : [],
  );
  return names.filter((name) => !STOCK_KERNELS.includes(name)).sort();
}

const loaded = new Map<BackendName, Promise<Backend>>();

/**
 * Loads a backend and makes it current. `auto`, or nothing, takes PATCHWISE_BACKEND where it is set, and else the
 * fastest that works.
 *
 * @throws InvalidArgument for an unknown name or device; UnavailableBackend, with the cure, for one that cannot be had.
 */
export async function useBackend(name: BackendName | 'auto' | (string & {}) = 'auto'): Promise<BackendInfo> {
  const wish = process.env.PATCHWISE_BACKEND;
  rankGpu(); // refuses a PATCHWISE_DEVICE that is no device
  if (name !== 'auto') return activate(requireBackend(name, 'backend'), 'asked for by name');
  if (wish && wish !== 'auto') {
    return activate(requireBackend(wish, 'PATCHWISE_BACKEND'), 'asked for by PATCHWISE_BACKEND');
  }
  const failures: string[] = [];
  const gpu = askedGpu();
  for (const candidate of allBackends) {
    if (isNative(candidate) ? !isBuilt(candidate) : gpu !== undefined) continue;
    try {
      const info = await activate(candidate, whyTaken(candidate, failures));
      const warning =
        info.warning ?? (info.device === 'CPU' ? idleGpus(whyIdle(candidate, failures)) : undefined);
      return { ...info, ...(warning !== undefined && { warning }) };
    } catch (error) {
      failures.push(error instanceof Error ? error.message : String(error));
    }
  }
  if (gpu === undefined)
    throw new UnavailableBackend('auto', failures.join('; '), 'Run `npm ci` in the Patchwise folder');
  const why = failures.join('; ') || 'no backend that computes on GPUs is built';
  throw new UnavailableBackend('auto', `PATCHWISE_DEVICE asks for ${gpu}, and ${why}`, cureOfGpu);
}

const cureOfGpu = `Build one with \`${buildCommand('libtorch')}\`, or unset PATCHWISE_DEVICE to compute on the CPU`;

/** Why a backend that computes on the CPU was taken on a machine with GPUs. */
function whyIdle(name: BackendName, failures: readonly string[]): string {
  if (failures.length > 0) return failures.join('; ');
  return isBuilt('libtorch')
    ? `${name} computes on the CPU`
    : `libtorch, which uses them, is not built. Run \`${buildCommand('libtorch')}\``;
}

/** @throws UnavailableBackend where a GPU is asked for by name and the backend computes on the CPU */
function requireGpu(name: BackendName, device: string): void {
  const gpu = askedGpu();
  if (gpu === undefined || device !== 'CPU') return;
  const why = `PATCHWISE_DEVICE asks for ${gpu}, and ${name} computes on the CPU`;
  throw new UnavailableBackend(name, why, cureOfGpu);
}

/** The reason that runs and `doctor` give for a backend that nobody named, with the command for a faster one. */
function whyTaken(name: BackendName, failures: readonly string[]): string {
  const faster = isBuilt('libtorch') ? '' : ` (libtorch is not built: \`${buildCommand('libtorch')}\`)`;
  const place = name === 'libtorch' ? 'the fastest backend' : `the fastest that is here${faster}`;
  return [place, ...failures].join('; ');
}

function requireBackend(name: string, argument: string): BackendName {
  const known = allBackends.find((backend) => backend === name);
  if (known) return known;
  throw new InvalidArgument(argument, 'the name of a backend', name, ['auto', ...allBackends]);
}

async function activate(name: BackendName, reason: string): Promise<BackendInfo> {
  prepareTfjs();
  if (!loaded.has(name)) loaded.set(name, load(name));
  let backend: Backend;
  try {
    backend = await loaded.get(name)!;
    requireGpu(name, backend.device);
    if (!(await tf.setBackend(name))) throw new Error('tfjs could not initialise it');
    await tf.ready();
  } catch (error) {
    loaded.delete(name);
    if (error instanceof UnavailableBackend || error instanceof InvalidArgument) throw error;
    const why = error instanceof Error ? error.message : String(error);
    const cure = `Run ${isNative(name) ? `\`${buildCommand(name)}\`` : '`npm ci` in the Patchwise folder'}`;
    throw new UnavailableBackend(name, why, cure, { cause: error });
  }
  const { device, threads, version, precisions, warning, onHost = [] } = backend;
  return {
    name,
    device,
    threads,
    version,
    reason,
    precisions,
    onHost,
    ...(warning !== undefined && { warning }),
    missing: STOCK_KERNELS.filter((kernel) => !tf.getKernel(kernel, name)),
    unsupported: allKernels().filter((kernel) => !tf.getKernel(kernel, name)),
  };
}

async function load(name: BackendName): Promise<Backend> {
  const backend = await LOADERS[name]();
  registerBackend(backend);
  return backend;
}

let prepared = false;

function prepareTfjs(): void {
  if (prepared) return;
  prepared = true;
  // Production mode silences tfjs's advice to install tfjs-node, which does not apply to us.
  tf.enableProdMode();
  registerGradients();
  freeGradientsEarly();
}
