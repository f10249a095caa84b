/**
 * The kernels as plain loops over arrays, in double precision: slow, and right by being simple. They run on every
 * tfjs backend through its read and write, serve `cpu` whole, and are what other backends are tested against.
 */
import * as tf from '@tensorflow/tfjs-core';
import type { GroupNorm, Kernels } from './backend';
import { axisProducts, type Convolution, inputShape, outputShape, weightShape } from './geometry';

/** `backend` is asked for late, because a kernel object is made before tfjs has its backend. */
export function referenceKernels(backend: () => tf.KernelBackend): Kernels {
  const read = (tensor: tf.TensorInfo) => backend().readSync(tensor.dataId) as Float32Array;
  const write = (values: Float64Array | Int32Array, shape: number[]): tf.TensorInfo => {
    const dtype = values instanceof Int32Array ? 'int32' : 'float32';
    const stored = values instanceof Int32Array ? values : Float32Array.from(values);
    return { dataId: backend().write(stored, shape, dtype), shape, dtype };
  };
  return {
    convolve(x, w, bias, c) {
      const [from, weights, shape] = [read(x), read(w), outputShape(c)];
      const y = new Float64Array(tf.util.sizeFromShape(shape));
      if (bias) {
        const offsets = read(bias);
        for (let i = 0; i < y.length; i++) y[i] = offsets[i % c.outChannels]!;
      }
      forEachProduct(c, (xAt, yAt, wAt) => {
        for (let i = 0; i < c.inChannels; i++)
          for (let o = 0; o < c.outChannels; o++)
            y[yAt + o]! += from[xAt + i]! * weights[wAt + i * c.outChannels + o]!;
      });
      return write(y, shape);
    },
    convolveInputGradient(dy, w, c) {
      const [from, weights, shape] = [read(dy), read(w), inputShape(c)];
      const dx = new Float64Array(tf.util.sizeFromShape(shape));
      forEachProduct(c, (xAt, yAt, wAt) => {
        for (let i = 0; i < c.inChannels; i++)
          for (let o = 0; o < c.outChannels; o++)
            dx[xAt + i]! += from[yAt + o]! * weights[wAt + i * c.outChannels + o]!;
      });
      return write(dx, shape);
    },
    convolveWeightGradient(x, dy, c) {
      const [from, gradient, shape] = [read(x), read(dy), weightShape(c)];
      const dw = new Float64Array(tf.util.sizeFromShape(shape));
      forEachProduct(c, (xAt, yAt, wAt) => {
        for (let i = 0; i < c.inChannels; i++)
          for (let o = 0; o < c.outChannels; o++)
            dw[wAt + i * c.outChannels + o]! += from[xAt + i]! * gradient[yAt + o]!;
      });
      return write(dw, shape);
    },
    channelSums(dy) {
      const [from, channels] = [read(dy), dy.shape.at(-1)!];
      const sums = new Float64Array(channels);
      for (let i = 0; i < from.length; i++) sums[i % channels]! += from[i]!;
      return write(sums, [channels]);
    },
    groupNorm(x, gamma, beta, norm) {
      const statistics = groupStatistics(read(x), x.shape, norm);
      const groups = [x.shape[0]!, norm.groups];
      const [mean, scale] = [write(statistics.mean, groups), write(statistics.scale, groups)];
      return [this.normalise(x, gamma, beta, mean, scale, norm), mean, scale];
    },
    normalise(x, gamma, beta, means, scales, norm) {
      const [from, factor, offset] = [read(x), read(gamma), read(beta)];
      const [mean, scale] = [read(means), read(scales)];
      const y = new Float64Array(from.length);
      forEachInGroup(x.shape, norm.groups, (at, channel, group) => {
        const value = (from[at]! - mean[group]!) * scale[group]! * factor[channel]! + offset[channel]!;
        y[at] = norm.silu ? value * sigmoid(value) : value;
      });
      return write(y, [...x.shape]);
    },
    groupNormGradient(dy, x, gamma, beta, _mean, _scale, norm) {
      const [from, factor, offset] = [read(x), read(gamma), read(beta)];
      const { mean, scale } = groupStatistics(from, x.shape, norm);
      const dNormalised = Float64Array.from(read(dy));
      const [dgamma, dbeta] = [new Float64Array(factor.length), new Float64Array(factor.length)];
      const [sum, product] = [new Float64Array(mean.length), new Float64Array(mean.length)];
      forEachInGroup(x.shape, norm.groups, (at, channel, group) => {
        const normalised = (from[at]! - mean[group]!) * scale[group]!;
        if (norm.silu) {
          const value = normalised * factor[channel]! + offset[channel]!;
          const s = sigmoid(value);
          dNormalised[at]! *= s * (1 + value * (1 - s));
        }
        dbeta[channel]! += dNormalised[at]!;
        dgamma[channel]! += dNormalised[at]! * normalised;
        dNormalised[at]! *= factor[channel]!;
        sum[group]! += dNormalised[at]!;
        product[group]! += dNormalised[at]! * normalised;
      });
      const dx = new Float64Array(from.length);
      const size = from.length / mean.length;
      forEachInGroup(x.shape, norm.groups, (at, _channel, group) => {
        const normalised = (from[at]! - mean[group]!) * scale[group]!;
        dx[at] = scale[group]! * (dNormalised[at]! - (sum[group]! + normalised * product[group]!) / size);
      });
      return [write(dx, [...x.shape]), write(dgamma, [...gamma.shape]), write(dbeta, [...gamma.shape])];
    },
    nearestCode(z, codebook) {
      const [rows, codes] = [read(z), read(codebook)];
      const [count, width] = z.shape as [number, number];
      const nearest = new Int32Array(count);
      for (let row = 0; row < count; row++) {
        let least = Number.POSITIVE_INFINITY;
        for (let code = 0; code < codebook.shape[0]!; code++) {
          let distance = 0;
          for (let i = 0; i < width; i++) {
            distance += (rows[row * width + i]! - codes[code * width + i]!) ** 2;
          }
          if (distance < least) [least, nearest[row]] = [distance, code];
        }
      }
      return write(nearest, [count]);
    },
  };
}

