import * as tf from '@tensorflow/tfjs-core';
import { expect } from 'vitest';
import { Random } from '../../src/random';

/** Normal random values of a shape, the same on every backend. */
export function normal(seed: number, shape: readonly number[]): Float32Array {
  const random = new Random(seed, 'conformance');
  return Float32Array.from({ length: tf.util.sizeFromShape([...shape]) }, () => random.normal());
}

export function tensor<T extends tf.Tensor>(seed: number, shape: readonly number[]): T {
  return tf.tensor(normal(seed, shape), [...shape]) as unknown as T;
}

/** Largest difference, relative to the largest expected value (at least 1). */
export function worstError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  expect(actual.length).toBe(expected.length);
  let [worst, scale] = [0, 1];
  for (let i = 0; i < expected.length; i++) {
    const difference = Math.abs(actual[i]! - expected[i]!);
    worst = Number.isNaN(difference) ? Number.POSITIVE_INFINITY : Math.max(worst, difference);
    scale = Math.max(scale, Math.abs(expected[i]!));
  }
  return worst / scale;
}

/**
 * Compares the tape's gradients of sum(f(inputs) * weights) with central differences at some elements of every
 * input. The sum is taken in double precision, so the differences are as good as f itself.
 */
export function expectGradients(
  f: (...inputs: tf.Tensor[]) => tf.Tensor,
  shapes: readonly (readonly number[])[],
  { step = 0.02, tolerance = 2e-3, probes = 12 }: { step?: number; tolerance?: number; probes?: number } = {},
): void {
  const values = shapes.map((shape, i) => normal(100 + i, shape));
  const build = () => values.map((array, i) => tf.tensor(array.slice(), [...shapes[i]!]));
  const weights = tf.tidy(() => normal(99, f(...build()).shape));
  const loss = () => {
    const y = tf.tidy(() => f(...build()));
    const array = y.dataSync() as Float32Array;
    y.dispose();
    return array.reduce((sum, value, i) => sum + value * weights[i]!, 0);
  };
  const gradients = tf.tidy(() => {
    const scale = (y: tf.Tensor) => tf.sum(tf.mul(y, tf.tensor(weights, y.shape)));
    return tf
      .grads((...inputs: tf.Tensor[]) => scale(f(...inputs)))(build())
      .map((g) => g.dataSync());
  });
  const random = new Random(5, 'probes');
  values.forEach((array, i) => {
    const expected: number[] = [];
    const actual: number[] = [];
    for (let probe = 0; probe < Math.min(probes, array.length); probe++) {
      const at = array.length <= probes ? probe : random.below(array.length);
      const value = array[at]!;
      array[at] = value + step;
      const above = loss();
      const up = array[at]!;
      array[at] = value - step;
      expected.push((above - loss()) / (up - array[at]!));
      array[at] = value;
      actual.push(gradients[i]![at]!);
    }
    expect(worstError(actual, expected), `gradient of input ${i}`).toBeLessThan(tolerance);
  });
}
