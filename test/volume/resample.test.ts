import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Vec3 } from '../../src/vec3';
import { cropToShape, resampleToShape, resampleToSpacing, type VoxelImage } from '../../src/volume/resample';

/** An oblique affine of voxels 0.7 x 0.9 x 2.5 mm. */
const [cos, sin] = [Math.cos(0.3), Math.sin(0.3)];
const affine = [0.7 * cos, -0.9 * sin, 0, -31, 0.7 * sin, 0.9 * cos, 0, 12, 0, 0, 2.5, 5, 0, 0, 0, 1];
const spacing: Vec3 = [0.7, 0.9, 2.5];

function world(affine: readonly number[], x: number, y: number, z: number): number[] {
  return [0, 4, 8].map(
    (row) => affine[row]! * x + affine[row + 1]! * y + affine[row + 2]! * z + affine[row + 3]!,
  );
}

/** A field that is linear in the patient, so that trilinear interpolation is exact wherever it does not clamp. */
const field = ([x, y, z]: number[]) => 3 * x! - 2 * y! + 0.5 * z! + 7;

function image(shape: Vec3): VoxelImage {
  const data = new Float32Array(shape[0] * shape[1] * shape[2]);
  let at = 0;
  for (let z = 0; z < shape[2]; z++)
    for (let y = 0; y < shape[1]; y++)
      for (let x = 0; x < shape[0]; x++) data[at++] = field(world(affine, x, y, z));
  return { shape, data, spacing, affine };
}

/** The largest error of an image of the field, over voxels that keep `margin` from its border. */
function error({ shape, data, affine }: VoxelImage, margin: number): number {
  let worst = 0;
  for (let z = margin; z < shape[2] - margin; z++)
    for (let y = margin; y < shape[1] - margin; y++)
      for (let x = margin; x < shape[0] - margin; x++) {
        const value = data[(z * shape[1] + y) * shape[0] + x]!;
        worst = Math.max(worst, Math.abs(value - field(world(affine, x, y, z))));
      }
  return worst;
}

describe('resampling', () => {
  it.each([[[1, 1, 1]], [[0.5, 0.45, 1.1]], [[2, 3, 5]]] as const)(
    'keeps every point of the patient where it is, at %j mm',
    (wanted) => {
      const result = resampleToSpacing(image([40, 31, 17]), wanted);
      expect(result.spacing.map((s) => s.toFixed(9))).toEqual(wanted.map((s) => s.toFixed(9)));
      expect(result.shape).toEqual([40, 31, 17].map((n, a) => Math.round((n * spacing[a]!) / wanted[a]!)));
      expect(error(result, 3)).toBeLessThan(1e-4);
    },
  );

  it('at the same spacing changes nothing', () => {
    const given = image([9, 8, 7]);
    const result = resampleToSpacing(given, spacing);
    expect(result.data).toEqual(given.data);
    expect(result.affine.map((a) => a.toFixed(9))).toEqual(given.affine.map((a) => a.toFixed(9)));
  });

  it('to a shape covers the same extent', () => {
    const result = resampleToShape(image([40, 32, 20]), [20, 16, 5]);
    expect(error(result, 2)).toBeLessThan(1e-4);
    // The corner of the box of voxels, half a voxel before the first one's centre, stays.
    const corner = world(affine, -0.5, -0.5, -0.5);
    for (const [i, x] of world(result.affine, -0.5, -0.5, -0.5).entries())
      expect(x).toBeCloseTo(corner[i]!, 9);
  });

  it('by two averages the pairs, as PyTorch does', () => {
    const data = Int16Array.of(0, 10, 20, 31);
    const given = { shape: [4, 1, 1] as const, data, spacing: [1, 1, 1] as const, affine };
    expect(resampleToShape(given, [2, 1, 1], { antialias: false }).data).toEqual(Int16Array.of(5, 26));
  });

  it("is scikit-image's resize with its filter against aliasing", () => {
    const { shape, wanted, input, output } = JSON.parse(
      readFileSync(join(__dirname, '../fixtures/resize/resize.json'), 'utf8'),
    ) as { shape: Vec3; wanted: Vec3; input: number[]; output: number[] };
    const given = { shape, data: Float32Array.from(input), spacing: [1, 1, 1] as const, affine };
    const { data } = resampleToShape(given, wanted);
    expect(data).toHaveLength(output.length);
    for (const [i, value] of output.entries()) expect(data[i]).toBeCloseTo(value, 4);
  });

  it('keeps stripes finer than the result from becoming coarse ones', () => {
    const data = Int16Array.from({ length: 90 }, (_, i) => (i % 2 ? 1000 : -1000));
    const given = { shape: [90, 1, 1] as const, data, spacing: [1, 1, 1] as const, affine };
    const swing = (values: Iterable<number>) => Math.max(...[...values].slice(2, -2).map(Math.abs));
    expect(swing(resampleToShape(given, [31, 1, 1], { antialias: false }).data)).toBeGreaterThan(500);
    expect(swing(resampleToShape(given, [31, 1, 1]).data)).toBeLessThan(30);
  });

  it('lets no NaN spread where it has no weight', () => {
    const data = Float32Array.of(1, Number.NaN, 3);
    const given = { shape: [3, 1, 1] as const, data, spacing: [1, 1, 1] as const, affine };
    expect(resampleToSpacing(given, [1, 1, 1]).data).toEqual(data);
  });
});

describe('cropping', () => {
  it('takes the centre and keeps its place', () => {
    const result = cropToShape(image([12, 9, 8]), [6, 4, 4]);
    expect(error(result, 0)).toBeLessThan(1e-4);
    expect(result.data[0]).toBeCloseTo(field(world(affine, 3, 2, 2)), 4);
  });

  it('repeats the border of a smaller image', () => {
    const data = Int16Array.of(1, 2);
    const given = { shape: [2, 1, 1] as const, data, spacing: [1, 1, 1] as const, affine };
    expect(cropToShape(given, [6, 1, 2]).data).toEqual(Int16Array.of(1, 1, 1, 2, 2, 2, 1, 1, 1, 2, 2, 2));
  });
});
