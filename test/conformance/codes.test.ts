/** Values that need no PyTorch to be known: borders, norms and codes. */
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { runKernel } from '../../src/compute/contract/registry';
import { conv3d, gatherCodes, nearestCode, stopGradient, straightThrough } from '../../src/compute/ops/ops';
import { sumsByCode } from '../../src/compute/ops/sums-by-code';
import { backendNames, useBackend } from '../../src/compute/use-backend';
import { normal, tensor, worstError } from './tensors';

describe.each(backendNames)('backend %s', (name) => {
  beforeAll(async () => {
    await useBackend(name);
  });

  it('repeats the border voxels', () => {
    const x = tf.tensor5d([1, 2, 3, 4, 5, 6], [1, 1, 2, 3, 1]);
    const taps = tf.buffer([1, 3, 5, 1, 3]);
    taps.set(1, 0, 0, 2, 0, 0); // the row above
    taps.set(1, 0, 1, 0, 0, 1); // two voxels to the left
    taps.set(1, 0, 1, 3, 0, 2); // one voxel to the right
    const seen = conv3d(x, taps.toTensor() as tf.Tensor5D);
    const byTap = [...tf.transpose(seen, [4, 0, 1, 2, 3]).dataSync()];
    expect(byTap).toEqual([...[1, 2, 3, 1, 2, 3], ...[1, 1, 1, 4, 4, 4], ...[2, 3, 3, 5, 6, 6]]);
  });

  it.each([true, false])('normalises by given statistics as by those it finds, SiLU %s', (silu) => {
    tf.tidy(() => {
      const [gamma, beta] = [tensor(2, [32]), tensor(3, [32])];
      const x = tf.add(tf.mul(tensor(1, [2, 3, 4, 5, 32]), 3), 5);
      const norm = { groups: 8, eps: 1e-6, silu };
      const [y, mean, scale] = runKernel('groupNorm', { x, gamma, beta }, norm);
      const again = { x, gamma, beta, mean: mean!, scale: scale! };
      expect(runKernel('normalise', again, norm).dataSync()).toEqual(y!.dataSync());
      // Twice the scale is twice the values, from beta on; without SiLU that shows.
      const twice = runKernel('normalise', { ...again, scale: tf.mul(scale!, 2) }, norm);
      const expected = tf.sub(tf.mul(y!, 2), beta);
      if (!silu) expect(worstError(twice.dataSync(), expected.dataSync())).toBeLessThan(1e-5);
    });
  });

  describe('codes', () => {
    it.each([
      [37, 5, 3],
      [64, 64, 8],
      [101, 130, 16],
    ])('the nearest of %i latents among %i codes of width %i', (m, k, d) => {
      const [z, codebook] = [normal(1, [m, d]), normal(2, [k, d])];
      const codes = nearestCode(tf.tensor2d(z, [m, d]), tf.tensor2d(codebook, [k, d]));
      expect(codes.dtype).toBe('int32');
      const distance = (row: number, code: number) => {
        let sum = 0;
        for (let i = 0; i < d; i++) sum += (z[row * d + i]! - codebook[code * d + i]!) ** 2;
        return sum;
      };
      codes.dataSync().forEach((code, row) => {
        const least = Math.min(...Array.from({ length: k }, (_, other) => distance(row, other)));
        expect(distance(row, code)).toBeLessThanOrEqual(least * (1 + 1e-5) + 1e-6);
      });
    });

    it.each([
      [1, 4, 3],
      [3000, 7, 5],
      [500, 130, 64],
    ])('sums %i latents by %i codes of width %i, rounded once', (m, k, d) => {
      const z = normal(3, [m, d]);
      const codes = Int32Array.from({ length: m }, (_, row) => (row * row + 3) % (k - 1));
      const [counts, sums] = [new Float32Array(k), new Float64Array(k * d)];
      codes.forEach((code, row) => {
        counts[code]!++;
        for (let i = 0; i < d; i++) sums[code * d + i]! += z[row * d + i]!;
      });
      const found = tf.tidy(() => sumsByCode(tf.tensor2d(z, [m, d]), tf.tensor1d(codes, 'int32'), k));
      expect(found).toEqual({ counts, sums: Float32Array.from(sums) });
    });

    it('takes the lower of two equal codes', () => {
      const codebook = tf.tensor2d([9, 9, 1, 1, 1, 1, 1, 1, 5, 5, 1, 1], [6, 2]);
      expect([...nearestCode(tf.tensor2d([1, 1, 5, 5, 0, 0], [3, 2]), codebook).dataSync()]).toEqual([
        1, 4, 1,
      ]);
    });

    it('gives the decoder the code and the encoder the gradient', () => {
      const z = tensor<tf.Tensor2D>(3, [10, 4]);
      const codebook = tensor<tf.Tensor2D>(4, [6, 4]);
      const quantise = (latents: tf.Tensor2D) => {
        const q = gatherCodes(codebook, nearestCode(latents, codebook));
        return straightThrough(latents, q);
      };
      const direction = tensor<tf.Tensor2D>(5, [10, 4]);
      const { value, grad } = tf.valueAndGrad((x: tf.Tensor) =>
        tf.sum(tf.mul(quantise(x as tf.Tensor2D), direction)),
      )(z);
      expect(worstError(grad.dataSync(), direction.dataSync())).toBe(0);
      const rows = nearestCode(z, codebook).dataSync();
      const codes = codebook.dataSync();
      let expected = 0;
      direction.dataSync().forEach((weight, i) => {
        expected += weight * codes[rows[Math.floor(i / 4)]! * 4 + (i % 4)]!;
      });
      expect(value.dataSync()[0]).toBeCloseTo(expected, 3);
      const still = tf.grad((x: tf.Tensor) => tf.sum(tf.mul(x, stopGradient(x))))(z);
      expect(worstError(still.dataSync(), z.dataSync())).toBe(0);
    });
  });
});
