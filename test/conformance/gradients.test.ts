/** The tape's gradients beside finite differences. */
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { tfjsName } from '../../src/compute/contract/registry';
import { conv3d, conv3dTranspose, groupNorm, mse, normSiluConv3d, residual } from '../../src/compute/ops/ops';
import { maxPool } from '../../src/compute/ops/pool';
import { putSlices, takeSlices } from '../../src/compute/ops/slices';
import { backendNames, useBackend } from '../../src/compute/use-backend';
import { expectGradients, tensor } from './tensors';

describe.each(backendNames)('backend %s', (name) => {
  beforeAll(async () => {
    await useBackend(name);
  });

  describe('gradients agree with finite differences', () => {
    it.each([
      { x: [1, 4, 5, 9, 8], w: [3, 3, 3, 8, 8], stride: 1, op: conv3d },
      { x: [2, 3, 4, 5, 3], w: [2, 5, 1, 3, 6], stride: 1, op: conv3d },
      { x: [1, 4, 6, 10, 4], w: [4, 4, 4, 4, 12], stride: 2, op: conv3d },
      { x: [1, 5, 3, 7, 2], w: [3, 3, 3, 2, 7], stride: 2, op: conv3d },
      { x: [1, 2, 3, 5, 4], w: [4, 4, 4, 4, 8], stride: 2, op: conv3dTranspose },
      { x: [2, 2, 3, 4, 3], w: [3, 3, 3, 3, 2], stride: 1, op: conv3dTranspose },
      { x: [1, 4, 5, 6, 4], w: [4, 4, 4, 4, 8], stride: 2, padding: [2, 2, 2] as const, op: conv3d },
      { x: [2, 1, 6, 7, 2], w: [1, 4, 4, 2, 1], stride: 1, padding: [0, 2, 2] as const, op: conv3d },
    ])('$op.name $x * $w / $stride, zeros $padding', ({ x, w, stride, padding, op }) => {
      const options = { stride, ...(padding && { padding }) };
      expectGradients(
        (a, b, c) => op(a as tf.Tensor5D, b as tf.Tensor5D, c as tf.Tensor1D, options),
        [x, w, [w[4]!]],
        { step: 0.5, tolerance: 1e-4 },
      );
    });

    it.each([true, false])('group norm, SiLU %s', (withSilu) => {
      expectGradients(
        (x, gamma, beta) =>
          groupNorm(x as tf.Tensor5D, gamma as tf.Tensor1D, beta as tf.Tensor1D, {
            groups: 4,
            silu: withSilu,
          }),
        [[2, 3, 4, 3, 8], [8], [8]],
      );
    });

    it('norm, SiLU and convolution, which keep the statistics of the norm', () => {
      const shapes = [[2, 3, 4, 5, 6], [6], [6], [3, 3, 3, 6, 4], [4]];
      expectGradients(
        (x, gamma, beta, w, bias) =>
          normSiluConv3d(
            ...([x, gamma, beta, w, bias] as [
              tf.Tensor5D,
              tf.Tensor1D,
              tf.Tensor1D,
              tf.Tensor5D,
              tf.Tensor1D,
            ]),
            { groups: 3 },
          ),
        shapes,
      );
    });

    it('max pooling', () => {
      expectGradients((x) => maxPool(x as tf.Tensor5D), [[2, 2, 4, 5, 3]], { step: 1e-3 });
    });

    it('slices across every axis, and back', () => {
      const shape = [2, 3, 4, 5, 2] as const;
      for (const axis of [0, 1, 2] as const) {
        const take = tf.customGrad((...inputs) => ({
          value: takeSlices(inputs[0] as tf.Tensor5D, axis, [2, 1]),
          gradFunc: (dy: tf.Tensor) => putSlices(dy as tf.Tensor5D, [...shape], axis, [2, 1]),
        }));
        expectGradients(take, [shape], { step: 0.5, tolerance: 1e-4, probes: 40 });
      }
      const x = tf.tensor5d([...Array(24).keys()], [2, 2, 2, 3, 1]);
      expect([...takeSlices(x, 0, [1, 0]).dataSync()]).toEqual([6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17]);
      expect([...takeSlices(x, 2, [0, 2]).dataSync()]).toEqual([0, 3, 6, 9, 14, 17, 20, 23]);
    });

    it('residual and losses', () => {
      expectGradients(
        (a, b) => residual(a, tf.sigmoid(b)),
        [
          [3, 4],
          [3, 4],
        ],
      );
      expectGradients(
        (a, b) => mse(a, b),
        [
          [3, 4],
          [3, 4],
        ],
      );
    });

    it('the stock ops that models use', () => {
      expectGradients((a, b) => tf.div(tf.sub(a, b), tf.add(tf.exp(b), 1)), [[2, 3], [3]]);
      expectGradients(
        (a, b) => tf.matMul(a, b, false, true),
        [
          [2, 3],
          [4, 3],
        ],
      );
      expectGradients(
        (a, b) => tf.matMul(a, b, true, false),
        [
          [3, 2],
          [3, 4],
        ],
      );
      expectGradients((a) => tf.mean(tf.square(tf.transpose(a, [1, 0, 2])), [0, 2]), [[2, 3, 4]]);
      expectGradients((a) => tf.tanh(tf.sigmoid(tf.reshape(a, [6]))), [[2, 3]]);
      expectGradients((a) => tf.sqrt(tf.add(tf.sum(tf.square(a), 1), 1)), [[2, 3]]);
      expectGradients(
        (a, b) => tf.squaredDifference(a, b),
        [
          [2, 3],
          [2, 1],
        ],
      );
      expectGradients((a) => tf.leakyRelu(a, 0.2), [[20]], { step: 1e-3 });
      expectGradients((a, b) => tf.maximum(a, tf.neg(b)), [[20], [20]], { step: 1e-3 });
    });
  });

  it('passes a residual block gradient on, twice used', () => {
    expectGradients(
      (x, w) => {
        const inner = conv3d(tf.sigmoid(x) as tf.Tensor5D, w as tf.Tensor5D);
        return residual(residual(x, inner), x);
      },
      [
        [1, 2, 3, 4, 4],
        [3, 3, 3, 4, 4],
      ],
    );
  });

  it('computes only the gradients that are asked for', () => {
    const [x, w] = [tensor<tf.Tensor5D>(1, [1, 2, 2, 2, 3]), tensor<tf.Tensor5D>(2, [3, 3, 3, 3, 2])];
    const variable = tf.variable(w);
    const run = tf
      .engine()
      .profile(() =>
        tf.tidy(() => tf.variableGrads(() => tf.sum(conv3d(x, variable)) as tf.Scalar, [variable]).grads),
      );
    return run.then((profile) => {
      expect(profile.kernelNames).toContain(tfjsName('convolveWeightGradient'));
      expect(profile.kernelNames).not.toContain(tfjsName('convolveInputGradient'));
      variable.dispose();
    });
  });
});
