import { describe, expect, test } from 'vitest';
import { InvalidArgument } from '../../src/errors';
import { type Grid, planGrid } from '../../src/patch/grid';
import { axisWindows, patchWindow, windowNames } from '../../src/patch/windows';
import { Random } from '../../src/random';
import type { Axis } from '../../src/vec3';
import { randomGrid } from './volumes';

const guide = planGrid([512, 512, 604], { patch: [256, 256, 128], stride: [192, 192, 96] });
const proper = windowNames.filter((name) => name !== 'seed-linear');

/** The sum of the weights at every voxel of an axis, in single precision, in the patches' order. */
function weightSums(grid: Grid, axis: Axis, weights: readonly Float32Array[]): Float32Array {
  const sums = new Float32Array(grid.volume[axis]);
  weights.forEach((weight, k) => {
    weight.forEach((value, i) => {
      const voxel = grid.starts[axis][k]! + i;
      if (voxel >= 0 && voxel < sums.length) sums[voxel]! += value;
      else expect(value).toBe(0);
    });
  });
  return sums;
}

describe.each(proper)('%s', (window) => {
  test('weights sum to exactly 1 at every voxel', () => {
    const random = new Random(11, window);
    for (const grid of [guide, ...Array.from({ length: 200 }, () => randomGrid(random))]) {
      const weights = axisWindows(grid, window);
      for (const axis of [0, 1, 2] as const) {
        expect(weightSums(grid, axis, weights[axis]).every((sum) => sum === 1)).toBe(true);
      }
    }
  });

  test('is symmetric and greatest in the middle', () => {
    for (const size of [1, 2, 7, 128]) {
      const shape = patchWindow(size, window);
      for (let i = 0; i < size; i++) {
        expect(shape[i]).toBeCloseTo(shape[size - 1 - i]!, 12);
        expect(shape[i]).toBeGreaterThan(0);
        expect(shape[i]).toBeLessThanOrEqual(shape[size >> 1]!);
      }
    }
  });
});

test('linear is a triangle: it falls by the same step all the way to the border', () => {
  const shape = patchWindow(128, 'linear');
  expect(shape[0]).toBeCloseTo(1 / 128, 12);
  expect(shape[63]).toBeCloseTo(127 / 128, 12);
  for (let i = 1; i < 64; i++) expect(shape[i]! - shape[i - 1]!).toBeCloseTo(1 / 64, 12);
});

test('the gaussian has one eighth of the patch as its standard deviation, or the given one', () => {
  const atOneSigma = (shape: Float64Array, sigma: number) => shape[50]! / shape[50 + sigma]!;
  expect(atOneSigma(patchWindow(101, 'gaussian', 10 / 101), 10)).toBeCloseTo(Math.exp(0.5), 10);
  expect(patchWindow(256, 'gaussian')[127]! / patchWindow(256, 'gaussian')[159]!).toBeCloseTo(
    Math.exp(0.5 * (31.5 / 32) ** 2 - 0.5 * (0.5 / 32) ** 2),
    10,
  );
});

test('sigma may differ by axis', () => {
  const grid = planGrid([12, 12, 12], { patch: [8, 8, 8], stride: [4, 4, 4] });
  const [x, y] = axisWindows(grid, 'gaussian', { sigma: [0.1, 0.5, 0.1] });
  expect(x[0]![4]).toBeGreaterThan(y[0]![4]!);
  expect(axisWindows(grid, 'gaussian', { sigma: 0.5 })[0]).toEqual(y);
});

test('a gaussian so narrow that it vanishes still leaves no voxel without weight', () => {
  const grid = planGrid([300, 8, 8], { patch: [200, 8, 8], stride: [100, 8, 8] });
  const weights = axisWindows(grid, 'gaussian', { sigma: 0.001 });
  expect(weightSums(grid, 0, weights[0]).every((sum) => sum === 1)).toBe(true);
});

test('unknown windows and sigmas are refused', () => {
  expect(() => axisWindows(guide, 'kaiser' as 'hann')).toThrow(InvalidArgument);
  expect(() => axisWindows(guide, 'gaussian', { sigma: 0 })).toThrow(InvalidArgument);
  expect(() => axisWindows(guide, 'gaussian', { sigma: Number.NaN })).toThrow(InvalidArgument);
});

describe('seed-linear, the sawtooth of the prior system', () => {
  /** The part of the first `depth` planes of a grid at which all weights are zero. */
  function zeroPart(grid: Grid, depth: number): number {
    const weights = axisWindows(grid, 'seed-linear');
    const kept = ([0, 1, 2] as const).map((axis) => {
      const sums = weightSums(grid, axis, weights[axis]).subarray(0, axis === 2 ? depth : undefined);
      expect(sums.every((sum) => sum === 0 || sum === 1)).toBe(true);
      return sums.filter((sum) => sum === 1).length / sums.length;
    });
    return 1 - kept[0]! * kept[1]! * kept[2]!;
  }

  test('falls from 1 to 0 in the middle of the patch', () => {
    const shape = patchWindow(256, 'seed-linear');
    expect([shape[0], shape[127], shape[128], shape[255]]).toEqual([0, 1, 0, 1]);
  });

  test('leaves 1.77 % of the voxels zero where z is padded to 640 as the prior system did', () => {
    const padded = planGrid([512, 512, 640], { patch: [256, 256, 128], stride: [192, 192, 96] });
    expect(padded.patches).toBe(63);
    expect(zeroPart(padded, 604)).toBeCloseTo(0.0177, 4);
  });

  test('leaves 1.93 % of the voxels zero on the grid of 54 patches', () => {
    expect(zeroPart(guide, 604)).toBeCloseTo(0.0193, 4);
  });
});
