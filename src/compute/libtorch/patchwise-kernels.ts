/** Our own kernels on libtorch. Padding, its folding and the layouts are the native side's business. */
import type * as tf from '@tensorflow/tfjs-core';
import { type Convolution, type Size3, weightShape } from '../geometry';
import type { Kernels } from '../kernels';
import type { LibtorchTensors } from './tensors';

export function libtorchKernels(tensors: LibtorchTensors): Kernels {
  const { addon } = tensors;
  const handle = (tensor: tf.TensorInfo) => tensors.handle(tensor);
  const three = (): tf.TensorInfo[] => [tensors.made(0), tensors.made(1), tensors.made(2)];
  return {
    convolve(x, w, bias, c) {
      addon.convolve(handle(x), handle(w), bias ? handle(bias) : -1, ...planOf(c));
      return tensors.made();
    },
    convolveInputGradient(dy, w, c) {
      addon.convolveInput(handle(dy), handle(w), ...planOf(c), c.input);
      return tensors.made();
    },
    convolveWeightGradient(x, dy, c) {
      addon.convolveWeight(handle(x), handle(dy), ...planOf(c), weightShape(c));
      return tensors.made();
    },
    channelSums(dy) {
      addon.channelSums(handle(dy));
      return tensors.made();
    },
    groupNorm(x, gamma, beta, { groups, eps, silu }) {
      addon.groupNorm(handle(x), handle(gamma), handle(beta), groups, eps, silu);
      return three();
    },
    groupNormGradient(dy, x, gamma, beta, mean, scale, { groups, silu }) {
      const [own, other] = [[dy, x, gamma].map(handle), [beta, mean, scale].map(handle)];
      addon.groupNormGradient(own[0]!, own[1]!, own[2]!, other[0]!, other[1]!, other[2]!, groups, silu);
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

function planOf(c: Convolution): [boolean, Size3, Size3, Size3] {
  const after = c.before.map((before, axis) => c.kernel[axis]! - c.stride[axis]! - before);
  return [c.transposed, c.stride, c.before, after as unknown as Size3];
}
