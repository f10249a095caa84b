/**
 * The kernels Patchwise adds to TensorFlow.js, and their gradients. A backend joins in by registering one `Kernels`
 * object under its tfjs name; the public ops and the tape then work on it unchanged.
 *
 * Contract: a kernel gets the infos of live tensors of its backend, never changes them, returns new ones that the
 * engine owns, and leaves no other allocation behind. All tensors are float32 unless said otherwise.
 */
import * as tf from '@tensorflow/tfjs-core';
import type { Convolution, Size3 } from './geometry';

export interface GroupNorm {
  readonly groups: number;
  readonly eps: number;
  /** Follow the norm by SiLU, y * sigmoid(y). */
  readonly silu: boolean;
}

export interface Pads {
  readonly before: Size3;
  readonly after: Size3;
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

export interface Kernels {
  /** y [n, ...output, out] from x [n, ...input, in], w [...kernel, in, out] and a bias [out]. */
  convolve(
    x: tf.TensorInfo,
    w: tf.TensorInfo,
    bias: tf.TensorInfo | undefined,
    c: Convolution,
  ): tf.TensorInfo;
  convolveInputGradient(dy: tf.TensorInfo, w: tf.TensorInfo, c: Convolution): tf.TensorInfo;
  convolveWeightGradient(x: tf.TensorInfo, dy: tf.TensorInfo, c: Convolution): tf.TensorInfo;
  /** Sums dy [..., channels] over all but its last axis: the gradient of a bias. */
  channelSums(dy: tf.TensorInfo): tf.TensorInfo;
  /** [y, mean [n, groups], reciprocal standard deviation [n, groups]]. */
  groupNorm(x: tf.TensorInfo, gamma: tf.TensorInfo, beta: tf.TensorInfo, norm: GroupNorm): tf.TensorInfo[];
  /** y of `groupNorm` from its mean and scale. */
  normalise(
    x: tf.TensorInfo,
    gamma: tf.TensorInfo,
    beta: tf.TensorInfo,
    mean: tf.TensorInfo,
    scale: tf.TensorInfo,
    norm: GroupNorm,
  ): tf.TensorInfo;
  /** [dx, dgamma, dbeta]. */
  groupNormGradient(
    dy: tf.TensorInfo,
    x: tf.TensorInfo,
    gamma: tf.TensorInfo,
    beta: tf.TensorInfo,
    mean: tf.TensorInfo,
    scale: tf.TensorInfo,
    norm: GroupNorm,
  ): tf.TensorInfo[];
  replicatePad(x: tf.TensorInfo, pads: Pads): tf.TensorInfo;
  replicatePadGradient(dy: tf.TensorInfo, pads: Pads): tf.TensorInfo;
  /** int32 [m]: the row of codebook [k, d] nearest each row of z [m, d]; the lowest one where two are as near. */
  nearestCode(z: tf.TensorInfo, codebook: tf.TensorInfo): tf.TensorInfo;
  /** The next [w, m, v], where the backend can move weights itself. */
  adam?(
    w: tf.TensorInfo,
    g: tf.TensorInfo,
    m: tf.TensorInfo,
    v: tf.TensorInfo,
    step: AdamStep,
  ): tf.TensorInfo[];
  /** The sum of the squares of all values of all tensors; comes with `adam`. */
  squares?(tensors: readonly tf.TensorInfo[]): number;
}

type Inputs = Record<string, tf.Tensor>;

/** Adds `kernels` to the backend that tfjs knows as `backendName`. */
export function registerKernels(backendName: string, kernels: Kernels): void {
  const add = (
    kernelName: string,
    run: (inputs: Record<string, tf.TensorInfo>, attributes: unknown) => tf.TensorInfo | tf.TensorInfo[],
  ): void =>
    tf.registerKernel({
      kernelName,
      backendName,
      kernelFunc: ({ inputs, attrs }) => run(inputs as Record<string, tf.TensorInfo>, attrs),
    });
  add('PatchwiseConvolve', (i, c) => kernels.convolve(i.x!, i.w!, i.bias, c as Convolution));
  add('PatchwiseConvolveInput', (i, c) => kernels.convolveInputGradient(i.dy!, i.w!, c as Convolution));
  add('PatchwiseConvolveWeight', (i, c) => kernels.convolveWeightGradient(i.x!, i.dy!, c as Convolution));
  add('PatchwiseChannelSums', (i) => kernels.channelSums(i.dy!));
  add('PatchwiseGroupNorm', (i, n) => kernels.groupNorm(i.x!, i.gamma!, i.beta!, n as GroupNorm));
  add('PatchwiseNormalise', (i, n) =>
    kernels.normalise(i.x!, i.gamma!, i.beta!, i.mean!, i.scale!, n as GroupNorm),
  );
  add('PatchwiseGroupNormGradient', (i, n) =>
    kernels.groupNormGradient(i.dy!, i.x!, i.gamma!, i.beta!, i.mean!, i.scale!, n as GroupNorm),
  );
  add('PatchwiseReplicatePad', (i, p) => kernels.replicatePad(i.x!, p as Pads));
  add('PatchwiseReplicatePadGradient', (i, p) => kernels.replicatePadGradient(i.dy!, p as Pads));
  add('PatchwiseNearestCode', (i) => kernels.nearestCode(i.z!, i.codebook!));
  const { adam, squares } = kernels;
  if (adam && squares) {
    add('PatchwiseAdam', (i, a) => adam(i.w!, i.g!, i.m!, i.v!, a as AdamStep));
    squaresOf.set(backendName, squares);
  }
}

/** By backend. It gives a number, so it is no kernel to tfjs. */
const squaresOf = new Map<string, (tensors: readonly tf.TensorInfo[]) => number>();

/** Whether the current backend can move weights itself, so that gradients need not leave it. */
export function movesWeights(): boolean {
  return squaresOf.has(tf.getBackend());
}

/** The sum of the squares of all values of all tensors, on a backend that `movesWeights`. */
export function sumOfSquares(tensors: readonly tf.Tensor[]): number {
  return squaresOf.get(tf.getBackend())!(tensors);
}

/** Runs one of the kernels above on the current backend, on the tape. */
export function runKernel<T extends tf.Tensor | tf.Tensor[]>(
  name: string,
  inputs: Inputs,
  attributes: object = {},
): T {
  return tf.engine().runKernel(name, inputs, attributes as tf.NamedAttrMap) as T;
}

/** Registers the gradients of the kernels above; they are the same on every backend. */
export function registerKernelGradients(): void {
  tf.registerGradient({
    kernelName: 'PatchwiseConvolve',
    inputsToSave: ['x', 'w'],
    gradFunc: (dy, saved, attributes) => {
      const [x, w] = saved as [tf.Tensor, tf.Tensor];
      return {
        x: () => runKernel('PatchwiseConvolveInput', { dy: dy as tf.Tensor, w }, attributes),
        w: () => runKernel('PatchwiseConvolveWeight', { x, dy: dy as tf.Tensor }, attributes),
        bias: () => runKernel('PatchwiseChannelSums', { dy: dy as tf.Tensor }),
      };
    },
  });
  tf.registerGradient({
    kernelName: 'PatchwiseGroupNorm',
    inputsToSave: ['x', 'gamma', 'beta'],
    outputsToSave: [false, true, true],
    gradFunc: (dys, saved, attributes) => {
      const [x, gamma, beta, mean, scale] = saved as [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor];
      const [dx, dgamma, dbeta] = runKernel<tf.Tensor[]>(
        'PatchwiseGroupNormGradient',
        { dy: (dys as tf.Tensor[])[0]!, x, gamma, beta, mean, scale },
        attributes,
      );
      return { x: () => dx!, gamma: () => dgamma!, beta: () => dbeta! };
    },
  });
  tf.registerGradient({
    kernelName: 'PatchwiseReplicatePad',
    gradFunc: (dy, _saved, attributes) => ({
      x: () => runKernel('PatchwiseReplicatePadGradient', { dy: dy as tf.Tensor }, attributes),
    }),
  });
}
