/** Arguments that do not fit are errors of ours that name the argument. */
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { conv3d, conv3dTranspose, groupNorm, mse, nearestCode } from '../../src/compute/ops/ops';
import { takeSlices } from '../../src/compute/ops/slices';
import { backendNames, useBackend } from '../../src/compute/use-backend';
import { InvalidArgument } from '../../src/errors';

describe.each(backendNames)('backend %s', (name) => {
  beforeAll(async () => {
    await useBackend(name);
  });

  describe('refuses', () => {
    const x = () => tf.zeros([1, 4, 4, 4, 2]) as tf.Tensor5D;
    const w = (...shape: number[]) => tf.zeros(shape as never) as tf.Tensor as tf.Tensor5D;
    const vector = (size: number) => tf.zeros([size]) as tf.Tensor1D;
    it.each<[string, () => unknown, string]>([
      ['other channels', () => conv3d(x(), w(3, 3, 3, 3, 4)), 'w'],
      [
        'another rank of x',
        () => conv3d(tf.zeros([4, 4, 4, 2]) as tf.Tensor as tf.Tensor5D, w(3, 3, 3, 2, 4)),
        'x',
      ],
      ['another rank of w', () => conv3d(x(), w(3, 3, 2, 4)), 'w'],
      ['a bias of another size', () => conv3d(x(), w(3, 3, 3, 2, 4), vector(3)), 'bias'],
      ['stride 3', () => conv3d(x(), w(3, 3, 3, 2, 4), null, { stride: 3 }), 'stride'],
      ['a kernel under the stride', () => conv3d(x(), w(1, 1, 1, 2, 4), null, { stride: 2 }), 'w'],
      [
        'zeros around a transposed one',
        () => conv3dTranspose(x(), w(4, 4, 4, 2, 4), null, { padding: [1, 1, 1] }),
        'padding',
      ],
      [
        'more zeros than kernel',
        () => conv3d(x(), w(3, 3, 3, 2, 4), null, { padding: [0, 3, 0] }),
        'padding',
      ],
      ['a slice that is not there', () => takeSlices(x(), 1, [4]), 'indices'],
      ['kernel 3 of transposed stride 2', () => conv3dTranspose(x(), w(3, 3, 3, 2, 4)), 'w'],
      ['int32 input', () => conv3d(tf.cast(x(), 'int32'), w(3, 3, 3, 2, 4)), 'x'],
      ['groups that do not divide', () => groupNorm(x(), vector(2), vector(2), { groups: 3 }), 'groups'],
      ['gamma of another size', () => groupNorm(x(), vector(3), vector(2), { groups: 1 }), 'gamma'],
      ['codes of another width', () => nearestCode(tf.zeros([3, 2]), tf.zeros([5, 4])), 'codebook'],
      ['losses of two shapes', () => mse(tf.zeros([3]), tf.zeros([1, 3])), 'target'],
    ])('%s', (_case, run, argument) => {
      let caught: unknown;
      tf.tidy(() => {
        try {
          run();
        } catch (error) {
          caught = error;
        }
      });
      expect(caught).toBeInstanceOf(InvalidArgument);
      expect((caught as InvalidArgument).argument).toBe(argument);
    });
  });
});
