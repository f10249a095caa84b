import { describe, expect, it } from 'vitest';
import { InvalidArgument } from '../../src/errors';
import { psnr } from '../../src/fidelity/error-sums';
import { borderDistances, patchErrors, qualityByDistance, ssimMap } from '../../src/fidelity/places';
import { ssim } from '../../src/fidelity/ssim';
import { planGrid } from '../../src/patch/grid';
import { noise } from '../patch/volumes';

const grid = planGrid([24, 20, 20], { patch: [12, 20, 20], stride: [8, 20, 20] });
const reference = noise(grid.volume, 1);

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
