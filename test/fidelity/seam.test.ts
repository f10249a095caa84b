import { expect, test } from 'vitest';
import { InvalidArgument } from '../../src/errors';
import { patchBorders, seamEnergy, seamProfile } from '../../src/fidelity/seam';
import { blend } from '../../src/patch/blend';
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

test('energy is the jump across borders over what is usual on the same axis', () => {
  const cross = planGrid([4, 4, 4], { patch: [2, 2, 4], stride: [2, 2, 4] });
  const data = new Float32Array(64);
  for (let z = 0, i = 0; z < 4; z++)
    for (let y = 0; y < 4; y++)
      for (let x = 0; x < 4; x++, i++) data[i] = x + 2 * y + 4 * z + (x > 1 ? 7 : 0);
  // Across the borders 8 on x and 2 on y, where 1 and 2 are usual; z has no border.
  expect(seamEnergy(data, cross)).toBeCloseTo((8 + 2) / (1 + 2), 12);
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
    seamEnergy(await blend(grid, patches, { window }), grid);
  expect(await energy('constant')).toBeGreaterThan(2.5);
  expect(await energy('gaussian')).toBeLessThan(await energy('constant'));
  expect(await energy('linear')).toBeLessThan((await energy('constant')) / 2);
});

test('what cannot be profiled is refused', () => {
  const data = new Float32Array(40 * 30 * 30);
  expect(() => seamProfile(data, grid, 0, { border: 13 })).toThrow(InvalidArgument);
  expect(() => seamProfile(data, grid, 0, { reach: -1 })).toThrow(InvalidArgument);
  expect(() => seamEnergy(data.subarray(1), grid)).toThrow(InvalidArgument);
});

/** What a decoder of stride 2 does: every second jump along x is three times the others. */
function steps(period: number): Float32Array {
  const data = new Float32Array(40 * 30 * 30);
  for (let i = 0; i < data.length; i++) {
    const x = i % 40;
    data[i] = Math.floor(x / period) * 3 + (x - Math.floor(x / period));
  }
  return data;
}

test("the model's own pattern is no seam, a seam on top of it is", () => {
  const pattern = steps(2); // borders are at even voxels, where it jumps most
  expect(seamEnergy(pattern, grid)).toBeGreaterThan(1.4);
  expect(seamEnergy(pattern, grid, { period: [2, 1, 1] })).toBeCloseTo(1, 12);
  const seam = pattern.map((value, i) => value + (i % 40 >= 12 ? 2 : 0));
  // One of the four borders jumps by 2 more than usual.
  const usual = pattern[12]! - pattern[11]!;
  expect(seamEnergy(seam, grid, { period: [2, 1, 1] })).toBeCloseTo((4 * usual + 2) / (4 * usual), 12);
});

test('the phase is that of the patch that reaches over the border, wherever it begins', () => {
  // The last patch is moved back to an odd voxel: its pattern is the other way round there.
  const odd = planGrid([35, 30, 30], { patch: [16, 30, 30], stride: [12, 30, 30] });
  expect(odd.starts[0]).toEqual([0, 12, 19]);
  const data = new Float32Array(35 * 30 * 30);
  const jump = (x: number) => ((x - (x < 28 ? 0 : 19)) % 2 === 0 ? 3 : 1); // the lead changes between 20 and 27
  for (let i = 0; i < data.length; i++) for (let x = 1; x <= i % 35; x++) data[i]! += jump(x);
  expect(seamEnergy(data, odd, { period: [2, 1, 1] })).toBeCloseTo(1, 1);
});

test('with a reference, its anatomy is divided out: the reference itself has exactly 1', () => {
  const reference = steps(1).map((value, i) => value + (i % 40 >= 12 ? 9 : 0)); // a bone edge at a border
  expect(seamEnergy(reference, grid)).toBeGreaterThan(1.7);
  expect(seamEnergy(reference, grid, { reference })).toBe(1);
  const soft = reference.map((value) => value / 2);
  expect(seamEnergy(soft, grid, { reference })).toBeCloseTo(1, 6);
  const seam = reference.map((value, i) => value + (i % 40 >= 24 ? 5 : 0));
  expect(seamEnergy(seam, grid, { reference })).toBeCloseTo(26 / 21, 6); // (4 x 3 + 9 + 5) / (4 x 3 + 9)
});

test('the sawtooth is also measured in the middle of the patches, where it falls from 1 to 0', async () => {
  const bright = new Float32Array(40 * 30 * 30).fill(-900).map((value, i) => value + (i % 7));
  const blended = await blend(grid, extractPatches(bright, grid), { window: 'seed-linear' });
  const energy = seamEnergy(blended, grid, { window: 'seed-linear', reference: bright });
  expect(energy).toBeGreaterThan(2);
  for (const window of ['constant', 'linear', 'gaussian', 'hann'] as const) {
    const whole = await blend(grid, extractPatches(bright, grid), { window });
    expect(seamEnergy(whole, grid, { window, reference: bright })).toBeCloseTo(1, 3);
  }
});

test('a period that is no size is refused', () => {
  expect(() => seamEnergy(steps(2), grid, { period: [0, 1, 1] })).toThrow(InvalidArgument);
});