/** Calls `visit` with the offsets of x, y and w for every product of positions and taps. */
function forEachProduct(c: Convolution, visit: (x: number, y: number, w: number) => void): void {
  const [depth, height, width] = [axisProducts(c, 0), axisProducts(c, 1), axisProducts(c, 2)];
  for (let n = 0; n < c.n; n++) {
    for (const d of depth) {
      for (const h of height) {
        const xRow = ((n * c.input[0] + d.input) * c.input[1] + h.input) * c.input[2];
        const yRow = ((n * c.output[0] + d.output) * c.output[1] + h.output) * c.output[2];
        const wRow = (d.tap * c.kernel[1] + h.tap) * c.kernel[2];
        for (const w of width) {
          visit(
            (xRow + w.input) * c.inChannels,
            (yRow + w.output) * c.outChannels,
            (wRow + w.tap) * c.inChannels * c.outChannels,
          );
        }
      }
    }
  }
}

function forEachInGroup(
  shape: readonly number[],
  groups: number,
  visit: (at: number, channel: number, group: number) => void,
): void {
  const channels = shape.at(-1)!;
  const perSample = tf.util.sizeFromShape([...shape]) / shape[0]!;
  for (let at = 0; at < perSample * shape[0]!; at++) {
    const channel = at % channels;
    visit(at, channel, Math.floor(at / perSample) * groups + Math.floor(channel / (channels / groups)));
  }
}

function groupStatistics(
  x: Float32Array,
  shape: readonly number[],
  norm: GroupNorm,
): { mean: Float64Array; scale: Float64Array } {
  const mean = new Float64Array(shape[0]! * norm.groups);
  const scale = new Float64Array(mean.length);
  const size = x.length / mean.length;
  forEachInGroup(shape, norm.groups, (at, _channel, group) => {
    mean[group]! += x[at]! / size;
  });
  forEachInGroup(shape, norm.groups, (at, _channel, group) => {
    scale[group]! += (x[at]! - mean[group]!) ** 2 / size;
  });
  for (let i = 0; i < scale.length; i++) scale[i] = 1 / Math.sqrt(scale[i]! + norm.eps);
  return { mean, scale };
}

function sigmoid(value: number): number {
  return 1 / (1 + Math.exp(-value));
}
