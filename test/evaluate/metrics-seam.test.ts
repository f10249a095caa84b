import { expect, test } from 'vitest';
import { InvalidArgument } from '../../src/errors';
import { patchBorders, seamEnergy, seamProfile } from '../../src/evaluate/seam';
import { blendPatches } from '../../src/patch/blend';
import { extractPatches } from '../../src/patch/extract';
import { planGrid } from '../../src/patch/grid';
import { noise } from '../patch/volumes';

const grid = planGrid([40, 30, 30], { patch: [16, 30, 30], stride: [12, 30, 30] });

test('patch borders are where patches begin and end inside the volume', () => {
  expect(grid.starts[0]).toEqual([0, 12, 24]);
  expect(patchBorders(grid, 0)).toEqual([12, 16, 24, 28]);
  expect(patchBorders(grid, 1)).toEqual([]);
});

test('a step at a border is the only jump there is', () => {
  const data = new Float32Array(40 * 30 * 30);
  for (let i = 0; i < data.length; i++) data[i] = i % 40 < 12 ? 0 : 5;
  expect(seamEnergy(data, grid)).toBe(Infinity);
  const profile = seamProfile(data, grid, 0, { border: 12, reach: 3 });
  expect(profile).toEqual({ axis: 0, offsets: [-3, -2, -1, 0, 1, 2, 3], jumps: [0, 0, 0, 5, 0, 0, 0] });
  expect(seamProfile(data, grid, 0, { reach: 0 }).jumps).toEqual([5 / 4]);
});

test('energy is the mean jump across borders over the mean jump elsewhere, on all axes', () => {
  const cross = planGrid([4, 4, 4], { patch: [2, 2, 4], stride: [2, 2, 4] });
  const data = new Float32Array(64);
  for (let z = 0, i = 0; z < 4; z++)
    for (let y = 0; y < 4; y++)
      for (let x = 0; x < 4; x++, i++) data[i] = x + 2 * y + 4 * z + (x > 1 ? 7 : 0);
  // Across: 16 jumps of 8 on x and 16 of 2 on y; elsewhere: 32 of 1, 32 of 2, 48 of 4.
  expect(seamEnergy(data, cross)).toBeCloseTo(5 / ((32 + 64 + 192) / 112), 12);
});

test('noise without seams has energy 1; a constant volume too', () => {
  expect(Math.abs(seamEnergy(noise(grid.volume, 3), grid) - 1)).toBeLessThan(0.05);
  expect(seamEnergy(new Float32Array(40 * 30 * 30), grid)).toBe(1);
  const single = planGrid([8, 8, 8], { patch: [8, 8, 8] });
  expect(seamEnergy(noise(single.volume, 3), single)).toBeNaN();
});

test('patches of different levels: constant blending has seams that a triangle smooths away', async () => {
  const smooth = new Float32Array(40 * 30 * 30);
  for (let i = 0; i < smooth.length; i++) smooth[i] = Math.sin((i % 40) / 5) + Math.cos(i / 4000);
  const patches = [...extractPatches(smooth, grid)].map(({ index, data }) => ({
    index,
    data: data.map((value) => value + index * 0.8),
  }));
  const energy = async (window: 'constant' | 'linear' | 'gaussian') =>
    seamEnergy(await blendPatches(grid, patches, { window }), grid);
  expect(await energy('constant')).toBeGreaterThan(3);
  expect(await energy('gaussian')).toBeLessThan(await energy('constant'));
  expect(await energy('linear')).toBeLessThan((await energy('constant')) / 2);
});

test('what cannot be profiled is refused', () => {
  const data = new Float32Array(40 * 30 * 30);
  expect(() => seamProfile(data, grid, 0, { border: 13 })).toThrow(InvalidArgument);
  expect(() => seamProfile(data, grid, 0, { reach: -1 })).toThrow(InvalidArgument);
  expect(() => seamEnergy(data.subarray(1), grid)).toThrow(InvalidArgument);
});
