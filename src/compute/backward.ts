/**
 * Gradients of convolutions by hand, for who cannot use the tape: where ranks must speak with each other between two
 * layers, the pass is made of single steps.
 */
import type * as tf from '@tensorflow/tfjs-core';
import { type ConvolutionOptions, planConvolution } from './geometry';
import { runKernel } from './kernels';

/** Gradients of `conv3d(x, w, bias, options)`; those that were not asked for are absent. */
export interface ConvolutionGradients {
  readonly dx?: tf.Tensor5D;
  readonly dw?: tf.Tensor5D;
  readonly dbias?: tf.Tensor1D;
}

/**
 * @param dy gradient with respect to the output
 * @param wanted of the input, of the weights (then of the bias too), or of both
 */
export function convolutionGradients(
  x: tf.Tensor5D,
  w: tf.Tensor5D,
  dy: tf.Tensor5D,
  options: ConvolutionOptions,
  wanted: { readonly input: boolean; readonly weights: boolean },
): ConvolutionGradients {
  const plan = planConvolution(x.shape, w.shape, false, options);
  return {
    ...(wanted.input && { dx: runKernel<tf.Tensor5D>('PatchwiseConvolveInput', { dy, w }, plan) }),
    ...(wanted.weights && {
      dw: runKernel<tf.Tensor5D>('PatchwiseConvolveWeight', { x, dy }, plan),
      dbias: channelSums(dy),
    }),
  };
}

/** Sums x [..., channels] over all but its last axis. */
export function channelSums(x: tf.Tensor): tf.Tensor1D {
  return runKernel<tf.Tensor1D>('PatchwiseChannelSums', { dy: x });
}
