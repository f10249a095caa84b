import { expect, test } from 'vitest';
import { InvalidArgument } from '../../src/errors';
import { extractPatch, extractPatches } from '../../src/patch/extract';
import { patchStart, planGrid } from '../../src/patch/grid';
import { Random } from '../../src/random';
import { noise, randomGrid } from './volumes';

test('a patch holds the voxels of its place, borders repeated outside', () => {
  const random = new Random(3, 'extract');
  for (let i = 0; i < 60; i++) {
    const grid = randomGrid(random);
    const data = noise(grid.volume, i, 2);
    const index = random.below(grid.patches);
    const patch = extractPatch(data, grid, index, undefined, { channels: 2 });
    const start = patchStart(grid, index);
    const [vx, vy] = grid.volume;
    const [px, py, pz] = grid.patch;
    const inside = (p: number, axis: 0 | 1 | 2) =>
      Math.min(Math.max(start[axis] + p, 0), grid.volume[axis] - 1);
    for (let z = 0; z < pz; z++)
      for (let y = 0; y < py; y++)
        for (let x = 0; x < px; x++)
          for (let c = 0; c < 2; c++) {
            const voxel = (inside(z, 2) * vy + inside(y, 1)) * vx + inside(x, 0);
            expect(patch[((z * py + y) * px + x) * 2 + c]).toBe(data[voxel * 2 + c]);
          }
  }
});

test('other padding: mirrored, wrapped, constant', () => {
  const grid = planGrid([3, 1, 1], { patch: [9, 1, 1] });
  const data = Float32Array.of(1, 2, 3);
  const padded = (pad: 'edge' | 'reflect' | 'wrap' | 'constant') => [
    ...extractPatch(data, grid, 0, undefined, { pad, padValue: -7 }),
  ];
  expect(padded('edge')).toEqual([1, 1, 1, 1, 2, 3, 3, 3, 3]);
  expect(padded('reflect')).toEqual([2, 3, 2, 1, 2, 3, 2, 1, 2]); // numpy.pad(mode='reflect')
  expect(padded('wrap')).toEqual([1, 2, 3, 1, 2, 3, 1, 2, 3]);
  expect(padded('constant')).toEqual([-7, -7, -7, 1, 2, 3, -7, -7, -7]);
  expect(() => padded('mirror' as 'edge')).toThrow(InvalidArgument);
  const one = planGrid([1, 1, 1], { patch: [4, 2, 2] });
  expect(extractPatch(Float32Array.of(5), one, 0, undefined, { pad: 'reflect' })).toEqual(
    new Float32Array(16).fill(5),
  );
});

test('padding with a constant reaches rows and planes outside too', () => {
  const grid = planGrid([2, 1, 1], { patch: [2, 3, 3] });
  const patch = extractPatch(Float32Array.of(1, 2), grid, 0, undefined, { pad: 'constant', padValue: 9 });
  expect([...patch]).toEqual([9, 9, 9, 9, 9, 9, 9, 9, 1, 2, 9, 9, 9, 9, 9, 9, 9, 9]);
});

test('integers are converted, and a given array is filled', () => {
  const grid = planGrid([4, 1, 1], { patch: [2, 1, 1], stride: [2, 1, 1] });
  const out = new Float32Array(2);
  expect(extractPatch(Int16Array.of(-1024, 3071, 5, 6), grid, 0, out)).toBe(out);
  expect([...out]).toEqual([-1024, 3071]);
  expect([...extractPatches(Int16Array.of(1, 2, 3, 4), grid)]).toEqual([
    { index: 0, data: Float32Array.of(1, 2) },
    { index: 1, data: Float32Array.of(3, 4) },
  ]);
});

test.each([0, 1, 2])(
  'rows keep every bit, odd NaNs too, whatever their place in memory (%i values in)',
  (offset) => {
    const grid = planGrid([33, 4, 3], { patch: [16, 2, 2], stride: [8, 1, 1] });
    const random = new Random(9, 'bits');
    const bits = Uint32Array.from({ length: 33 * 4 * 3 + 2 }, () => random.below(2 ** 32));
    for (let i = 0; i < bits.length; i += 3) bits[i] = 0x7ff12345 + i; // a NaN, also as the upper half of a float64
    const data = new Float32Array(bits.buffer, 4 * offset, 33 * 4 * 3);
    for (let index = 0; index < grid.patches; index++) {
      const patch = new Uint32Array(extractPatch(data, grid, index).buffer);
      const [x, y, z] = patchStart(grid, index);
      const expected = Array.from({ length: 64 }, (_, i) => {
        const row = ((z + (i >> 5)) * 4 + y + ((i >> 4) & 1)) * 33;
        return bits[offset + row + x + (i & 15)];
      });
      expect([...patch]).toEqual(expected);
    }
  },
);

test('arrays of another size are refused', () => {
  const grid = planGrid([4, 4, 4], { patch: [2, 2, 2] });
  expect(() => extractPatch(new Float32Array(63), grid, 0)).toThrow(InvalidArgument);
  expect(() => extractPatch(new Float32Array(64), grid, 0, new Float32Array(9))).toThrow(InvalidArgument);
  expect(() => extractPatch(new Float32Array(64), grid, 27)).toThrow(InvalidArgument);
});
