/**
 * Our kernels composed of TensorFlow's operations. Its convolutions are right in every direction. It has padding by
 * replication as MirrorPad, which repeats the border voxel if it mirrors one voxel only.
 */
import * as tf from '@tensorflow/tfjs-core';
import type { GroupNorm, Kernels } from '../contract/backend';
import { type Convolution, inputShape, weightShape } from '../contract/geometry';

/** Distances that are held at once while codes are searched: 16 MB. */
const DISTANCES = 2 ** 22;

/** What we use of tfjs-node's addon: TensorFlow's eager C interface. Numbers name its types. */
export interface Binding {
  readonly TF_ATTR_STRING: number;
  readonly TF_ATTR_INT: number;
  readonly TF_ATTR_TYPE: number;
  readonly TF_FLOAT: number;
  readonly TF_INT32: number;
  readonly TF_Version: string;
  isUsingGpuDevice(): boolean;
}

type Value = number | string | readonly number[];

/** tfjs-node's backend. Its results belong to tfjs's engine and to the `tf.tidy` they are made in. */
export interface NodeBackend extends tf.KernelBackend {
  readonly binding: Binding;
  /** Runs any operation of TensorFlow that has one output. @throws Error with TensorFlow's message. */
  executeSingleOutput(
    op: string,
    attributes: readonly { readonly name: string; readonly type: number; readonly value: Value }[],
    inputs: readonly tf.Tensor[],
  ): tf.Tensor;
}

export function tensorflowKernels(backend: () => NodeBackend): Kernels {
  const ops = new TensorflowOps(backend);
  return {
    convolve: tidy((x: tf.Tensor, w: tf.Tensor, bias: tf.Tensor | undefined, c: Convolution) => {
      const y = ops.convolve(x, w, c);
      return bias ? tf.add(y, bias) : y;
    }),
    convolveInputGradient: tidy((dy: tf.Tensor, w: tf.Tensor, c: Convolution) => ops.inputGradient(dy, w, c)),
    convolveWeightGradient: tidy((x: tf.Tensor, dy: tf.Tensor, c: Convolution) =>
      ops.weightGradient(x, dy, c),
    ),
    channelSums: tidy((dy: tf.Tensor) => tf.sum(dy, [0, 1, 2, 3].slice(0, dy.shape.length - 1))),
    groupNorm: tidy(groupNorm),
    normalise: tidy(normalise),
    groupNormGradient: tidy(groupNormGradient),
    nearestCode: tidy(nearestCode),
  };
}

/** A kernel that frees all that it makes on the way. The engine hands it whole tensors, and calls them infos. */
function tidy<A extends unknown[], R extends tf.TensorContainer>(kernel: (...args: A) => R) {
  return (...args: A): R => tf.tidy(() => kernel(...args));
}

class TensorflowOps {
  constructor(private readonly backend: () => NodeBackend) {}

  convolve(x: tf.Tensor, w: tf.Tensor, c: Convolution): tf.Tensor {
    const padded = this.border(x, c);
    if (!c.transposed) return this.op('Conv3D', convolution(c), [padded, w]);
    const { whole, crop } = transposedSizes(c);
    const y = this.inputOfConvolution(whole, swapChannels(w), padded, c);
    return tf.slice(y, crop, [c.n, ...c.output, c.outChannels]);
  }

  inputGradient(dy: tf.Tensor, w: tf.Tensor, c: Convolution): tf.Tensor {
    const dPadded = c.transposed
      ? this.op('Conv3D', convolution(c), [uncrop(dy, c), swapChannels(w)])
      : this.inputOfConvolution(paddedShape(c), w, dy, c);
    if (c.border === 'zero') return tf.slice(dPadded, [0, ...c.before, 0], inputShape(c));
    const fold = (outer: tf.Tensor, paddings: tf.Tensor2D) => this.mirror('MirrorPadGrad', outer, paddings);
    return layers(c).reduceRight(fold, dPadded);
  }

  weightGradient(x: tf.Tensor, dy: tf.Tensor, c: Convolution): tf.Tensor {
    const padded = this.border(x, c);
    const [kd, kh, kw, into, out] = weightShape(c) as [number, number, number, number, number];
    if (!c.transposed) return this.filterOfConvolution(padded, [kd, kh, kw, into, out], dy, c);
    return swapChannels(this.filterOfConvolution(uncrop(dy, c), [kd, kh, kw, out, into], padded, c));
  }

