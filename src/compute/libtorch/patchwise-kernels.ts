/** Our own kernels on libtorch. Padding, its folding and the layouts are the native side's business. */
import type * as tf from '@tensorflow/tfjs-core';
import type { Kernels, OptimiserKernels } from '../contract/backend';
import { type Convolution, inputShape, type Size3, weightShape } from '../contract/geometry';
import type { LibtorchTensors } from './tensors';

export function libtorchKernels(tensors: LibtorchTensors): Kernels {
  const { addon } = tensors;
  const handle = (tensor: tf.TensorInfo) => tensors.handle(tensor);
  const three = (): tf.TensorInfo[] => [tensors.made(0), tensors.made(1), tensors.made(2)];
  /** The native side replicates; a border of zeros is made here, around a convolution without one. */
  const withBorder = (
    x: tf.TensorInfo,
    c: Convolution,
    run: (x: tf.TensorInfo) => tf.TensorInfo,
  ): tf.TensorInfo => {
    if (!hasZeros(c)) return run(x);
    const pads = [2, 1, 0].flatMap((axis) => [c.before[axis]!, c.after[axis]!]);
    addon.pad(handle(x), [0, 0, ...pads], 0);
    const bordered = tensors.made();
    const y = run(bordered);
    tensors.disposeData(bordered.dataId);
    return y;
  };
  return {
    convolve: (x, w, bias, c) =>
      withBorder(x, c, (x) => {
        addon.convolve(handle(x), handle(w), bias ? handle(bias) : -1, ...planOf(c));
        return tensors.made();
      }),
    convolveInputGradient(dy, w, c) {
      if (!hasZeros(c)) {
        addon.convolveInput(handle(dy), handle(w), ...planOf(c), c.input);
        return tensors.made();
      }
      const size = c.input.map((size, a) => size + c.before[a]! + c.after[a]!) as unknown as Size3;
      addon.convolveInput(handle(dy), handle(w), ...planOf(c), size);
      const bordered = tensors.made();
      addon.slice(handle(bordered), [0, ...c.before, 0], inputShape(c));
      const inner = tensors.made();
      tensors.disposeData(bordered.dataId);
      return inner;
    },
    convolveWeightGradient: (x, dy, c) =>
      withBorder(x, c, (x) => {
        addon.convolveWeight(handle(x), handle(dy), ...planOf(c), weightShape(c));
        return tensors.made();
      }),
    channelSums(dy) {
      addon.channelSums(handle(dy));
      return tensors.made();
    },
    groupNorm(x, gamma, beta, { groups, eps, silu }) {
      addon.groupNorm(handle(x), handle(gamma), handle(beta), groups, eps, silu);
      return three();
    },
    normalise(x, gamma, beta, mean, scale, { groups, silu }) {
      addon.normalise(handle(x), handle(gamma), handle(beta), handle(mean), handle(scale), groups, silu);
      return tensors.made();
    },
    groupNormGradient(dy, x, gamma, beta, mean, scale, { groups, silu }) {
      const [norm, statistics] = [
        [handle(gamma), handle(beta)],
        [handle(mean), handle(scale)],
      ] as const;
      addon.groupNormGradient(handle(dy), handle(x), ...norm, ...statistics, groups, silu);
      return three();
    },
    replicatePad(x, { before, after }) {
      addon.replicatePad(handle(x), before, after);
      return tensors.made();
    },
    replicatePadGradient(dy, { before, after }) {
      addon.replicatePadGradient(handle(dy), before, after);
      return tensors.made();
    },
    nearestCode(z, codebook) {
      addon.nearestCode(handle(z), handle(codebook));
      return tensors.made();
    },
  };
}

export function libtorchOptimiser(tensors: LibtorchTensors): OptimiserKernels {
  const { addon } = tensors;
  const handle = (tensor: tf.TensorInfo) => tensors.handle(tensor);
  return {
    adam(w, g, m, v, { rate, beta1, beta2, correction, epsilon, shrink, pull, scale }) {
      const numbers = [rate, beta1, beta2, correction, epsilon, shrink, pull, scale] as const;
      addon.adam(handle(w), handle(g), handle(m), handle(v), ...numbers);
      return [tensors.made(0), tensors.made(1), tensors.made(2)];
    },
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
