import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Convolution, outputShape, planConvolution } from '../../../src/compute/contract/geometry';
import { referenceKernels } from '../../../src/compute/contract/reference';
import { runKernel } from '../../../src/compute/contract/registry';
import { conv3d, nearestCode } from '../../../src/compute/ops/ops';
import { useBackend } from '../../../src/compute/use-backend';
import { isPatchwiseError } from '../../../src/errors';
import { Random } from '../../../src/random';
import { tensor, worstError } from '../../conformance/tensors';

/** A random convolution: odd and even kernels, mixed strides, channels around the vector sizes, tiny and odd volumes. */
function drawConvolution(random: Random): { plan: Convolution; xShape: number[]; wShape: number[] } {
  const pick = <T>(choices: readonly T[]): T => choices[random.below(choices.length)]!;
  const transposed = random.next() < 0.4;
  const stride = [0, 1, 2].map(() => pick([1, 2])) as [number, number, number];
  const kernel = stride.map((s) =>
    transposed ? (s === 2 ? 4 : pick([1, 2, 3, 4])) : pick([1, 2, 3, 4, 5].filter((k) => k >= s)),
  );
  const padding = !transposed && random.next() < 0.4 ? kernel.map((k) => random.below(k)) : undefined;
  const size = stride.map((s, axis) => (padding ? kernel[axis]! : s) + random.below(axis === 2 ? 19 : 4));
  const [ci, co] = [pick([1, 2, 3, 4, 5, 8, 12, 13, 16]), pick([1, 2, 3, 4, 6, 8, 11, 12, 16])];
  const options = { stride, ...(padding && { padding: padding as [number, number, number] }) };
  const xShape = [1 + random.below(2), ...size, ci];
  const wShape = [...kernel, ci, co];
  return { plan: planConvolution(xShape, wShape, transposed, options), xShape, wShape };
}

