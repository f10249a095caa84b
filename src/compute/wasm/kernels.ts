/** Group norm, sums over voxels and the search for codes on the wasm backend's SIMD module. */
import * as tf from '@tensorflow/tfjs-core';
import type { GroupNorm, Kernels } from '../contract/backend';
import type { NormFunction, SharedWasm } from './module';

type Simd = Pick<Kernels, NormFunction | 'channelSums' | 'nearestCode'>;

/** The tensors of `Norm` in `simd/norm.ts`, in its order. `y` is dx for the gradient. */
const NORM_TENSORS = ['x', 'gamma', 'beta', 'mean', 'scale', 'y', 'dy', 'dgamma', 'dbeta'] as const;
type NormTensors = { readonly [name in (typeof NORM_TENSORS)[number]]?: tf.TensorInfo };

export function simdKernels(wasm: SharedWasm): Simd {
  const runNorm = (
    name: NormFunction,
    tensors: NormTensors & { readonly x: tf.TensorInfo },
    { groups, silu, eps }: GroupNorm,
  ) =>
    wasm.withScratch((scratch) => {
      const { shape } = tensors.x;
      const [samples, channels] = [shape[0]!, shape.at(-1)!];
      const voxels = tf.util.sizeFromShape(shape.slice(1, -1));
      const addresses = NORM_TENSORS.map((tensor) => (tensors[tensor] ? wasm.address(tensors[tensor]) : 0));
      const sizes = [samples, voxels, channels, groups, silu ? 1 : 0];
      wasm.module[name](scratch.integers([...addresses, scratch.floats(8 * channels), ...sizes]), eps);
    });
  return {
    groupNorm(x, gamma, beta, norm) {
      const y = wasm.output([...x.shape]);
      const groups = [x.shape[0]!, norm.groups];
      const [mean, scale] = [wasm.output(groups), wasm.output(groups)];
      runNorm('groupNorm', { x, gamma, beta, mean, scale, y }, norm);
      return [y, mean, scale];
    },
    normalise(x, gamma, beta, mean, scale, norm) {
      const y = wasm.output([...x.shape]);
      runNorm('normalise', { x, gamma, beta, mean, scale, y }, norm);
      return y;
    },
    groupNormGradient(dy, x, gamma, beta, mean, scale, norm) {
      const dx = wasm.output([...x.shape]);
      const [dgamma, dbeta] = [wasm.output([...gamma.shape]), wasm.output([...gamma.shape])];
      runNorm('groupNormGradient', { x, gamma, beta, mean, scale, y: dx, dy, dgamma, dbeta }, norm);
      return [dx, dgamma, dbeta];
    },
    channelSums(dy) {
      const channels = dy.shape.at(-1)!;
      const sums = wasm.output([channels]);
      const count = tf.util.sizeFromShape(dy.shape.slice(0, -1));
      return wasm.withScratch((scratch) => {
        const work = scratch.floats(2 * channels, false);
        wasm.module.channelSums(wasm.address(dy), wasm.address(sums), work, count, channels);
        return sums;
      });
    },
    nearestCode(z, codebook) {
      const [rows, width] = z.shape as [number, number];
      const count = codebook.shape[0]!;
      const blocks = Math.ceil(count / 4);
      const nearest = wasm.output([rows], 'int32');
      return wasm.withScratch((scratch) => {
        const packedAt = scratch.floats(blocks * width * 4);
        const startsAt = scratch.floats(blocks * 4);
        const codes = wasm.floats(wasm.address(codebook), count * width);
        const packed = wasm.floats(packedAt, blocks * width * 4);
        const starts = wasm.floats(startsAt, blocks * 4).fill(Number.NEGATIVE_INFINITY);
        for (let code = 0; code < count; code++) {
          const to = Math.floor(code / 4) * width * 4 + (code % 4);
          let square = 0;
          for (let i = 0; i < width; i++) {
            const value = codes[code * width + i]!;
            packed[to + 4 * i] = value;
            square += value * value;
          }
          starts[code] = -square / 2;
        }
        let from = wasm.address(z);
        if (rows < 4) {
          const copy = scratch.floats(4 * width);
          wasm.floats(copy, rows * width).set(wasm.floats(from, rows * width));
          from = copy;
        }
        wasm.module.nearestCodes(from, packedAt, startsAt, wasm.address(nearest), rows, blocks, width);
        return nearest;
      });
    },
  };
}
