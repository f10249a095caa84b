/**
 * The differentiable operations of 3D models, on whatever backend is current. Tensors are [n, d, h, w, channels];
 * weights [kd, kh, kw, in, out], of the transposed convolution too. Each has its own gradient and relies on none
 * of tfjs's for convolution, padding or gather, which are wrong or missing on some backends.
 */
import * as tf from '@tensorflow/tfjs-core';
import { InvalidArgument } from '../../errors';
import type { GroupNorm } from '../contract/backend';
import { type Convolution, type ConvolutionOptions, planConvolution } from '../contract/geometry';
import { runKernel } from '../contract/registry';
import { withGradient } from './with-gradient';

/**
 * 3D convolution with "same" padding by replication, then the output is floor(size / stride); or with `padding` zeros
 * on either side.
 *
 * @param x [n, d, h, w, in]
 * @param w [kd, kh, kw, in, out], any odd or even kernel
 * @param bias [out] or null
 * @throws InvalidArgument where the shapes do not fit.
 */
export function conv3d(
  x: tf.Tensor5D,
  w: tf.Tensor5D,
  bias: tf.Tensor1D | null = null,
  options: ConvolutionOptions = {},
): tf.Tensor5D {
  return convolve(x, w, bias, planConvolution(x.shape, w.shape, false, options));
}

/**
 * Transposed 3D convolution that makes every axis exactly `stride` times as long. Along an axis of stride 2 the
 * kernel must be 4; the input is padded by replication, then transposed and cropped (SamePadConvTranspose3d).
 *
 * @param x [n, d, h, w, in]
 * @param w [kd, kh, kw, in, out]; PyTorch's weight [in, out, kd, kh, kw] by `permute(2, 3, 4, 0, 1)`
 * @param bias [out] or null
 * @throws InvalidArgument where the shapes do not fit.
 */
export function conv3dTranspose(
  x: tf.Tensor5D,
  w: tf.Tensor5D,
  bias: tf.Tensor1D | null = null,
  options: ConvolutionOptions = {},
): tf.Tensor5D {
  return convolve(x, w, bias, planConvolution(x.shape, w.shape, true, options));
}

function convolve(x: tf.Tensor5D, w: tf.Tensor5D, bias: tf.Tensor1D | null, plan: Convolution): tf.Tensor5D {
  if (bias && (bias.shape.length !== 1 || bias.shape[0] !== plan.outChannels)) {
    throw new InvalidArgument('bias', `[${plan.outChannels}], one for each output channel`, bias.shape);
  }
  requireFloat({ x, w, ...(bias && { bias }) });
  return runKernel('convolve', bias ? { x, w, bias } : { x, w }, plan) as tf.Tensor5D;
}

interface GroupNormOptions {
  readonly groups: number;
  /** Added to the variance; default 1e-6. */
  readonly eps?: number;
  /** Follow the norm by SiLU in the same pass; default false. */
  readonly silu?: boolean;
}

/**
 * Group normalisation over all voxels and the channels of each group of a sample, then `gamma * y + beta`.
 *
 * @param x [n, d, h, w, channels]
 * @param gamma [channels]
 * @param beta [channels]
 * @throws InvalidArgument where the groups do not divide the channels.
 */
export function groupNorm(
  x: tf.Tensor5D,
  gamma: tf.Tensor1D,
  beta: tf.Tensor1D,
  { groups, eps = 1e-6, silu: withSilu = false }: GroupNormOptions,
): tf.Tensor5D {
  const [y, mean, scale] = normWithStatistics(x, gamma, beta, { groups, eps, silu: withSilu });
  tf.dispose([mean, scale]);
  return y;
}

/** `groupNorm`, with the mean [n, groups] and the reciprocal standard deviation [n, groups] that it has used. */
export function normWithStatistics(
  x: tf.Tensor5D,
  gamma: tf.Tensor1D,
  beta: tf.Tensor1D,
  norm: GroupNorm,
): [y: tf.Tensor5D, mean: tf.Tensor, scale: tf.Tensor] {
  requireRank('x', x, 5);
  const channels = x.shape[4];
  const { groups } = norm;
  for (const [name, parameter] of Object.entries({ gamma, beta })) {
    if (parameter.shape.length !== 1 || parameter.shape[0] !== channels) {
      throw new InvalidArgument(name, `[${channels}], one for each channel of x`, parameter.shape);
    }
  }
  if (!Number.isInteger(groups) || groups < 1 || channels % groups !== 0) {
    throw new InvalidArgument('groups', `a divisor of the ${channels} channels`, groups);
  }
  requireFloat({ x, gamma, beta });
  return runKernel('groupNorm', { x, gamma, beta }, norm) as [tf.Tensor5D, tf.Tensor, tf.Tensor];
}

/**
 * `conv3d` of `groupNorm` with SiLU. For the gradient it keeps only x and the norm's statistics; the backward pass
 * computes the norm again from them, in one pass over memory.
 *
 * @param w [kd, kh, kw, channels, out]
 * @param bias [out]
 * @throws InvalidArgument where shapes or groups do not fit.
 */
