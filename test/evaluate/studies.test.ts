import { describe, expect, it } from 'vitest';
import { InvalidArgument } from '../../src/errors';
import { borderDistances, qualityByDistance } from '../../src/evaluate/border-distance';
import { equalSteps, voxelsPerStep } from '../../src/evaluate/budget';
import { psnr } from '../../src/evaluate/metrics';
import { pairedDifference } from '../../src/evaluate/paired';
import { ssimMap } from '../../src/evaluate/ssim-map';
import { patchErrors } from '../../src/evaluate/worst-patches';
import { planGrid } from '../../src/patch/grid';
import { ssim } from '../../src/patch/ssim';
import { noise } from '../patch/volumes';

const grid = planGrid([24, 20, 20], { patch: [12, 20, 20], stride: [8, 20, 20] });
const reference = noise(grid.volume, 1);

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

describe('quality by place', () => {
  const candidate = reference.map((value, i) => value + 0.3 * Math.sin(i / 3));

  it('the mean of the SSIM map is SSIM', () => {
    const map = ssimMap(reference, candidate, { shape: grid.volume, dataRange: 2 });
    const inside = map.filter((value) => !Number.isNaN(value));
    expect(inside.length).toBe(14 * 10 * 10);
    const mean = inside.reduce((sum, value) => sum + value, 0) / inside.length;
    expect(mean).toBeCloseTo(ssim(reference, candidate, { shape: grid.volume, dataRange: 2 }), 6);
  });

  it('distances count voxels from the nearest border', () => {
    expect(grid.starts[0]).toEqual([0, 8, 12]); // borders at 8, 12, 20
    expect([...borderDistances(grid, 9).subarray(0, 24)]).toEqual([
      7, 6, 5, 4, 3, 2, 1, 0, 0, 1, 1, 0, 0, 1, 2, 3, 3, 2, 1, 0, 0, 1, 2, 3,
    ]);
    const whole = planGrid([8, 8, 8], { patch: [8, 8, 8] });
    expect(() => borderDistances(whole, 3)).toThrow(InvalidArgument);
  });

  it('finds an error that is at the borders alone', () => {
    const near = borderDistances(grid, 12);
    const bad = reference.map((value, i) => value + (near[i] === 0 ? 0.5 : 0.01));
    const rows = qualityByDistance(reference, bad, grid, { dataRange: 2, reach: 4 });
    expect(rows.map(({ distance }) => distance)).toEqual([0, 1, 2, 3, 4]);
    expect(rows.reduce((sum, { voxels }) => sum + voxels, 0)).toBe(reference.length);
    expect(rows[0]!.psnr).toBeCloseTo(20 * Math.log10(2 / 0.5), 3);
    for (const row of rows.slice(1)) expect(row.psnr).toBeCloseTo(20 * Math.log10(2 / 0.01), 2);
    expect(rows[0]!.ssim).toBeLessThan(rows[3]!.ssim);
  });

  it('the worst patch comes first', () => {
    const bad = reference.slice();
    for (let i = 0; i < bad.length; i++) if (i % 24 >= 21) bad[i]! += 1; // only the last patch has x >= 21
    const rows = patchErrors(reference, bad, grid, { dataRange: 2 });
    expect(rows.map(({ index }) => index)).toEqual([2, 0, 1]);
    expect(rows[0]).toMatchObject({ start: [12, 0, 0] });
    expect(rows[0]!.mae).toBeCloseTo(3 / 12, 5);
    expect(rows[1]!.psnr).toBe(psnr(reference, reference, { dataRange: 2 }));
  });
});
