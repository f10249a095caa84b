import { describe, expect, it } from 'vitest';
import { InvalidArgument } from '../../src/errors';
import { pairedDifference } from '../../src/evaluate/confidence';
import { equalSteps, voxelsPerStep } from '../../src/evaluate/training-cost';

describe('paired differences', () => {
  it('of six patients who all gain: the mean, its interval and the least p that six allow', () => {
    const b = [20, 25, 30, 22, 28, 24];
    const found = pairedDifference(
      b.map((value, i) => value + 1 + 0.1 * i),
      b,
    );
    expect(found.mean).toBeCloseTo(1.25, 12);
    expect(found.low).toBeGreaterThanOrEqual(1);
    expect(found.high).toBeLessThanOrEqual(1.5);
    expect(found).toMatchObject({ count: 6, wins: 6, exact: true, p: 2 / 64 });
  });

  it('that cancel out have p = 1', () => {
    expect(pairedDifference([1, 3, 2, 4], [3, 1, 4, 2]).p).toBe(1);
  });

  it('counts by hand: of 1, 2 and -0.5 four of the eight patterns sum to 2.5 or more either way', () => {
    // |sums|: 2.5 as seen, 3.5, 1.5, 0.5, and each once more with all signs turned.
    expect(pairedDifference([1, 2, -0.5], [0, 0, 0]).p).toBe(4 / 8);
  });

  it('of many patients are sampled, by the seed, near the exact p', () => {
    const a = Array.from({ length: 20 }, (_, i) => (i % 4 === 0 ? -1 : 1));
    const zero = a.map(() => 0);
    const found = pairedDifference(a, zero, { seed: 3 });
    // 15 of 20 signs, two-sided binomial: 0.0414.
    expect(found.exact).toBe(false);
    expect(Math.abs(found.p - 0.0414)).toBeLessThan(0.006);
    expect(pairedDifference(a, zero, { seed: 3 })).toEqual(found);
  });

  it('of different patients are refused', () => {
    expect(() => pairedDifference([1, 2], [1])).toThrow(InvalidArgument);
    expect(() => pairedDifference([1, Number.NaN], [1, 2])).toThrow(InvalidArgument);
  });
});

describe('budgets', () => {
  const patchWise = { patch: [32, 32, 16] as const, ranks: 4, steps: 300, secondsPerStep: 0.5 };
  const baseline = { patch: [32, 32, 8] as const, batch: 2, secondsPerStep: 0.1 };
  it('equal steps, equal voxels, equal time', () => {
    expect(voxelsPerStep(patchWise)).toBe(4 * 16384);
    expect(equalSteps('steps', patchWise, baseline)).toBe(300);
    expect(equalSteps('voxels', patchWise, baseline)).toBe(1200);
    expect(equalSteps('time', patchWise, baseline)).toBe(1500);
    expect(equalSteps('voxels', patchWise, { patch: [32, 32, 16], ranks: 2, accumulate: 2 })).toBe(300);
  });
  it('equal time needs measured time', () => {
    expect(() => equalSteps('time', patchWise, { patch: [32, 32, 8] })).toThrow(InvalidArgument);
    expect(() => equalSteps('money' as 'time', patchWise, baseline)).toThrow(InvalidArgument);
  });
});
