import { describe, expect, test } from 'vitest';
import { InvalidArgument } from '../../src/errors';
import { type Grid, patchStart, planGrid } from '../../src/patch/grid';
import { Random } from '../../src/random';
import type { Vec3 } from '../../src/vec3';
import { randomGrid } from './volumes';

describe('the grid of the guide', () => {
  const grid = planGrid([512, 512, 604], { patch: [256, 256, 128], stride: [192, 192, 96] });

  test('has 3 x 3 x 6 = 54 patches', () => {
    expect(grid.counts).toEqual([3, 3, 6]);
    expect(grid.patches).toBe(54);
    expect(grid.starts).toEqual([
      [0, 192, 256],
      [0, 192, 256],
      [0, 96, 192, 288, 384, 476],
    ]);
  });

  test('names the overlap of every pair, the snapped one too', () => {
    expect(grid.overlap).toEqual([
      [64, 192],
      [64, 192],
      [32, 32, 32, 32, 36],
    ]);
    expect(grid.coverage).toBe(1);
    expect(grid.padding).toEqual({ before: [0, 0, 0], after: [0, 0, 0] });
  });

  test('follows from an overlap of a quarter, in fractions and in voxels', () => {
    const patch: Vec3 = [256, 256, 128];
    expect(planGrid([512, 512, 604], { patch })).toEqual(grid);
    expect(planGrid([512, 512, 604], { patch, overlap: 0.25 })).toEqual(grid);
    expect(planGrid([512, 512, 604], { patch, overlap: [64, 0.25, 32] })).toEqual(grid);
  });

  test('numbers its patches x first, then y, then z', () => {
    expect(patchStart(grid, 0)).toEqual([0, 0, 0]);
    expect(patchStart(grid, 1)).toEqual([192, 0, 0]);
    expect(patchStart(grid, 3)).toEqual([0, 192, 0]);
    expect(patchStart(grid, 9)).toEqual([0, 0, 96]);
    expect(patchStart(grid, 53)).toEqual([256, 256, 476]);
    for (const index of [-1, 54, 0.5, Number.NaN])
      expect(() => patchStart(grid, index)).toThrow(InvalidArgument);
  });

  test('cannot be changed', () => {
    expect(() => {
      (grid as { patches: number }).patches = 24;
    }).toThrow(TypeError);
    expect(() => {
      (grid.starts[2] as number[])[5] = 480;
    }).toThrow(TypeError);
    expect(() => {
      (grid.padding.before as unknown as number[])[0] = 1;
    }).toThrow(TypeError);
  });
});

describe('a volume smaller than the patch', () => {
  test('is padded on both sides, the odd voxel behind', () => {
    const grid = planGrid([7, 8, 9], { patch: [12, 8, 10], stride: [6, 8, 5] });
    expect(grid.counts).toEqual([1, 1, 1]);
    expect(patchStart(grid, 0)).toEqual([-2, 0, 0]);
    expect(grid.padding).toEqual({ before: [2, 0, 0], after: [3, 0, 1] });
    expect(grid.coverage).toBe(1);
  });
});

describe('an evenly spaced grid', () => {
  test('has as many patches, and overlaps that differ by one voxel at most', () => {
    const options = { patch: [256, 256, 128], stride: [192, 192, 96] } as const;
    const grid = planGrid([512, 512, 604], { ...options, layout: 'even' });
    expect(grid.counts).toEqual([3, 3, 6]);
    expect(grid.starts[0]).toEqual([0, 128, 256]);
    expect(grid.starts[2]).toEqual([0, 95, 190, 286, 381, 476]);
    expect(grid.coverage).toBe(1);
  });
});

test('every grid covers every voxel, in ascending and different places inside the volume', () => {
  const random = new Random(7, 'grids');
  for (let i = 0; i < 500; i++) {
    const grid = randomGrid(random);
    expect(grid.coverage).toBe(1);
    for (const axis of [0, 1, 2] as const) {
      const covered = new Set<number>();
      for (const start of grid.starts[axis]) {
        for (let v = start; v < start + grid.patch[axis]; v++) covered.add(v);
      }
      for (let v = 0; v < grid.volume[axis]; v++) expect(covered.has(v)).toBe(true);
      const sorted = [...new Set(grid.starts[axis])].sort((a, b) => a - b);
      expect(grid.starts[axis]).toEqual(sorted);
      const outside = covered.size - grid.volume[axis];
      expect(outside).toBe(grid.padding.before[axis] + grid.padding.after[axis]);
    }
  }
});

test('one number is the same size along every axis', () => {
  expect(planGrid(20, { patch: 8, stride: 6, overlap: undefined })).toEqual(
    planGrid([20, 20, 20], { patch: [8, 8, 8], stride: [6, 6, 6] }),
  );
});

describe('what cannot be a grid', () => {
  const patch: Vec3 = [8, 8, 8];
  const wrong: [string, () => Grid][] = [
    ['a stride that leaves gaps', () => planGrid([20, 20, 20], { patch, stride: [8, 9, 8] })],
    ['a stride of zero', () => planGrid([20, 20, 20], { patch, stride: [8, 0, 8] })],
    ['half a voxel', () => planGrid([20, 20, 20.5], { patch })],
    ['no voxels', () => planGrid([0, 20, 20], { patch })],
    ['NaN', () => planGrid([20, 20, 20], { patch: [8, Number.NaN, 8] })],
    ['Infinity', () => planGrid([Infinity, 20, 20], { patch })],
    ['a negative size', () => planGrid([20, -20, 20], { patch })],
    ['two axes', () => planGrid([20, 20] as unknown as Vec3, { patch })],
    ['text', () => planGrid(['20', 20, 20] as unknown as Vec3, { patch })],
    ['an overlap of the whole patch', () => planGrid([20, 20, 20], { patch, overlap: 8 })],
    ['an overlap below zero', () => planGrid([20, 20, 20], { patch, overlap: -0.1 })],
    ['one voxel and a half of overlap', () => planGrid([20, 20, 20], { patch, overlap: 1.5 })],
    ['stride and overlap', () => planGrid([20, 20, 20], { patch, stride: [4, 4, 4], overlap: 0.5 })],
    ['a layout unknown', () => planGrid([20, 20, 20], { patch, layout: 'random' as 'even' })],
  ];
  test.each(wrong)('%s', (_, plan) => expect(plan).toThrow(InvalidArgument));

  test('the error names the argument, what came and what is allowed', () => {
    expect(() => planGrid([20, 20, 20], { patch, stride: [8, 9, 8] })).toThrow(
      'stride[1]: expected at most the patch size 8, so that neighbours leave no gap, received 9',
    );
  });
});