  private border(x: tf.Tensor, c: Convolution): tf.Tensor {
    if (c.border === 'replicate')
      return layers(c).reduce((inner, paddings) => this.mirror('MirrorPad', inner, paddings), x);
    const pads = c.before.map((before, axis): [number, number] => [before, c.after[axis]!]);
    return tf.pad(x, [[0, 0], ...pads, [0, 0]]);
  }

  private mirror(op: string, x: tf.Tensor, paddings: tf.Tensor2D): tf.Tensor {
    return this.op(op, { mode: 'SYMMETRIC' }, [x, paddings]);
  }

  private inputOfConvolution(shape: number[], w: tf.Tensor, dy: tf.Tensor, c: Convolution): tf.Tensor {
    return this.op('Conv3DBackpropInputV2', convolution(c), [tf.tensor1d(shape, 'int32'), w, dy]);
  }

  private filterOfConvolution(x: tf.Tensor, shape: number[], dy: tf.Tensor, c: Convolution): tf.Tensor {
    return this.op('Conv3DBackpropFilterV2', convolution(c), [x, tf.tensor1d(shape, 'int32'), dy]);
  }

  private op(name: string, attributes: Readonly<Record<string, Value>>, inputs: tf.Tensor[]): tf.Tensor {
    const backend = this.backend();
    const { TF_ATTR_STRING, TF_ATTR_INT, TF_ATTR_TYPE, TF_FLOAT, TF_INT32 } = backend.binding;
    const all: Parameters<NodeBackend['executeSingleOutput']>[1] = [
      { name: 'T', type: TF_ATTR_TYPE, value: TF_FLOAT },
      ...(name.startsWith('MirrorPad') ? [{ name: 'Tpaddings', type: TF_ATTR_TYPE, value: TF_INT32 }] : []),
      ...Object.entries(attributes).map(([attribute, value]) => ({
        name: attribute,
        type: typeof value === 'string' ? TF_ATTR_STRING : TF_ATTR_INT,
        value,
      })),
    ];
    return backend.executeSingleOutput(name, all, inputs);
  }
}

function convolution(c: Convolution): Record<string, Value> {
  return { strides: [1, ...c.stride, 1], padding: 'VALID', data_format: 'NDHWC', dilations: [1, 1, 1, 1, 1] };
}

function paddedShape(c: Convolution): number[] {
  return inputShape(c).map((size, axis) =>
    axis > 0 && axis < 4 ? size + c.before[axis - 1]! + c.after[axis - 1]! : size,
  );
}

/** Pads of one voxel at most. Applied one after the other, they give those asked for. */
function layers({ before, after }: Convolution): tf.Tensor2D[] {
  const count = Math.max(...before, ...after);
  return Array.from({ length: count }, (_, layer) => {
    const pads = before.map((pad, axis) => [Number(pad > layer), Number(after[axis]! > layer)]);
    return tf.tensor2d([[0, 0], ...pads, [0, 0]], [5, 2], 'int32');
  });
}

/** What a transposed convolution gives before kernel - 1 voxels are cropped on both sides, and where to crop it. */
function transposedSizes(c: Convolution): { whole: number[]; crop: number[] } {
  const padded = paddedShape(c);
  const whole = [0, 1, 2].map((axis) => (padded[axis + 1]! - 1) * c.stride[axis]! + c.kernel[axis]!);
  return { whole: [c.n, ...whole, c.outChannels], crop: [0, ...c.kernel.map((k) => k - 1), 0] };
}

/** The gradient of the crop: zeros around dy. */
function uncrop(dy: tf.Tensor, c: Convolution): tf.Tensor {
  const { whole, crop } = transposedSizes(c);
  return tf.pad(
    dy,
    whole.map((size, axis): [number, number] => [crop[axis]!, size - crop[axis]! - dy.shape[axis]!]),
  );
}

/** [kd, kh, kw, in, out] <-> [kd, kh, kw, out, in]: a transposed convolution is the input gradient of a plain one. */
function swapChannels(w: tf.Tensor): tf.Tensor {
  return tf.transpose(w, [0, 1, 2, 4, 3]);
}

type NormArguments = [gamma: tf.Tensor, beta: tf.Tensor, mean: tf.Tensor, scale: tf.Tensor, norm: GroupNorm];

