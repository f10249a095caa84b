/** Group norm and the search for codes on the wasm backend's SIMD module. */
import type { Kernels } from '../contract/backend';
import type { SharedWasm } from './module';

export function simdNorms(wasm: SharedWasm): Pick<Kernels, 'groupNorm' | 'normalise' | 'groupNormGradient'> {
  return {
    groupNorm(x, gamma, beta, { groups, eps, silu }) {
      const { samples, voxels, channels } = sizesOf(x.shape);
      const y = wasm.output([...x.shape]);
      const [mean, scale] = [wasm.output([samples, groups]), wasm.output([samples, groups])];
      return wasm.withScratch((scratch) => {
        const work = scratch.floats(5 * channels);
        wasm.module.groupNorm(
          ...[x, gamma, beta, y, mean, scale].map((tensor) => wasm.address(tensor)),
          work,
          ...[samples, voxels, channels, groups, eps, silu ? 1 : 0],
        );
        return [y, mean, scale];
      });
    },
    normalise(x, gamma, beta, mean, scale, { groups, silu }) {
      const { samples, voxels, channels } = sizesOf(x.shape);
      const y = wasm.output([...x.shape]);
      return wasm.withScratch((scratch) => {
        const work = scratch.floats(2 * channels);
        wasm.module.normalise(
          ...[x, gamma, beta, y, mean, scale].map((tensor) => wasm.address(tensor)),
          work,
          ...[samples, voxels, channels, groups, silu ? 1 : 0],
        );
        return y;
      });
    },
    groupNormGradient(dy, x, gamma, beta, mean, scale, { groups, silu }) {
      const { samples, voxels, channels } = sizesOf(x.shape);
      const dx = wasm.output([...x.shape]);
      const [dgamma, dbeta] = [wasm.output([channels]), wasm.output([channels])];
      return wasm.withScratch((scratch) => {
        const work = scratch.floats(8 * channels);
        for (const sums of [dgamma, dbeta]) wasm.floats(wasm.address(sums), channels).fill(0);
        wasm.module.groupNormGradient(
          ...[dy, x, gamma, beta, mean, scale, dx, dgamma, dbeta].map((tensor) => wasm.address(tensor)),
          work,
          ...[samples, voxels, channels, groups, silu ? 1 : 0],
        );
        return [dx, dgamma, dbeta];
      });
    },
  };
}

export function simdCodes(wasm: SharedWasm): Pick<Kernels, 'nearestCode'> {
  return {
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
        const [from, to] = [wasm.address(z), wasm.address(nearest)];
        wasm.module.nearestCodes(from, packedAt, startsAt, to, rows, blocks, width);
        return nearest;
      });
    },
  };
}

function sizesOf(shape: readonly number[]): { samples: number; voxels: number; channels: number } {
  const voxels = shape.slice(1, -1).reduce((product, size) => product * size, 1);
  return { samples: shape[0]!, voxels, channels: shape.at(-1)! };
}