export function normSiluConv3d(
  x: tf.Tensor5D,
  gamma: tf.Tensor1D,
  beta: tf.Tensor1D,
  w: tf.Tensor5D,
  bias: tf.Tensor1D,
  { groups, eps = 1e-6 }: Pick<GroupNormOptions, 'groups' | 'eps'>,
): tf.Tensor5D {
  const plan = planConvolution(x.shape, w.shape, false);
  const norm: GroupNorm = { groups, eps, silu: true };
  return withGradient(
    [x, gamma, beta, w, bias],
    (x, gamma, beta, w, bias) => {
      const [h, mean, scale] = normWithStatistics(x, gamma, beta, norm);
      const y = convolve(h, w, bias, plan);
      h.dispose();
      return [y, x, gamma, beta, w, mean, scale];
    },
    (dy, x, gamma, beta, w, mean, scale) => {
      const h = runKernel('normalise', { x, gamma, beta, mean, scale }, norm);
      const dw = runKernel('convolveWeightGradient', { x: h, dy }, plan);
      h.dispose();
      const db = runKernel('channelSums', { dy });
      const dh = runKernel('convolveInputGradient', { dy, w }, plan);
      const dx = runKernel('groupNormGradient', { dy: dh, x, gamma, beta, mean, scale }, norm);
      dh.dispose();
      return [...dx, dw, db];
    },
  );
}

/** a + b of one shape, as a residual connection; unlike tf.add it keeps neither for the gradient. */
export function residual<T extends tf.Tensor>(a: T, b: T): T {
  requireSameShape('b', b, a);
  return withGradient(
    [a, b],
    (a, b) => [tf.add(a, b) as T],
    (dy) => [tf.clone(dy), tf.clone(dy)],
  );
}

/**
 * The nearest code of every latent by Euclidean distance, without the [m, k] matrix of distances; the lowest of
 * those equally near. No gradient flows through it.
 *
 * @param z [m, d]
 * @param codebook [k, d]
 * @returns int32 [m]
 */
export function nearestCode(z: tf.Tensor2D, codebook: tf.Tensor2D): tf.Tensor1D {
  requireRank('z', z, 2);
  requireRank('codebook', codebook, 2);
  if (codebook.shape[0] < 1 || z.shape[1] !== codebook.shape[1]) {
    throw new InvalidArgument('codebook', `[k, ${z.shape[1]}], as wide as z`, codebook.shape);
  }
  requireFloat({ z, codebook });
  return offTape(() => runKernel('nearestCode', { z, codebook }) as tf.Tensor1D);
}

/** The rows of codebook [k, d] that `codes` [m] name, as [m, d]. No gradient flows to either. */
export function gatherCodes(codebook: tf.Tensor2D, codes: tf.Tensor1D): tf.Tensor2D {
  requireRank('codebook', codebook, 2);
  requireRank('codes', codes, 1);
  return offTape(() => tf.gather(codebook, codes));
}

/** The value of `quantised` with the gradient of `z`: what lets a decoder train its encoder across a codebook. */
export function straightThrough<T extends tf.Tensor>(z: T, quantised: T): T {
  requireSameShape('quantised', quantised, z);
  return withGradient(
    [z],
    (_) => [tf.clone(quantised)],
    (dy) => tf.clone(dy),
  );
}

/** The value of x as a constant: no gradient flows back from it. */
export function stopGradient<T extends tf.Tensor>(x: T): T {
  return offTape(() => tf.clone(x));
}

/** Mean of (prediction - target)^2, a scalar; the gradient flows to both. */
export function mse(prediction: tf.Tensor, target: tf.Tensor): tf.Scalar {
  requireSameShape('target', target, prediction);
  return withGradient(
    [prediction, target],
    (a, b) => [tf.mean<tf.Scalar>(tf.square(tf.sub(a, b))), a, b],
    (dy, a, b) => {
      const da = tf.mul(tf.mul(tf.sub(a, b), 2), tf.div(dy, a.size));
      return [da, tf.neg(da)];
    },
  );
}

/** Runs `compute` where the tape does not see it; what it returns is a constant to every gradient. */
function offTape<T extends tf.Tensor>(compute: () => T): T {
  return withGradient(
    [],
    () => [compute()],
    () => [],
  );
}

function requireRank(argument: string, tensor: tf.Tensor, rank: number): void {
  if (tensor.shape.length !== rank) {
    throw new InvalidArgument(argument, `a tensor of rank ${rank}`, tensor.shape);
  }
}

function requireFloat(tensors: Record<string, tf.Tensor>): void {
  for (const [name, tensor] of Object.entries(tensors)) {
    if (tensor.dtype !== 'float32') throw new InvalidArgument(name, 'a float32 tensor', tensor.dtype);
  }
}

function requireSameShape(argument: string, tensor: tf.Tensor, like: tf.Tensor): void {
  if (!tf.util.arraysEqual(tensor.shape, like.shape)) {
    throw new InvalidArgument(argument, `the shape [${like.shape.join(', ')}]`, tensor.shape);
  }
}
