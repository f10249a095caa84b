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
import { askedGpu, idleGpus } from './gpus';
import { registerStockGradients } from './gradients';
import { registerKernelGradients, registerKernels } from './kernels';
import { loadLibtorch } from './libtorch/backend';
import { isBuilt } from './libtorch/built';
import { referenceKernels } from './reference';
import { freeGradientsEarly } from './tape';
import { loadTensorflow } from './tensorflow/backend';
import { isTensorflowBuilt } from './tensorflow/built';
import { buildCommand, type NativeBackend } from './toolchain';
import { loadWasm } from './wasm/backend';

/** The backends of this version. */
export type BackendName = NativeBackend | 'wasm' | 'cpu';

export interface BackendInfo {
  readonly name: BackendName;
  /** Why this one. */
  readonly reason: string;
  /** What is wrong with the choice: GPUs that are here are not used. */
  readonly warning?: string;
  readonly device: string;
  readonly threads: number;
  readonly precision: 'float32';
  /** Of the software that computes. */
  readonly version: string;
  /** Stock tfjs kernels that models or losses may ask for and this backend lacks. */
  readonly missing: readonly string[];
  /** All other kernels of tfjs that this backend lacks: what a notebook's own tensors cannot use on it. */
  readonly unsupported: readonly string[];
  /** Kernels of tfjs that it has in JavaScript alone, where each call copies its tensors to the host and back. */
  readonly onHost: readonly string[];
}

/** Fastest first. */
const allBackends: readonly BackendName[] = ['libtorch', 'tensorflow', 'wasm', 'cpu'];

/** The backends that are built on the machine they run on, and whether they are. */
const BUILT: Readonly<Record<NativeBackend, () => boolean>> = {
  libtorch: isBuilt,
  tensorflow: isTensorflowBuilt,
};

function isNative(name: BackendName): name is NativeBackend {
  return name in BUILT;
}

/** The backends `useBackend` can load here, fastest first: the native ones where they are built. */
export const backendNames: readonly BackendName[] = allBackends.filter(
  (name) => !isNative(name) || BUILT[name](),
);

/** What computes, as the backend says of itself when it is loaded. */
type Facts = Pick<BackendInfo, 'device' | 'threads' | 'version'> &
  Partial<Pick<BackendInfo, 'onHost' | 'warning'>>;

const LOADERS: Record<BackendName, () => Promise<Facts>> = {
  libtorch: loadLibtorch,
  tensorflow: loadTensorflow,
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

/** The names of tfjs's other kernels, which tfjs-core exports beside its functions. */
function allKernels(): string[] {
  const names = Object.entries(tf).flatMap(([, value]) =>
    typeof value === 'string' && /^_?[A-Z]/.test(value) ? [value] : [],
  );
  return names.filter((name) => !STOCK_KERNELS.includes(name)).sort();
}

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
  const gpu = askedGpu();
  for (const candidate of allBackends) {
    if (isNative(candidate) ? !BUILT[candidate]() : gpu !== undefined) continue;
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
  return BUILT.libtorch()
    ? `${name} computes on the CPU`
    : `libtorch, which uses them, is not built. Run \`${buildCommand('libtorch')}\``;
}

/** Who asks for a GPU by name never gets a CPU. @throws UnavailableBackend */
function requireGpu(name: BackendName, device: string): void {
  const gpu = askedGpu();
  if (gpu === undefined || device !== 'CPU') return;
  const why = `PATCHWISE_DEVICE asks for ${gpu}, and ${name} computes on the CPU`;
  throw new UnavailableBackend(name, why, cureOfGpu);
}

/** What a run and `doctor` say of a backend that nobody named, with the command for a faster one. */
function whyTaken(name: BackendName, failures: readonly string[]): string {
  const faster = BUILT.libtorch() ? '' : ` (libtorch is not built: \`${buildCommand('libtorch')}\`)`;
  const place = name === 'libtorch' ? 'the fastest backend' : `the fastest that is here${faster}`;
  return [place, ...failures].join('; ');
}

function requireBackend(name: string, argument: string): BackendName {
  const known = allBackends.find((backend) => backend === name);
  if (known) return known;
  throw new InvalidArgument(argument, 'the name of a backend', name, ['auto', ...allBackends]);
}

async function activate(name: BackendName, reason: string): Promise<BackendInfo> {
  if (loaded.size === 0) prepareTfjs();
  if (!loaded.has(name)) loaded.set(name, LOADERS[name]());
  let facts: Facts;
  try {
    facts = await loaded.get(name)!;
    requireGpu(name, facts.device);
    if (!(await tf.setBackend(name))) throw new Error('tfjs could not initialise it');
    await tf.ready();
  } catch (error) {
    loaded.delete(name);
    if (error instanceof UnavailableBackend || error instanceof InvalidArgument) throw error;
    const why = error instanceof Error ? error.message : String(error);
    const cure = `Run ${isNative(name) ? `\`${buildCommand(name)}\`` : '`npm ci` in the Patchwise folder'}`;
    throw new UnavailableBackend(name, why, cure, { cause: error });
  }
  return {
    name,
    reason,
    onHost: [],
    ...facts,
    precision: 'float32',
    missing: STOCK_KERNELS.filter((kernel) => !tf.getKernel(kernel, name)),
    unsupported: allKernels().filter((kernel) => !tf.getKernel(kernel, name)),
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
