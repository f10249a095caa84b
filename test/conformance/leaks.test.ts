/** Steps and operations leave no tensor and no memory behind. */
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  conv3d,
  conv3dTranspose,
  gatherCodes,
  groupNorm,
  mse,
  nearestCode,
  residual,
  stopGradient,
  straightThrough,
} from '../../src/compute/ops/ops';
import { maxPool } from '../../src/compute/ops/pool';
import { takeSlices } from '../../src/compute/ops/slices';
import { backendNames, useBackend } from '../../src/compute/use-backend';
import { tensor } from './tensors';

describe.each(backendNames)('backend %s', (name) => {
  beforeAll(async () => {
    await useBackend(name);
  });

  it('keeps no tensor and no memory over many steps', () => {
    const x = tensor<tf.Tensor5D>(1, [1, 4, 4, 8, 4]);
    const names = ['first', 'second', 'up', 'gamma', 'beta'].map((n) => `leak ${name} ${n}`);
    const shapes = [[3, 3, 3, 4, 4], [4, 4, 4, 4, 8], [4, 4, 4, 8, 4], [4], [4]];
    const [first, second, up, gamma, beta] = shapes.map((shape, i) =>
      tf.variable(tensor(i, shape), true, names[i]),
    ) as [tf.Variable, tf.Variable, tf.Variable, tf.Variable, tf.Variable];
    const codebook = tensor<tf.Tensor2D>(9, [16, 8]);
    const step = () => {
      const { value, grads } = tf.variableGrads(() => {
        const h = groupNorm(
          conv3d(x, first as unknown as tf.Tensor5D),
          gamma as unknown as tf.Tensor1D,
          beta as unknown as tf.Tensor1D,
          { groups: 2, silu: true },
        );
        const z = conv3d(residual(h, x), second as unknown as tf.Tensor5D, null, { stride: 2 });
        const flat = tf.reshape(z, [-1, 8]) as tf.Tensor2D;
        const q = tf.reshape(gatherCodes(codebook, nearestCode(flat, codebook)), z.shape) as tf.Tensor5D;
        const y = conv3dTranspose(straightThrough(z, q), up as unknown as tf.Tensor5D);
        return tf.add(mse(y, x), mse(z, stopGradient(q))) as tf.Scalar;
      });
      const gradients = Object.values(grads).map((g) => g.dataSync().some((v) => v !== 0));
      tf.dispose([value, grads]);
      return gradients;
    };
    expect(step()).toEqual([true, true, true, true, true]);
    const before = tf.memory();
    const held = tf.backend().numDataIds();
    for (let i = 0; i < 20; i++) step();
    expect(tf.memory().numTensors).toBe(before.numTensors);
    expect(tf.memory().numDataBuffers).toBe(before.numDataBuffers);
    expect(tf.backend().numDataIds()).toBe(held);
    tf.dispose([first, second, up, gamma, beta, codebook]);
  });

  it('keeps nothing over 1,000 ops, each left on its own', { timeout: 180_000 }, () => {
    const [x, w] = [tensor<tf.Tensor5D>(1, [1, 4, 4, 6, 4]), tensor<tf.Tensor5D>(2, [3, 3, 3, 4, 4])];
    const down = tensor<tf.Tensor5D>(3, [4, 4, 4, 4, 4]);
    const [gamma, beta] = [tensor<tf.Tensor1D>(4, [4]), tensor<tf.Tensor1D>(5, [4])];
    const rows = tensor<tf.Tensor2D>(6, [96, 4]);
    const codebook = tensor<tf.Tensor2D>(7, [9, 4]);
    const norm = (y: tf.Tensor) => groupNorm(y as tf.Tensor5D, gamma, beta, { groups: 2, silu: true });
    const slope = (f: (y: tf.Tensor5D) => tf.Tensor) => () => tf.grad((y) => f(y as tf.Tensor5D))(x);
    const ops: (() => tf.Tensor)[] = [
      () => conv3d(x, w),
      () => conv3d(x, down, beta, { stride: 2 }),
      () => conv3d(x, down, null, { stride: 2, padding: [2, 2, 2] }),
      () => conv3dTranspose(x, down),
      () => norm(x),
      () => residual(x, x),
      () => maxPool(x),
      () => takeSlices(x, 1, [2]),
      () => nearestCode(rows, codebook),
      () => gatherCodes(codebook, nearestCode(rows, codebook)),
      () => mse(x, tf.sigmoid(x)),
      slope((y) => conv3d(y, w)),
      slope((y) => conv3dTranspose(y, down)),
      slope(norm),
      slope((y) => maxPool(y)),
      slope((y) => mse(tf.sigmoid(y), x)),
      () => tf.matMul(rows, codebook, false, true),
      () => tf.sum(tf.square(x), [0, 2]),
      () => tf.concat([tf.slice(x, [0, 1, 0, 0, 0], [1, 2, 4, 6, 4]), x], 1),
      () => tf.where(tf.greater(rows, 0), rows, tf.zerosLike(rows)),
      () => tf.clipByValue(tf.exp(tf.transpose(rows)), 0, 2),
    ];
    const figures = () => {
      const { numTensors, numDataBuffers, numBytes } = tf.memory();
      // Of backends that know it, what their allocators hold in tensors.
      const { live, handles } = tf.memory() as { live?: number; handles?: number };
      return { numTensors, numDataBuffers, numBytes, live, handles, ids: tf.backend().numDataIds() };
    };
    const round = () => {
      for (const op of ops) {
        const before = tf.memory().numTensors;
        const y = tf.tidy(op);
        expect(y.dataSync().every(Number.isFinite)).toBe(true);
        expect(tf.memory().numTensors).toBe(before + 1);
        y.dispose();
      }
    };
    round();
    const before = figures();
    const resident = process.memoryUsage.rss();
    for (let i = 0; i < 1000 / ops.length; i++) round();
    expect(figures()).toEqual(before);
    expect(process.memoryUsage.rss() - resident).toBeLessThan(200e6);
    // What is not disposed of is counted, so that the above can fail.
    const kept = tf.neg(x);
    expect(figures()).not.toEqual(before);
    tf.dispose([kept, x, w, down, gamma, beta, rows, codebook]);
  });
});
