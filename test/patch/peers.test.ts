/** Faults that users of MONAI, TorchIO and patchify have met, each as a test that must pass here. */
import { expect, test } from 'vitest';
import { blend } from '../../src/patch/blend';
import { extractPatch, extractPatches } from '../../src/patch/extract';
import { patchStart, planGrid } from '../../src/patch/grid';
import { axisWindows } from '../../src/patch/windows';
import type { Vec3 } from '../../src/vec3';
import { greatestDifference, noise } from './volumes';

test("TorchIO's Hann weights divide by counts: the guide's grid came back with a mean gain of 0.32", () => {
  const grid = planGrid([512, 512, 604], { patch: [256, 256, 128], stride: [192, 192, 96] });
  const gains = axisWindows(grid, 'hann').map((weights, axis) => {
    const sums = new Float64Array(grid.volume[axis as 0]);
    weights.forEach((weight, k) => {
      weight.forEach((value, i) => {
        sums[grid.starts[axis as 0][k]! + i]! += value;
      });
    });
    return sums.reduce((a, b) => a + b, 0) / sums.length;
  });
  expect(gains).toEqual([1, 1, 1]);
});

test("TorchIO's borders came back black (#96): corners and edges carry full weight", async () => {
  const grid = planGrid([21, 21, 21], { patch: [8, 8, 8], overlap: 4 });
  const data = new Float32Array(21 ** 3).fill(100);
  for (const window of ['hann', 'gaussian', 'linear'] as const) {
    const blended = await blend(grid, extractPatches(data, grid), { window });
    for (const corner of [0, 20, 21 * 20, 21 ** 3 - 1]) expect(blended[corner]).toBeCloseTo(100, 4);
  }
});

test("TorchIO's output moved against the input at patches larger than the image (#813)", async () => {
  const volume: Vec3 = [9, 7, 5];
  const grid = planGrid(volume, { patch: [16, 12, 32] });
  const data = noise(volume, 1);
  expect(await blend(grid, extractPatches(data, grid))).toEqual(data);
});

test("MONAI's narrow gaussians gave NaN where weights were zero (#906)", async () => {
  const grid = planGrid([64, 20, 20], { patch: [32, 10, 10], overlap: 0.5 });
  const data = noise(grid.volume, 2);
  for (const sigma of [1e-6, 0.01, 0.05, 10]) {
    const blended = await blend(grid, extractPatches(data, grid), { window: 'gaussian', sigma });
    expect(greatestDifference(blended, data)).toBeLessThanOrEqual(1e-6);
  }
});

test("MONAI clamps gaussian weights to 1e-3 of the greatest: ours keep the window's shape", () => {
  const grid = planGrid([200, 8, 8], { patch: [128, 8, 8], stride: [72, 8, 8] });
  const [first, second] = axisWindows(grid, 'gaussian')[0];
  const shape = (i: number) => Math.exp(-0.5 * ((i + 0.5 - 64) / 16) ** 2);
  for (let voxel = 72; voxel < 128; voxel++) {
    const expected = shape(voxel) / (shape(voxel) + shape(voxel - 72));
    expect(Math.abs(first![voxel]! - expected)).toBeLessThan(1e-7);
    expect(second![voxel - 72]).toBe(1 - first![voxel]!);
  }
});

test('MONAI mixes float overlaps into strides by truncation: 0.1 of 10 is one voxel here', () => {
  expect(planGrid([30, 30, 30], { patch: [10, 10, 10], overlap: 0.1 }).stride).toEqual([9, 9, 9]);
  expect(planGrid([30, 30, 30], { patch: [10, 10, 10], overlap: 0.3 }).stride).toEqual([7, 7, 7]);
  expect(planGrid([30, 30, 30], { patch: [100, 100, 100], overlap: 0.9 }).stride).toEqual([10, 10, 10]);
});

test("patchify's grids must divide the image (#6, #7, #9, #11, #14): any size is covered here", async () => {
  for (const volume of [
    [17, 16, 15],
    [8, 9, 31],
    [33, 8, 8],
  ] as const) {
    const grid = planGrid(volume, { patch: [8, 8, 8], stride: [5, 8, 6] });
    const data = noise(volume, 3);
    const blended = await blend(grid, extractPatches(data, grid), { window: 'constant' });
    expect(greatestDifference(blended, data)).toBeLessThanOrEqual(1e-6);
  }
});

test('a NaN voxel affects only the patch that holds it', async () => {
  const grid = planGrid([12, 8, 8], { patch: [8, 8, 8], stride: [4, 8, 8] });
  const patches = [...extractPatches(noise(grid.volume, 4), grid)];
  patches[0]!.data[0] = Number.NaN;
  const blended = await blend(grid, patches);
  expect(blended.filter(Number.isNaN)).toHaveLength(1);
  expect(patchStart(grid, 1)).toEqual([4, 0, 0]);
  expect(extractPatch(blended, grid, 1).some(Number.isNaN)).toBe(false);
});
