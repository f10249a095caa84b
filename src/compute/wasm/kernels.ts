/** Group norm, sums over voxels and the search for codes on the wasm backend's SIMD module. */
import * as tf from '@tensorflow/tfjs-core';
import type { GroupNorm, Kernels } from '../contract/backend';
import { type NormFunction, numbersOf, type SharedWasm } from './module';

type Simd = Pick<Kernels, NormFunction | 'channelSums' | 'nearestCode'>;

/** The tensors of `Norm` in `simd/norm.ts`. */
type NormTensors = {
  readonly [name in 'x' | 'gamma' | 'beta' | 'mean' | 'scale' | 'out']: tf.TensorInfo;
} & { readonly [name in 'dy' | 'dgamma' | 'dbeta']?: tf.TensorInfo };

export function simdKernels(wasm: SharedWasm): Simd {
  const address = (tensor?: tf.TensorInfo) => (tensor ? wasm.address(tensor) : 0);
  const withNorm = (tensors: NormTensors, { groups, silu }: GroupNorm, run: (norm: number) => void) =>
    wasm.withScratch((scratch) => {
      const { shape } = tensors.x;
      const channels = shape.at(-1)!;
      const norm = numbersOf({
        x: address(tensors.x),
        gamma: address(tensors.gamma),
        beta: address(tensors.beta),
        mean: address(tensors.mean),
        scale: address(tensors.scale),
        out: address(tensors.out),
        dy: address(tensors.dy),
        dgamma: address(tensors.dgamma),
        dbeta: address(tensors.dbeta),
        work: scratch.floats(8 * channels, false),
        samples: shape[0]!,
        voxels: tf.util.sizeFromShape(shape.slice(1, -1)),
        channels,
        groups,
        silu: silu ? 1 : 0,
      });
      run(scratch.integers(norm));
    });
  return {
    groupNorm(x, gamma, beta, norm) {
      const y = wasm.output([...x.shape]);
      const groups = [x.shape[0]!, norm.groups];
      const [mean, scale] = [wasm.output(groups), wasm.output(groups)];
      withNorm({ x, gamma, beta, mean, scale, out: y }, norm, (at) => wasm.module.groupNorm(at, norm.eps));
      return [y, mean, scale];
    },
    normalise(x, gamma, beta, mean, scale, norm) {
      const y = wasm.output([...x.shape]);
      withNorm({ x, gamma, beta, mean, scale, out: y }, norm, wasm.module.normalise);
      return y;
    },
    groupNormGradient(dy, x, gamma, beta, mean, scale, norm) {
      const dx = wasm.output([...x.shape]);
      const [dgamma, dbeta] = [wasm.output([...gamma.shape]), wasm.output([...gamma.shape])];
      const tensors = { x, gamma, beta, mean, scale, out: dx, dy, dgamma, dbeta };
      withNorm(tensors, norm, wasm.module.groupNormGradient);
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
