import { describe, expect, test } from 'vitest';
import { InvalidArgument } from '../../src/errors';
import { confidenceInterval } from '../../src/evaluate/confidence';
import { Random } from '../../src/random';

describe('confidence intervals', () => {
  const random = new Random(1, 'volumes');
  const values = Array.from({ length: 200 }, () => 30 + 2 * random.normal());

  test('are near 1.96 standard errors, and the same for the same seed', () => {
    const interval = confidenceInterval(values, { seed: 3 });
    const mean = values.reduce((a, b) => a + b, 0) / values.length;
    const deviation = Math.sqrt(values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / (values.length - 1));
    const half = (1.96 * deviation) / Math.sqrt(values.length);
    expect(interval.mean).toBeCloseTo(mean, 12);
    expect(Math.abs(interval.high - mean - half)).toBeLessThan(0.15 * half);
    expect(Math.abs(mean - interval.low - half)).toBeLessThan(0.15 * half);
    expect(confidenceInterval(values, { seed: 3 })).toEqual(interval);
    expect(confidenceInterval(values, { seed: 4 })).not.toEqual(interval);
  });

  test('grow with the level', () => {
    const narrow = confidenceInterval(values, { level: 0.5 });
    const wide = confidenceInterval(values, { level: 0.99 });
    expect(wide.high - wide.low).toBeGreaterThan(2 * (narrow.high - narrow.low));
  });

  test('do not exist for too few volumes', () => {
    const none = { low: Number.NaN, high: Number.NaN };
    expect(confidenceInterval([31])).toEqual({ mean: 31, ...none, count: 1 });
    expect(confidenceInterval([30, 32])).toEqual({ mean: 31, ...none, count: 2 });
    expect(confidenceInterval([1, 2, 3, 4, 5]).low).toBeNaN();
    expect(confidenceInterval([1, 2, 3, 4, 5, 6]).low).toBeLessThan(3);
    expect(confidenceInterval([1, 2, 3, 4, 5, 6], { level: 0.99 }).low).toBeNaN();
    expect(confidenceInterval([30, 32], { level: 0.5 }).high).toBeGreaterThan(31);
  });

  test('refuse what has no mean', () => {
    expect(() => confidenceInterval([])).toThrow(InvalidArgument);
    expect(() => confidenceInterval([30, Infinity])).toThrow(InvalidArgument);
    expect(() => confidenceInterval([30], { level: 1 })).toThrow(InvalidArgument);
    expect(() => confidenceInterval([30], { resamples: 0 })).toThrow(InvalidArgument);
  });
});
