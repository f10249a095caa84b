import { describe, expect, it } from 'vitest';
import { InvalidArgument } from '../../src/errors';
import { phantom } from '../../src/volume/phantom/phantom';
import { centreMask, cropVolume, resampleVolume, slabOf } from '../../src/volume/view';
import { Volume } from '../../src/volume/volume';

const ct = phantom({ shape: [24, 20, 30], seed: 3 });
/** World place of a voxel. */
const place = ({ affine }: Volume, voxel: readonly number[]) =>
  [0, 1, 2].map(
    (row) => affine[4 * row + 3]! + voxel.reduce((sum, v, i) => sum + affine[4 * row + i]! * v, 0),
  );

describe('views of a volume', () => {
  it('the centre keeps its voxels and their place in the patient', () => {
    const centre = cropVolume(ct, [8, 8, 6]);
    expect(centre.shape).toEqual([8, 8, 6]);
    expect(centre.source).toBe(`the centre of ${ct.source}`);
    expect(centre.view().get(0, 0, 0)).toBe(ct.view().get(8, 6, 12));
    expect(centre.view().get(7, 7, 5)).toBe(ct.view().get(15, 13, 17));
    place(centre, [1, 2, 3]).forEach((mm, i) => {
      expect(mm).toBeCloseTo(place(ct, [9, 8, 15])[i]!, 6);
    });
  });

  it('the mask of the centre is where the crop was taken from', () => {
    for (const shape of [
      [8, 8, 6],
      [7, 20, 5],
      [30, 6, 6],
    ] as const) {
      const mask = centreMask(ct.shape, shape);
      // A border is repeated where the view is larger than the volume: those voxels are no part of it.
      const crop = cropVolume(ct, shape.map((n, i) => Math.min(n, ct.shape[i]!)) as never);
      expect(ct.data.filter((_, i) => mask[i] === 1)).toEqual(crop.data);
    }
  });

  it('the whole in fewer voxels covers the same extent', () => {
    const small = resampleVolume(ct, [12, 10, 10]);
    expect(small.source).toBe(`${ct.source}, resampled`);
    expect(small.spacing.map((mm, i) => mm * small.shape[i]!)).toEqual(
      ct.spacing.map((mm, i) => expect.closeTo(mm * ct.shape[i]!, 6)),
    );
    const { data } = small;
    const mean = (values: Float32Array) => values.reduce((sum, value) => sum + value, 0) / values.length;
    expect(Math.abs(mean(data) - mean(ct.data))).toBeLessThan(30);
  });

  it('there and back is the volume where it is linear, and loses detail where it is not', () => {
    const ramp = new Volume({ shape: [16, 4, 4], data: new Float32Array(256).map((_, i) => 10 * (i % 16)) });
    const back = resampleVolume(resampleVolume(ramp, [8, 4, 4]), [16, 4, 4]);
    // The filter against aliasing reaches over the border, where the edge is repeated.
    for (let x = 4; x < 12; x++) expect(back.data[x]).toBeCloseTo(ramp.data[x]!, 4);
    const ctBack = resampleVolume(resampleVolume(ct, [12, 10, 10]), ct.shape);
    expect(Math.max(...ctBack.data.map((value, i) => Math.abs(value - ct.data[i]!)))).toBeGreaterThan(100);
  });

  it('a slab keeps its place', () => {
    const slab = slabOf(ct, 10, 14);
    expect(slab.shape).toEqual([24, 20, 4]);
    expect(slab.data[0]).toBe(ct.data[10 * 24 * 20]);
    place(slab, [1, 2, 3]).forEach((mm, i) => {
      expect(mm).toBeCloseTo(place(ct, [1, 2, 13])[i]!, 6);
    });
    expect(() => slabOf(ct, 5, 5)).toThrow(InvalidArgument);
    expect(() => slabOf(ct, 0, 31)).toThrow(InvalidArgument);
  });
});