function groupNorm(x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor, norm: GroupNorm): tf.Tensor[] {
  const { groups, eps } = norm;
  const [n, channels] = [x.shape[0]!, x.shape[4]!];
  const grouped = tf.reshape(x, [n, -1, groups, channels / groups]);
  const wideMean = tf.mean(grouped, [1, 3], true);
  const variance = tf.mean(tf.squaredDifference(grouped, wideMean), [1, 3], true);
  const mean = tf.reshape(wideMean, [n, groups]);
  const scale = tf.reshape(tf.rsqrt(tf.add(variance, eps)), [n, groups]);
  return [normalise(x, gamma, beta, mean, scale, norm), mean, scale];
}

function normalise(x: tf.Tensor, ...[gamma, beta, mean, scale, { groups, silu }]: NormArguments): tf.Tensor {
  const [n, channels] = [x.shape[0]!, x.shape[4]!];
  const factor = tf.mul(tf.reshape(scale, [n, groups, 1]), tf.reshape(gamma, [1, groups, -1]));
  const offset = tf.sub(tf.reshape(beta, [1, groups, -1]), tf.mul(tf.reshape(mean, [n, groups, 1]), factor));
  const perChannel = (t: tf.Tensor) => tf.reshape(t, [n, 1, channels]);
  const flat = tf.reshape(x, [n, -1, channels]);
  const y = tf.add(tf.mul(flat, perChannel(factor)), perChannel(offset));
  return tf.reshape(silu ? tf.mul(y, tf.sigmoid(y)) : y, x.shape);
}

function groupNormGradient(
  dy: tf.Tensor,
  x: tf.Tensor,
  ...[gamma, beta, mean, scale, { groups, silu }]: NormArguments
): tf.Tensor[] {
  const [n, channels] = [x.shape[0]!, x.shape[4]!];
  const flat = tf.reshape(x, [n, -1, channels]);
  const voxels = flat.shape[1]!;
  /** [n, groups] as [n, 1, channels]. */
  const spread = (perGroup: tf.Tensor) => {
    const wide = tf.mul(tf.reshape(perGroup, [n, groups, 1]), tf.ones([1, 1, channels / groups]));
    return tf.reshape(wide, [n, 1, channels]);
  };
  const scales = spread(scale);
  const normalised = tf.mul(tf.sub(flat, spread(mean)), scales);
  const dNormalised = tf.tidy(() => {
    const dFlat = tf.reshape(dy, flat.shape);
    if (!silu) return dFlat;
    const y = tf.add(tf.mul(normalised, gamma), beta);
    const s = tf.sigmoid(y);
    return tf.mul(dFlat, tf.mul(s, tf.add(tf.mul(y, tf.sub(1, s)), 1)));
  });
  const sums = tf.sum(dNormalised, 1); // [n, channels]
  const products = tf.sum(tf.mul(dNormalised, normalised), 1);
  /** Means over each group of what is given per channel, [n, groups]. */
  const groupMean = (perChannel: tf.Tensor) =>
    tf.div(tf.sum(tf.reshape(tf.mul(perChannel, gamma), [n, groups, -1]), 2), (voxels * channels) / groups);
  const dx = tf.sub(
    tf.mul(dNormalised, tf.mul(scales, gamma)),
    tf.add(
      tf.mul(normalised, tf.mul(scales, spread(groupMean(products)))),
      tf.mul(scales, spread(groupMean(sums))),
    ),
  );
  return [tf.reshape(dx, x.shape), tf.sum(products, 0), tf.sum(sums, 0)];
}

/** |z - c|^2 = |z|^2 + 2 (|c|^2 / 2 - z.c), and |z| is the same for all codes. */
function nearestCode(z: tf.Tensor2D, codebook: tf.Tensor2D): tf.Tensor {
  const [count, width] = z.shape;
  const halves = tf.mul(tf.sum(tf.square(codebook), 1), 0.5);
  const rows = Math.max(1, Math.floor(DISTANCES / codebook.shape[0]));
  if (count === 0) return tf.tensor1d([], 'int32');
  const found: tf.Tensor1D[] = [];
  for (let start = 0; start < count; start += rows) {
    const nearest = tf.tidy(() => {
      const part = tf.slice(z, [start, 0], [Math.min(rows, count - start), width]);
      return tf.argMin<tf.Tensor1D>(tf.sub(halves, tf.matMul(part, codebook, false, true)), 1);
    });
    found.push(nearest);
  }
  return found.length === 1 ? found[0]! : tf.concat(found);
}
