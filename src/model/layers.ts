import type * as tf from '@tensorflow/tfjs-core';
import { conv3d, conv3dTranspose, groupNorm, normSiluConv3d } from '../compute/ops/ops';
import type { ModelConfig, Stride } from './config';
import type { WeightShape, Weights } from './weights';

/** GroupNorm's guard against a zero variance. */
export const EPSILON = 1e-6;

/** A convolution's weight and bias. They start as in PyTorch: uniform within 1 / sqrt(fan in). */
export function convWeights(name: string, kernel: number, inputs: number, outputs: number): WeightShape[] {
  return kernelAndBias(`${name}.conv`, kernel, inputs, outputs, inputs);
}

/** A transposed convolution's weight and bias; PyTorch counts its fan in over the *output* channels. */
export function convTransposeWeights(
  name: string,
  kernel: number,
  inputs: number,
  outputs: number,
): WeightShape[] {
  return kernelAndBias(`${name}.convt`, kernel, inputs, outputs, outputs);
}

/** A GroupNorm's scale and shift. */
export function normWeights(name: string, channels: number): WeightShape[] {
  return [
    { name: `${name}.weight`, shape: [channels], start: { constant: 1 } },
    { name: `${name}.bias`, shape: [channels], start: { constant: 0 } },
  ];
}

/** Convolution by the weights called `name`, padded by replication. */
export function conv(
  x: tf.Tensor5D,
  weights: Weights,
  name: string,
  stride: Stride = [1, 1, 1],
): tf.Tensor5D {
  return conv3d(x, tensor(weights, `${name}.conv.weight`), tensor(weights, `${name}.conv.bias`), { stride });
}

/** Transposed convolution by the weights called `name`: makes each axis `stride` times as long. */
export function convTranspose(x: tf.Tensor5D, weights: Weights, name: string, stride: Stride): tf.Tensor5D {
  return conv3dTranspose(x, tensor(weights, `${name}.convt.weight`), tensor(weights, `${name}.convt.bias`), {
    stride,
  });
}

/** GroupNorm with the scale and shift called `name`, then SiLU. */
export function normSilu(x: tf.Tensor5D, weights: Weights, name: string, config: ModelConfig): tf.Tensor5D {
  return groupNorm(x, tensor(weights, `${name}.weight`), tensor(weights, `${name}.bias`), {
    groups: Math.min(config.groups, x.shape[4]),
    eps: EPSILON,
    silu: true,
  });
}

/** GroupNorm called `norm`, SiLU and the convolution called `name`, of which only x is kept for the gradient. */
export function normSiluConv(
  x: tf.Tensor5D,
  weights: Weights,
  norm: string,
  name: string,
  config: ModelConfig,
): tf.Tensor5D {
  return normSiluConv3d(
    x,
    tensor(weights, `${norm}.weight`),
    tensor(weights, `${norm}.bias`),
    tensor(weights, `${name}.conv.weight`),
    tensor(weights, `${name}.conv.bias`),
    { groups: Math.min(config.groups, x.shape[4]), eps: EPSILON },
  );
}

function kernelAndBias(
  name: string,
  kernel: number,
  inputs: number,
  outputs: number,
  fanChannels: number,
): WeightShape[] {
  const start = { uniform: 1 / Math.sqrt(fanChannels * kernel ** 3) };
  return [
    { name: `${name}.weight`, shape: [kernel, kernel, kernel, inputs, outputs], start },
    { name: `${name}.bias`, shape: [outputs], start },
  ];
}

/** A variable as the tensor it is; the rank is known from where it is used. */
function tensor<T extends tf.Tensor>(weights: Weights, name: string): T {
  return weights.get(name)! as tf.Tensor as T;
}
