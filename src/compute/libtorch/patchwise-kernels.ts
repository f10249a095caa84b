/** Our own kernels on libtorch. The native side pads by replication, folds borders and knows the layouts. */
import type * as tf from '@tensorflow/tfjs-core';
import type { Kernels, OptimiserKernels } from '../contract/backend';
import { type Convolution, inputShape, type Size3, weightShape } from '../contract/geometry';
import type { LibtorchTensors } from './tensors';

export function libtorchKernels(tensors: LibtorchTensors): Kernels {
  const { native } = tensors;
  /** The native side replicates. A border of zeros is made here, around a convolution without a border. */
  const withBorder = (x: tf.TensorInfo, c: Convolution, run: (x: tf.TensorInfo) => tf.TensorInfo) => {
    if (!hasZeros(c)) return run(x);
    const pads = [2, 1, 0].flatMap((axis) => [c.before[axis]!, c.after[axis]!]);
    return tensors.consume(native.pad(x, [0, 0, ...pads], 0), run);
  };
  return {
    convolve: (x, w, bias, c) => withBorder(x, c, (x) => native.convolve(x, w, bias ?? -1, ...planOf(c))),
    convolveInputGradient(dy, w, c) {
      if (!hasZeros(c)) return native.convolveInput(dy, w, ...planOf(c), c.input);
      const size = c.input.map((size, a) => size + c.before[a]! + c.after[a]!);
      const bordered = native.convolveInput(dy, w, ...planOf(c), size);
      return tensors.consume(bordered, (dx) => native.slice(dx, [0, ...c.before, 0], inputShape(c)));
    },
    convolveWeightGradient: (x, dy, c) =>
      withBorder(x, c, (x) => native.convolveWeight(x, dy, ...planOf(c), weightShape(c))),
    channelSums: native.channelSums,
    groupNorm: (x, gamma, beta, { groups, eps, silu }) => native.groupNorm(x, gamma, beta, groups, eps, silu),
    normalise: (x, gamma, beta, mean, scale, { groups, silu }) =>
      native.normalise(x, gamma, beta, mean, scale, groups, silu),
    groupNormGradient: (dy, x, gamma, beta, mean, scale, { groups, silu }) =>
      native.groupNormGradient(dy, x, gamma, beta, mean, scale, groups, silu),
    nearestCode: native.nearestCode,
  };
}

export function libtorchOptimiser({ native, addon, handle }: LibtorchTensors): OptimiserKernels {
  return {
    adam: (w, g, m, v, { rate, beta1, beta2, correction, epsilon, shrink, pull, scale }) =>
      native.adam(w, g, m, v, [rate, beta1, beta2, correction, epsilon, shrink, pull, scale]),
    sumByCode: (z, codes, { count }) => native.sumByCode(z, codes, count),
    squares: (all) => addon.squares(all.map(handle)),
  };
}

const NONE: Size3 = [0, 0, 0];

function hasZeros(c: Convolution): boolean {
  return c.border === 'zero' && c.before.some((pad) => pad > 0);
}

function planOf(c: Convolution): [boolean, Size3, Size3, Size3] {
  if (c.border === 'zero') return [c.transposed, c.stride, NONE, NONE];
  return [c.transposed, c.stride, c.before, c.after];
}
