/** Our operations and their gradients beside PyTorch's, which `test/fixtures/ops/generate.py` computed. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { convolutionGradients } from '../../src/compute/ops/backward';
import { conv3d, conv3dTranspose, groupNorm } from '../../src/compute/ops/ops';
import { maxPool } from '../../src/compute/ops/pool';
import { backendNames, useBackend } from '../../src/compute/use-backend';
import { worstError } from './tensors';

interface ConvolutionFixture {
  name: string;
  transposed: boolean;
  stride: [number, number, number];
  xShape: number[];
  wShape: number[];
  yShape: number[];
  x: number[];
  w: number[];
  b: number[];
  y: number[];
  dy: number[];
  dx: number[];
  dw: number[];
  db: number[];
}

type ZeroBorderFixture = Omit<ConvolutionFixture, 'transposed'> & { padding: [number, number, number] };

interface MaxPoolFixture {
  name: string;
  xShape: number[];
  yShape: number[];
  x: number[];
  y: number[];
  dy: number[];
  dx: number[];
}

interface GroupNormFixture {
  name: string;
  groups: number;
  silu: boolean;
  xShape: number[];
  x: number[];
  gamma: number[];
  beta: number[];
  y: number[];
  dy: number[];
  dx: number[];
  dgamma: number[];
  dbeta: number[];
}

const fixtures = JSON.parse(readFileSync(join(__dirname, '../fixtures/ops/ops.json'), 'utf8')) as {
  convolutions: ConvolutionFixture[];
  groupNorms: GroupNormFixture[];
  zeroBorders: ZeroBorderFixture[];
  maxPools: MaxPoolFixture[];
};

describe.each(backendNames)('backend %s', (name) => {
  beforeAll(async () => {
    await useBackend(name);
  });

  describe('agrees with PyTorch, gradients included', () => {
    it.each(fixtures.convolutions)('convolution: $name', (f) => {
      const op = f.transposed ? conv3dTranspose : conv3d;
      const inputs = [tf.tensor(f.x, f.xShape), tf.tensor(f.w, f.wShape), tf.tensor(f.b)];
      const run = (x: tf.Tensor, w: tf.Tensor, b: tf.Tensor) =>
        op(x as tf.Tensor5D, w as tf.Tensor5D, b as tf.Tensor1D, { stride: f.stride });
      const y = run(inputs[0]!, inputs[1]!, inputs[2]!);
      expect(y.shape).toEqual(f.yShape);
      expect(worstError(y.dataSync(), f.y)).toBeLessThan(2e-6);
      const gradients = tf.grads(run as (...args: tf.Tensor[]) => tf.Tensor)(
        inputs,
        tf.tensor(f.dy, f.yShape),
      );
      [f.dx, f.dw, f.db].forEach((expected, i) => {
        expect(worstError(gradients[i]!.dataSync(), expected), ['dx', 'dw', 'db'][i]).toBeLessThan(2e-6);
      });
      tf.dispose([inputs, y, gradients]);
    });

    it.each(fixtures.zeroBorders)('convolution with a border of zeros: $name', (f) => {
      const options = { stride: f.stride, padding: f.padding };
      const inputs = [tf.tensor(f.x, f.xShape), tf.tensor(f.w, f.wShape), tf.tensor(f.b)];
      const run = (x: tf.Tensor, w: tf.Tensor, b: tf.Tensor) =>
        conv3d(x as tf.Tensor5D, w as tf.Tensor5D, b as tf.Tensor1D, options);
      const y = run(inputs[0]!, inputs[1]!, inputs[2]!);
      expect(y.shape).toEqual(f.yShape);
      expect(worstError(y.dataSync(), f.y)).toBeLessThan(2e-6);
      const dy = tf.tensor(f.dy, f.yShape) as tf.Tensor as tf.Tensor5D;
      const gradients = tf.grads(run as (...args: tf.Tensor[]) => tf.Tensor)(inputs, dy);
      const [x, w] = inputs as unknown as [tf.Tensor5D, tf.Tensor5D];
      const byHand = convolutionGradients(x, w, dy, options, { input: true, weights: true });
      [f.dx, f.dw, f.db].forEach((expected, i) => {
        expect(worstError(gradients[i]!.dataSync(), expected), ['dx', 'dw', 'db'][i]).toBeLessThan(2e-6);
        const explicit = [byHand.dx, byHand.dw, byHand.dbias][i]!;
        expect(worstError(explicit.dataSync(), expected), 'by hand').toBeLessThan(2e-6);
      });
      tf.dispose([inputs, y, dy, gradients, Object.values(byHand)]);
    });

    it.each(fixtures.maxPools)('max pooling: $name', (f) => {
      const x = tf.tensor(f.x, f.xShape);
      const y = maxPool(x as tf.Tensor as tf.Tensor5D);
      expect(y.shape).toEqual(f.yShape);
      expect([...y.dataSync()]).toEqual(f.y);
      const dx = tf.grad((x: tf.Tensor) => maxPool(x as tf.Tensor5D))(x, tf.tensor(f.dy, f.yShape));
      expect(worstError(dx.dataSync(), f.dx)).toBeLessThan(1e-6);
      tf.dispose([x, y, dx]);
    });

    it.each(fixtures.groupNorms)('group norm: $name', (f) => {
      const inputs = [tf.tensor(f.x, f.xShape), tf.tensor(f.gamma), tf.tensor(f.beta)];
      const run = (x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor) =>
        groupNorm(x as tf.Tensor5D, gamma as tf.Tensor1D, beta as tf.Tensor1D, {
          groups: f.groups,
          silu: f.silu,
        });
      const y = run(inputs[0]!, inputs[1]!, inputs[2]!);
      expect(worstError(y.dataSync(), f.y)).toBeLessThan(3e-6);
      const gradients = tf.grads(run as (...args: tf.Tensor[]) => tf.Tensor)(
        inputs,
        tf.tensor(f.dy, f.xShape),
      );
      [f.dx, f.dgamma, f.dbeta].forEach((expected, i) => {
        expect(worstError(gradients[i]!.dataSync(), expected), `gradient ${i}`).toBeLessThan(3e-6);
      });
      tf.dispose([inputs, y, gradients]);
    });
  });
});
