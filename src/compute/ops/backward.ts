/**
 * Gradients by hand, for passes that cannot be on the tape: where ranks exchange numbers between two layers, the pass is
 * made of single steps.
 */
import type * as tf from '@tensorflow/tfjs-core';
import type { GroupNorm } from '../contract/backend';
import { type ConvolutionOptions, planConvolution } from '../contract/geometry';
import { runKernel } from '../contract/registry';

/** Gradients of `conv3d(x, w, bias, options)`; those that were not asked for are absent. */
interface ConvolutionGradients {
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
    ...(wanted.input && { dx: runKernel('convolveInputGradient', { dy, w }, plan) as tf.Tensor5D }),
    ...(wanted.weights && {
      dw: runKernel('convolveWeightGradient', { x, dy }, plan) as tf.Tensor5D,
      dbias: channelSums(dy),
    }),
  };
}

/** Sums x [..., channels] over all but its last axis. */
export function channelSums(x: tf.Tensor): tf.Tensor1D {
  return runKernel('channelSums', { dy: x }) as tf.Tensor1D;
}

/** Gradients of `normWithStatistics(x, gamma, beta, norm)`, from the statistics that it returned. */
export function groupNormGradients(
  dy: tf.Tensor5D,
  x: tf.Tensor,
  gamma: tf.Tensor1D,
  beta: tf.Tensor1D,
  mean: tf.Tensor,
  scale: tf.Tensor,
  norm: GroupNorm,
): { dx: tf.Tensor5D; dgamma: tf.Tensor1D; dbeta: tf.Tensor1D } {
  const made = runKernel('groupNormGradient', { dy, x, gamma, beta, mean, scale }, norm);
  const [dx, dgamma, dbeta] = made as [tf.Tensor5D, tf.Tensor1D, tf.Tensor1D];
  return { dx, dgamma, dbeta };
}
