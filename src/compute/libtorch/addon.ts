/** The native addon as TypeScript sees it: one to one with `native/`, whose comments say what each call takes. */
import { createRequire } from 'node:module';
import { OutOfMemory } from '../../errors';

/** A tensor on the native side. */
export type Handle = number;
type Shape = readonly number[];
/** Writes its results into the attached array: 16 numbers each, as `native/table.h` lays them out. */
type Computes<Arguments extends readonly unknown[]> = (...args: Arguments) => void;
/** transposed, stride, voxels replicated before and after, each [d, h, w]. */
type ConvolutionPlan = [transposed: boolean, stride: Shape, before: Shape, after: Shape];

export interface NativeMemory {
  /** Bytes of tensors on the device, of all threads of the process; before libtorch 2.9 those on the CPU. */
  readonly live: number;
  /** The most there were. */
  readonly peak: number;
  /** Bytes of freed blocks that are kept for the next tensors. */
  readonly cached: number;
  /** Tensors of this thread. */
  readonly handles: number;
}

export interface Addon {
  readonly version: string;
  attach(results: Int32Array): void;
  /** Sets the number of threads where it is above 0; returns what it is. */
  threads(count: number): number;
  memory(): NativeMemory;
  resetPeak(): void;
  releaseCache(): void;
  /** The most bytes of tensors on the CPU; at first all that the machine has. More is an OutOfMemory. */
  limitMemory(bytes: number): void;
  /** False: ATen's kernels only, as on devices that our own loops do not support. */
  ownLoops(on: boolean): void;
  /** Whether activations of convolutions and norms are stored as bfloat16. Tensors are float32 to JavaScript either way. */
  halfStorage(on: boolean): void;
  /** How many GPUs libtorch sees. */
  gpus(): number;
  /** Why it sees none, in CUDA's words; empty where it sees some. */
  cudaProblem(): string;
  /** cuDNN's version, 91501 for 9.15.1; 0 where there is none. */
  cudnn(): number;
  /** Computes on a GPU from now on: floats are floats (no TF32), and the same bits every time. */
  useCuda(device: number): void;

  fromArray: Computes<[values: ArrayBufferView, shape: Shape, dtype: number]>;
  toArray(tensor: Handle, out: ArrayBufferView): void;
  free(tensor: Handle): void;

  /** By tfjs's names. */
  readonly unary: Record<string, Computes<[x: Handle]>>;
  readonly binary: Record<string, Computes<[a: Handle, b: Handle]>>;
  readonly withNumber: Record<string, Computes<[a: Handle, b: number]>>;
  readonly reduce: Record<string, Computes<[x: Handle, axes: Shape, keep: boolean]>>;
  leakyRelu: Computes<[x: Handle, alpha: number]>;
  step: Computes<[x: Handle, alpha: number]>;
  clip: Computes<[x: Handle, low: number, high: number]>;
  select: Computes<[condition: Handle, yes: Handle, no: Handle]>;
  cast: Computes<[x: Handle, dtype: number]>;
  fill: Computes<[shape: Shape, value: number, dtype: number]>;

  reshape: Computes<[x: Handle, shape: Shape]>;
  transpose: Computes<[x: Handle, axes: Shape]>;
  concat: Computes<[tensors: readonly Handle[], axis: number]>;
  stack: Computes<[tensors: readonly Handle[], axis: number]>;
  tile: Computes<[x: Handle, repeats: Shape]>;
  expand: Computes<[x: Handle, shape: Shape]>;
  reverse: Computes<[x: Handle, axes: Shape]>;
  /** Pads of the last axis first, as torch has them. */
  pad: Computes<[x: Handle, pads: Shape, value: number]>;
  slice: Computes<[x: Handle, begin: Shape, size: Shape]>;
  stridedSlice: Computes<[x: Handle, begin: Shape, end: Shape, strides: Shape]>;
  gather: Computes<[x: Handle, indices: Handle, axis: number]>;
  oneHot: Computes<[indices: Handle, depth: number, on: number, off: number, dtype: number]>;
  matMul: Computes<[a: Handle, b: Handle, transposeA: boolean, transposeB: boolean]>;