describe('SIMD kernels', () => {
  beforeAll(async () => {
    await useBackend('wasm');
  });

  it('agree with plain loops on two hundred random convolutions', () => {
    const reference = referenceKernels(() => tf.backend());
    const random = new Random(11, 'geometries');
    const seen = { transposed: 0, strided: 0, zeros: 0 };
    for (let trial = 0; trial < 200; trial++) {
      const { plan, xShape, wShape } = drawConvolution(random);
      if (plan.transposed) seen.transposed++;
      if (plan.stride.includes(2)) seen.strided++;
      if (plan.border === 'zero') seen.zeros++;
      tf.tidy(() => {
        const [x, w] = [tensor(trial, xShape), tensor(1000 + trial, wShape)];
        const [bias, dy] = [tensor(2000 + trial, [wShape[4]!]), tensor(3000 + trial, outputShape(plan))];
        const values = (info: tf.TensorInfo) => {
          const array = tf.backend().readSync(info.dataId) as Float32Array;
          tf.backend().disposeData(info.dataId);
          return array;
        };
        const pairs = {
          y: [runKernel('convolve', { x, w, bias }, plan), reference.convolve(x, w, bias, plan)],
          dx: [
            runKernel('convolveInputGradient', { dy, w }, plan),
            reference.convolveInputGradient(dy, w, plan),
          ],
          dw: [
            runKernel('convolveWeightGradient', { x, dy }, plan),
            reference.convolveWeightGradient(x, dy, plan),
          ],
          db: [runKernel('channelSums', { dy }), reference.channelSums(dy)],
        } as const;
        for (const [name, [actual, expected]] of Object.entries(pairs)) {
          const error = worstError(actual.dataSync(), values(expected));
          expect(error, `${name} of ${JSON.stringify(plan)}`).toBeLessThan(3e-6);
        }
      });
    }
    expect(Math.min(seen.transposed, seen.strided, seen.zeros)).toBeGreaterThan(40);
  });

  it('agree with plain loops on group norms of any channels', () => {
    const reference = referenceKernels(() => tf.backend());
    for (const [channels, groups] of [
      [1, 1],
      [4, 2],
      [6, 3],
      [7, 7],
      [12, 4],
      [32, 32],
      [9, 1],
    ] as const) {
      tf.tidy(() => {
        const shape = [2, 3, 5, 7, channels];
        const [x, dy] = [tf.add(tf.mul(tensor(1, shape), 3), 5), tensor(2, shape)];
        const [gamma, beta] = [tensor(3, [channels]), tensor(4, [channels])];
        for (const silu of [true, false]) {
          const norm = { groups, eps: 1e-6, silu };
          const actual = runKernel('groupNorm', { x, gamma, beta }, norm);
          const [, mean, scale] = actual as [tf.Tensor, tf.Tensor, tf.Tensor];
          const inputs = { dy, x, gamma, beta, mean, scale };
          const gradients = runKernel('groupNormGradient', inputs, norm);
          const expected = [
            ...reference.groupNorm(x, gamma, beta, norm),
            ...reference.groupNormGradient(dy, x, gamma, beta, mean, scale, norm),
          ];
          [...actual, ...gradients].forEach((result, i) => {
            const values = tf.backend().readSync(expected[i]!.dataId) as Float32Array;
            expect(worstError(result.dataSync(), values), `${channels}/${groups} result ${i}`).toBeLessThan(
              5e-6,
            );
            tf.backend().disposeData(expected[i]!.dataId);
          });
        }
      });
    }
  });

  it('SiLU is right far from zero and lets NaN show', () => {
    tf.tidy(() => {
      const values = [-1000, -90, -30, -5, -1e-6, 0, 5, 30, 90, 1000, Number.NaN];
      const x = tf.tensor(values, [1, 1, 1, values.length, 1]);
      // A norm of one group with the identity's statistics is out of reach, so beta carries the values, gamma is 0.
      const spread = tf.reshape(x, [1, 1, 1, 1, values.length]);
      const inputs = { x: tf.onesLike(spread), gamma: tf.zeros([values.length]), beta: tf.reshape(x, [-1]) };
      const norm = { groups: 1, eps: 1, silu: true };
      const [y] = runKernel('groupNorm', inputs, norm);
      y!.dataSync().forEach((actual, i) => {
        const value = values[i]!;
        const expected = value / (1 + Math.exp(-value));
        if (Number.isNaN(value)) expect(actual).toBeNaN();
        else expect(Math.abs(actual - expected)).toBeLessThan(2e-6 * Math.max(1, Math.abs(expected)));
      });
    });
  });

  it('find the nearest of many codes without a matrix of distances', () => {
    const memory = () =>
      (tf.backend() as unknown as { wasm: { asm: { memory: { buffer: ArrayBuffer } } } }).wasm.asm.memory
        .buffer.byteLength;
    tf.tidy(() => {
      const [z, codebook] = [tf.randomNormal([20_000, 8]), tf.randomNormal([4096, 8])] as tf.Tensor2D[];
      const before = memory();
      const codes = nearestCode(z!, codebook!).dataSync();
      expect(new Set(codes).size).toBeGreaterThan(2000);
      expect(memory() - before).toBeLessThan(2 ** 23); // the matrix would be 328 MB
    });
  });

  it.each([
    ['8 GiB, whose 32-bit remainder is nothing', 1024, 0],
    ['half a GiB beside others', 64, 3.5 * 2 ** 28],
  ])('say so when a tensor does not fit: %s', (_case, channels, taken) => {
    const backend = tf.backend() as unknown as {
      makeOutput(shape: number[], dtype: string): tf.TensorInfo;
      disposeData(id: object): boolean;
    };
    const other = backend.makeOutput([taken], 'float32'); // taken, but never touched
    const { numTensors } = tf.memory();
    let caught: unknown;
    tf.tidy(() => {
      const x = tf.zeros([1, 128, 128, 128, 1]) as tf.Tensor5D;
      const w = tf.zeros([1, 1, 1, 1, channels]) as tf.Tensor5D;
      try {
        conv3d(x, w);
      } catch (error) {
        caught = error;
      }
    });
    backend.disposeData(other.dataId);
    expect(isPatchwiseError(caught, 'OutOfMemory')).toBe(true);
    expect(tf.memory().numTensors).toBe(numTensors);
    tf.tidy(() => {
      const y = conv3d(tf.ones([1, 2, 2, 2, 1]) as tf.Tensor5D, tf.ones([3, 3, 3, 1, 1]) as tf.Tensor5D);
      expect([...new Set(y.dataSync())]).toEqual([27]);
    });
  });
});
