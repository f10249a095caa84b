import { describe, expect, it } from 'vitest';
import { coarseAffine, coarsen, coarseShape, factorsFor } from '../../../src/plot/volume/coarsen';
import { Random } from '../../../src/random';
import type { Vec3 } from '../../../src/vec3';
import { worldOf } from './read-level';

const random = new Random(5, 'coarsen');
const noise = (shape: Vec3) =>
  Float32Array.from({ length: shape[0] * shape[1] * shape[2] }, () => random.next());

/** The voxels of a box, by the definition of its index. */
function boxOf([nx, ny, nz]: Vec3, [fx, fy, fz]: Vec3, [x, y, z]: Vec3): Vec3[] {
  const box: Vec3[] = [];
  for (let k = z * fz; k < Math.min((z + 1) * fz, nz); k++)
    for (let j = y * fy; j < Math.min((y + 1) * fy, ny); j++)
      for (let i = x * fx; i < Math.min((x + 1) * fx, nx); i++) box.push([i, j, k]);
  return box;
}

const cases: [shape: Vec3, factors: Vec3][] = [
  [
    [12, 8, 6],
    [2, 2, 2],
  ],
  [
    [13, 9, 7],
    [3, 2, 4],
  ],
  [
    [5, 1, 9],
    [2, 1, 3],
  ],
  [
    [1, 1, 1],
    [1, 1, 1],
  ],
  [
    [7, 6, 5],
    [7, 6, 5],
  ],
];

describe('coarsen', () => {
  it.each(cases)('of %j by boxes of %j gives the mean of each box', (shape, factors) => {
    const voxels = noise(shape);
    const copy = coarsen(voxels, shape, factors);
    const [cx, cy, cz] = coarseShape(shape, factors);
    expect(copy).toHaveLength(cx * cy * cz);
    for (let z = 0; z < cz; z++)
      for (let y = 0; y < cy; y++)
        for (let x = 0; x < cx; x++) {
          const box = boxOf(shape, factors, [x, y, z]);
          const sum = box.reduce((s, [i, j, k]) => s + voxels[(k * shape[1] + j) * shape[0] + i]!, 0);
          expect(copy[(z * cy + y) * cx + x]).toBeCloseTo(sum / box.length, 6);
        }
  });

  it('counts finite voxels only, and has no value where most of a box has none', () => {
    const { NaN: nan, POSITIVE_INFINITY: infinite } = Number;
    const row = Float32Array.of(
      ...[1, nan, 3, 5],
      ...[nan, nan, nan, 8],
      ...[infinite, -infinite, nan, nan],
      ...[2, nan, nan, 4],
    );
    const [first, second, third, fourth] = coarsen(row, [16, 1, 1], [4, 1, 1]);
    expect([first, second, third, fourth]).toEqual([3, nan, nan, 3]);
  });

  it('takes no value from beyond the border of what is unknown', () => {
    const voxels = Float32Array.from({ length: 64 }, (_, n) => (n < 32 ? 7 : Number.NaN));
    expect([...coarsen(voxels, [64, 1, 1], [4, 1, 1])]).toEqual([
      ...Array(8).fill(7),
      ...Array(8).fill(Number.NaN),
    ]);
  });
});

describe('the affine of a copy', () => {
  const turned = (): number[] => {
    const [c, s] = [Math.cos(0.4), Math.sin(0.4)];
    return [-0.7 * c, 0.7 * s, 0, 90, 0.7 * s, 0.7 * c, 0.3, -120, 0.1, 0, 5, 33, 0, 0, 0, 1];
  };
  it.each([
    ['RAS', [2, 0, 0, -5, 0, 3, 0, 6, 0, 0, 4, 7, 0, 0, 0, 1]],
    ['LPS, left-handed', [-1, 0, 0, 5, 0, -1, 0, 6, 0, 0, -2.5, 7, 0, 0, 0, 1]],
    ['oblique, sheared and left-handed', turned()],
  ])('keeps every box in its place: %s', (_, affine) => {
    const [factors, start]: [Vec3, Vec3] = [
      [3, 2, 4],
      [5, 0, 7],
    ];
    const coarse = coarseAffine(affine, factors, start);
    for (const voxel of [
      [0, 0, 0],
      [4, 7, 2],
    ] as const) {
      const first = voxel.map((n, axis) => start[axis]! + n * factors[axis]!);
      const last = first.map((n, axis) => n + factors[axis]! - 1);
      const [a, b] = [worldOf(affine, first), worldOf(affine, last)];
      const middle = a.map((mm, axis) => (mm + b[axis]!) / 2);
      worldOf(coarse, voxel).forEach((mm, axis) => void expect(mm).toBeCloseTo(middle[axis]!, 9));
    }
  });
});

describe('factorsFor', () => {
  it.each<[string, Vec3, Vec3, number, Vec3]>([
    ['nothing to do', [10, 10, 10], [1, 1, 1], 1000, [1, 1, 1]],
    ['cubes', [512, 512, 512], [1, 1, 1], 64 ** 3, [8, 8, 8]],
    ['thick slices are kept', [512, 512, 60], [0.7, 0.7, 5], 2_000_000, [3, 3, 1]],
    ['thin slices go first', [100, 100, 1000], [1, 1, 0.25], 2_600_000, [1, 1, 4]],
    ['one slice', [512, 512, 1], [0.5, 0.5, 0.5], 65_536, [2, 2, 1]],
    ['down to one voxel', [3, 4, 5], [1, 2, 3], 1, [3, 4, 5]],
  ])('%s', (_, shape, spacing, most, factors) => {
    expect(factorsFor(shape, spacing, most)).toEqual(factors);
  });

  it('keeps axes within the longest that a browser takes', () => {
    expect(factorsFor([4096, 100, 100], [1, 1, 1], 1e9, 2048)).toEqual([2, 2, 2]);
  });
});