  /** A bias of -1 is none. */
  convolve: Computes<[x: Handle, w: Handle, bias: Handle, ...plan: ConvolutionPlan]>;
  convolveInput: Computes<[dy: Handle, w: Handle, ...plan: ConvolutionPlan, input: Shape]>;
  convolveWeight: Computes<[x: Handle, dy: Handle, ...plan: ConvolutionPlan, weights: Shape]>;
  channelSums: Computes<[dy: Handle]>;
  groupNorm: Computes<[x: Handle, gamma: Handle, beta: Handle, groups: number, eps: number, silu: boolean]>;
  normalise: Computes<
    [
      ...[x: Handle, gamma: Handle, beta: Handle, mean: Handle, scale: Handle],
      ...[groups: number, silu: boolean],
    ]
  >;
  groupNormGradient: Computes<
    [
      dy: Handle,
      x: Handle,
      gamma: Handle,
      beta: Handle,
      mean: Handle,
      scale: Handle,
      groups: number,
      silu: boolean,
    ]
  >;
  replicatePad: Computes<[x: Handle, before: Shape, after: Shape]>;
  replicatePadGradient: Computes<[dy: Handle, before: Shape, after: Shape]>;
  nearestCode: Computes<[z: Handle, codebook: Handle]>;
  adam: Computes<
    [
      w: Handle,
      g: Handle,
      m: Handle,
      v: Handle,
      rate: number,
      beta1: number,
      beta2: number,
      correction: number,
      epsilon: number,
      shrink: number,
      pull: number,
      scale: number,
    ]
  >;
  /** The sum of the squares of all values of all tensors. */
  squares(tensors: readonly Handle[]): number;
}

/** Loads a built addon. Once loaded it stays in the process: libtorch's threads cannot be unloaded. */
export function loadAddon(path: string): Addon {
  return withOurErrors(createRequire(__filename)(path) as Record<string, unknown>) as unknown as Addon;
}

/** The same functions, with lack of memory as our error. */
function withOurErrors(exports: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(exports).map(([name, value]) => {
      if (typeof value === 'function') return [name, guarded(value as (...args: unknown[]) => unknown)];
      if (typeof value === 'object') return [name, withOurErrors(value as Record<string, unknown>)];
      return [name, value];
    }),
  );
}

function guarded(call: (...args: unknown[]) => unknown): (...args: unknown[]) => unknown {
  return (...args) => {
    try {
      return call(...args);
    } catch (error) {
      const { code, bytes, limit } = error as { code?: string; bytes?: number; limit?: number };
      if (code !== 'ERR_OUT_OF_MEMORY') throw error;
      const told = bytes ? {} : figuresIn((error as Error).message);
      const { bytes: asked = bytes ?? 0, limit: all = limit ?? 0 } = told;
      throw new OutOfMemory('libtorch', asked, all, { cause: error });
    }
  };
}

/** Bytes asked for and bytes in all, read from the message of CUDA's allocator, which is their only source. */
export function figuresIn(message: string): { bytes?: number; limit?: number } {
  const size = (pattern: RegExp): number | undefined => {
    const [, amount, unit] = pattern.exec(message) ?? [];
    if (amount === undefined || unit === undefined) return undefined;
    return Math.round(Number(amount) * 2 ** (10 * ['bytes', 'KiB', 'MiB', 'GiB'].indexOf(unit)));
  };
  const bytes = size(/Tried to allocate ([\d.]+) (bytes|KiB|MiB|GiB)/);
  const limit = size(/total capacity of ([\d.]+) (bytes|KiB|MiB|GiB)/);
  return { ...(bytes !== undefined && { bytes }), ...(limit !== undefined && { limit }) };
}
