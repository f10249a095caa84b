/** The native addon as TypeScript sees it: one to one with `native/`, whose comments say what each call takes. */
import { createRequire } from 'node:module';
import type { TensorInfo } from '@tensorflow/tfjs-core';
import { OutOfMemory } from '../../errors';
import type { BackendMemory } from '../contract/backend';

/** A tensor on the native side. */
export type Handle = number;
type Shape = readonly number[];
/** transposed, stride, voxels replicated before and after, each [d, h, w]. */
type ConvolutionPlan = [transposed: boolean, stride: Shape, before: Shape, after: Shape];
/** gamma, beta, mean, scale: [channels] twice, then [n, groups] twice. */
type NormTensors = [gamma: TensorInfo, beta: TensorInfo, mean: TensorInfo, scale: TensorInfo];

/**
 * Kernels as the addon has them: with handles for tensors. They write 16 numbers for each result into the attached array
 * (type, rank, sizes; the last is the handle), and return how many results there are.
 */
export type RawKernels = Readonly<Record<string, (...args: unknown[]) => number>>;

interface NativeMemory extends BackendMemory {
  /** Tensors of this thread. */
  readonly handles: number;
}

export interface Addon {
  readonly version: string;
  attach(results: Int32Array): void;
  /** Sets the number of threads if it is above 0; returns what it is. */
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
  /** Whether convolutions on GPUs multiply 10 bits of each mantissa; at first they do not. */
  tf32(on: boolean): void;
  /** How many GPUs libtorch sees. */
  gpus(): number;
  /** Why it sees none, in CUDA's words; empty if it sees some. */
  cudaProblem(): string;
  /** cuDNN's version, 91501 for 9.15.1; 0 if there is none. */
  cudnn(): number;
  /** Computes on a GPU from now on: floats are floats (no TF32), and the same bits every time. */
  useCuda(device: number): void;

  toArray(tensor: Handle, out: ArrayBufferView): void;
  free(tensor: Handle): void;
  /** Where libtorch has the tensor (`TensorImpl`), as long as it is not freed. */
  address(tensor: Handle): number;
  /** The sum of the squares of all values of all tensors. */
  squares(tensors: readonly Handle[]): number;
  readonly kernels: RawKernels;
  readonly unary: RawKernels;
  readonly binary: RawKernels;
  readonly withNumber: RawKernels;
  readonly reduce: RawKernels;
}

type Kernel<Arguments extends readonly unknown[]> = (...args: Arguments) => TensorInfo;

/** The addon's kernels, from tensors to tensors; `LibtorchTensors` makes them. */
export interface NativeKernels {
  /** By tfjs's names. */
  readonly unary: Readonly<Record<string, Kernel<[x: TensorInfo]>>>;
  readonly binary: Readonly<Record<string, Kernel<[a: TensorInfo, b: TensorInfo]>>>;
  readonly withNumber: Readonly<Record<string, Kernel<[a: TensorInfo, b: number]>>>;
  readonly reduce: Readonly<Record<string, Kernel<[x: TensorInfo, axes: Shape, keep: boolean]>>>;

  fromArray: Kernel<[values: ArrayBufferView, shape: Shape, dtype: number]>;
  leakyRelu: Kernel<[x: TensorInfo, alpha: number]>;
  step: Kernel<[x: TensorInfo, alpha: number]>;
  clip: Kernel<[x: TensorInfo, low: number, high: number]>;
  select: Kernel<[condition: TensorInfo, yes: TensorInfo, no: TensorInfo]>;
  cast: Kernel<[x: TensorInfo, dtype: number]>;
  fill: Kernel<[shape: Shape, value: number, dtype: number]>;

  reshape: Kernel<[x: TensorInfo, shape: Shape]>;
  transpose: Kernel<[x: TensorInfo, axes: Shape]>;
  concat: Kernel<[tensors: readonly TensorInfo[], axis: number]>;
  stack: Kernel<[tensors: readonly TensorInfo[], axis: number]>;
  tile: Kernel<[x: TensorInfo, repeats: Shape]>;
  expand: Kernel<[x: TensorInfo, shape: Shape]>;
  reverse: Kernel<[x: TensorInfo, axes: Shape]>;
  /** Pads of the last axis first, as torch has them. */
  pad: Kernel<[x: TensorInfo, pads: Shape, value: number]>;
  slice: Kernel<[x: TensorInfo, begin: Shape, size: Shape]>;
  stridedSlice: Kernel<[x: TensorInfo, begin: Shape, end: Shape, strides: Shape]>;
  gather: Kernel<[x: TensorInfo, indices: TensorInfo, axis: number]>;
  oneHot: Kernel<[indices: TensorInfo, depth: number, on: number, off: number, dtype: number]>;
  matMul: Kernel<[a: TensorInfo, b: TensorInfo, transposeA: boolean, transposeB: boolean]>;

  /** A bias of -1 is none. */
  convolve: Kernel<[x: TensorInfo, w: TensorInfo, bias: TensorInfo | -1, ...plan: ConvolutionPlan]>;
  convolveInput: Kernel<[dy: TensorInfo, w: TensorInfo, ...plan: ConvolutionPlan, input: Shape]>;
  convolveWeight: Kernel<[x: TensorInfo, dy: TensorInfo, ...plan: ConvolutionPlan, weights: Shape]>;
  channelSums: Kernel<[dy: TensorInfo]>;
  normalise: Kernel<[x: TensorInfo, ...NormTensors, groups: number, silu: boolean]>;
  nearestCode: Kernel<[z: TensorInfo, codebook: TensorInfo]>;
  /** [y, mean, scale]. */
  groupNorm(
    ...norm: [x: TensorInfo, gamma: TensorInfo, beta: TensorInfo, groups: number, eps: number, silu: boolean]
  ): TensorInfo[];
  /** [dx, dgamma, dbeta]. */
  groupNormGradient(
    ...norm: [dy: TensorInfo, x: TensorInfo, ...NormTensors, groups: number, silu: boolean]
  ): TensorInfo[];
  /** [counts, sums]. */
  sumByCode(z: TensorInfo, codes: TensorInfo, count: number): TensorInfo[];
  /** The next [w, m, v]. */
  adam(w: TensorInfo, g: TensorInfo, m: TensorInfo, v: TensorInfo, step: readonly number[]): TensorInfo[];
}

/** Loads a built addon. Once loaded it stays in the process: libtorch's threads cannot be unloaded. */
export function loadAddon(path: string): Addon {
  return withOurErrors(createRequire(__filename)(path)) as Addon;
}

/** The same functions, which throw our error when memory runs out. */
function withOurErrors(exported: unknown): unknown {
  if (typeof exported === 'object')
    return Object.fromEntries(Object.entries(exported!).map(([name, value]) => [name, withOurErrors(value)]));
  if (typeof exported !== 'function') return exported;
  return (...args: unknown[]) => {
    try {
      return exported(...args);
    } catch (error) {
      const { code, message, ...figures } = error as Error & {
        code?: string;
        bytes?: number;
        limit?: number;
      };
      if (code !== 'ERR_OUT_OF_MEMORY') throw error;
      const { bytes = 0, limit = figures.limit ?? 0 } = figures.bytes ? figures : figuresIn(message);
      throw new OutOfMemory('libtorch', bytes, limit, { cause: error });
    }
  };
}

/** Bytes asked for and bytes in all, from the message of CUDA's allocator: nothing else has them. */
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
