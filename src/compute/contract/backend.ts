/**
 * The seam to what computes tensors. A backend is a tfjs backend with our `Kernels`, in a folder of its own; models,
 * gradients and optimisers are written once, against `@tensorflow/tfjs-core` and the ops of `../ops`.
 *
 * Contract:
 * - One backend is current in a process. It is chosen by `useBackend`, before the first tensor is made.
 * - Work on it is synchronous and happens in order. On a GPU a call may return when its work is queued.
 * - A kernel gets the infos of live tensors of its backend, leaves their values as they are, and returns new ones that
 *   the engine owns. It leaves no other allocation behind, also where it fails. A collective may sum a tensor in place,
 *   if no other tensor has its data.
 * - Tensors belong to whoever made them (`tf.tidy` or `dispose`).
 * - Tensors are float32 to whoever reads them, unless said otherwise, whatever they are stored as.
 * - Lack of memory is an OutOfMemory, after which the backend works on.
 *
 * Every backend passes `test/conformance`.
 */
import type * as tf from '@tensorflow/tfjs-core';
import type { NativeBackend } from '../machine/toolchain';
import type { Convolution } from './geometry';

/** The backends of this version. */
export type BackendName = NativeBackend | 'wasm' | 'cpu';

/**
 * How convolutions and norms compute: `bf16` stores their activations in half of the memory. `tf32` stores float32, and
 * convolutions on NVIDIA GPUs multiply 10 of the 23 bits of each mantissa.
 */
export const precisions = ['float32', 'tf32', 'bf16'] as const;
export type Precision = (typeof precisions)[number];

/** What computes, and all it can do. What is optional, some backends cannot do. */
export interface Backend {
  /** Its name in tfjs too. */
  readonly name: BackendName;
  /** `CPU`, or which GPU. */
  readonly device: string;
  readonly threads: number;
  /** Of the software that computes. */
  readonly version: string;
  /** tfjs kernels that it has in JavaScript alone: each call copies its tensors to the host and back. */
  readonly onHost?: readonly string[];
  /** Why GPUs that are here are not used. */
  readonly warning?: string | undefined;
  readonly kernels: Kernels;
  /** Learns where the weights are, so that gradients and latents need not leave the backend. */
  readonly optimiser?: OptimiserKernels;
  /** Its tensors for other native code of this process that links the same libtorch. */
  readonly libtorch?: LibtorchAccess;
  /** What it can compute in. */
  readonly precisions: readonly Precision[];
  /**
   * Takes one of its precisions from now on; at first float32.
   * @throws UnavailableBackend where this software computes wrongly in it
   */
  setPrecision?(precision: Precision): void;
  memory?(): BackendMemory;
}

export interface LibtorchAccess {
  /** What that code must be built for. */
  readonly version: string;
  /** Where a tensor is, as long as it lives. Work on it goes to the device's default stream. */
  address(tensor: Info): number;
}

export interface BackendMemory {
  /** Bytes of tensors on the device, of all threads of the process; of libtorch before 2.9 those on the CPU. */
  readonly live: number;
  /** The most there were. */
  readonly peak: number;
  /** Bytes of freed blocks that are kept for the next tensors. */
  readonly cached: number;
}

export interface GroupNorm {
  readonly groups: number;
  readonly eps: number;
  /** Follow the norm by SiLU, y * sigmoid(y). */
  readonly silu: boolean;
}

type Info = tf.TensorInfo;

/** What the project adds to tfjs's own kernels. */
export interface Kernels {
  /** y [n, ...output, out] from x [n, ...input, in], w [...kernel, in, out] and a bias [out]. */
  convolve(x: Info, w: Info, bias: Info | undefined, c: Convolution): Info;
  convolveInputGradient(dy: Info, w: Info, c: Convolution): Info;
  convolveWeightGradient(x: Info, dy: Info, c: Convolution): Info;
  /** Sums dy [..., channels] over all but its last axis: the gradient of a bias. */
  channelSums(dy: Info): Info;
  /** [y, mean [n, groups], reciprocal standard deviation [n, groups]]. */
  groupNorm(x: Info, gamma: Info, beta: Info, norm: GroupNorm): Info[];
  /** y of `groupNorm` from its mean and scale. */
  normalise(x: Info, gamma: Info, beta: Info, mean: Info, scale: Info, norm: GroupNorm): Info;
  /** [dx, dgamma, dbeta]. */
  groupNormGradient(
    dy: Info,
    x: Info,
    gamma: Info,
    beta: Info,
    mean: Info,
    scale: Info,
    norm: GroupNorm,
  ): Info[];
  /** int32 [m]: the row of codebook [k, d] nearest each row of z [m, d]; the lowest of those equally near. */
  nearestCode(z: Info, codebook: Info): Info;
}

export interface OptimiserKernels {
  /** The next [w, m, v]. */
  adam(w: Info, g: Info, m: Info, v: Info, step: AdamStep): Info[];
  /**
   * How many rows of z [m, d] have each of `count` codes, [count], and the sums of those rows, [count, d]. It adds in
   * doubles and in one order, so that it rounds once. Codes are int32 [m], each in [0, count).
   */
  sumByCode(z: Info, codes: Info, size: { readonly count: number }): Info[];
  /** The sum of the squares of all values of all tensors, the same to the bit whatever the width of the vectors of a processor with FMA. */
  squares(tensors: readonly Info[]): number;
}

/** One step of Adam: g' = scale g + pull w; w' = shrink w - rate m' / (sqrt(v') correction + epsilon). */
export interface AdamStep {
  /** The learning rate, corrected for the first moment's bias. */
  readonly rate: number;
  readonly beta1: number;
  readonly beta2: number;
  /** 1 / sqrt(1 - beta2^t). */
  readonly correction: number;
  readonly epsilon: number;
  readonly shrink: number;
  readonly pull: number;
  readonly scale: number;
}
