import { describe, expect, it } from 'vitest';
import { compareVolumes } from '../../src/evaluate/compare';
import { mae, psnr } from '../../src/fidelity/error-sums';
import { ssim } from '../../src/fidelity/ssim';
import { planGrid } from '../../src/patch/grid';
import type { Vec3 } from '../../src/vec3';
import { Volume } from '../../src/volume/volume';
import { noise } from '../patch/volumes';

const shape: Vec3 = [24, 20, 18];
/** In [-1, 1] and a little over it, smooth enough to have structure. */
const truth = noise(shape, 1).map((value, i) => 0.9 * Math.sin(i / 7) + 0.05 * value);
const made = truth.map((value, i) => value + 0.1 * Math.cos(i / 3));
const grid = planGrid(shape, { patch: [12, 20, 18], stride: [12, 20, 18] });

/** The two volumes in units in which the model's range goes from `low` to `high`. */
function pair(low: number, high: number): [Volume, Volume] {
  const of = (data: Float32Array) =>
    new Volume({ shape, data: data.map((value) => low + ((value + 1) / 2) * (high - low)) });
  return [of(truth), of(made)];
}

describe('a comparison', () => {
  it('has one PSNR, SSIM and seam energy for one reconstruction, whatever its units', () => {
    const rows = [
      [-1, 1],
      [-200, 500],
      [0, 255],
      [-1000, -300],
      [3000, 4000],
    ].map(([low, high]) => {
      const [reference, candidate] = pair(low!, high!);
      const intensity = [low!, high!] as const;
      return compareVolumes(reference, { candidate }, { intensity, grid }).metrics[0]!;
    });
    for (const row of rows) {
      expect(row.psnr).toBeCloseTo(rows[0]!.psnr, 3);
      expect(row.ssim).toBeCloseTo(rows[0]!.ssim, 5);
      expect(row.seamEnergy).toBeCloseTo(rows[0]!.seamEnergy!, 3);
    }
    // Values from 0 on are what SSIM was made for.
    const [a, b] = pair(0, 255).map(({ data }) => data.map((value) => Math.min(255, Math.max(0, value))));
    expect(rows[0]!.ssim).toBeCloseTo(ssim(a!, b!, { shape, dataRange: 255 }), 5);
  });

  it('leaves voxels that are NaN in the original out of every metric if asked, and says how many', () => {
    const [reference, candidate] = pair(-1, 1);
    const whole = compareVolumes(reference, { candidate }, { intensity: [-1, 1], grid });
    expect(whole.notes).toEqual([]);
    const places = [0, 17, 4321];
    for (const place of places) reference.data[place] = Number.NaN;
    // What the model made of a voxel without a value must not matter.
    candidate.data[17] = 1e6;
    const { metrics, notes, seamProfiles } = compareVolumes(
      reference,
      { candidate },
      { intensity: [-1, 1], grid, ignoreNaN: true },
    );
    const [row] = metrics;
    const clipped = (data: Float32Array) =>
      data.filter((_, i) => !places.includes(i)).map((value) => Math.min(1, Math.max(-1, value)));
    const [a, b] = [clipped(reference.data), clipped(candidate.data)];
    expect(row!.psnr).toBeCloseTo(psnr(a, b, { dataRange: 2 }), 10);
    expect(row!.mae).toBeCloseTo(mae(a, b), 10);
    expect(row!.ssim).toBeCloseTo(whole.metrics[0]!.ssim, 1);
    expect(row!.seamEnergy).toBeGreaterThan(0);
    expect(seamProfiles[0]).toMatchObject({ name: 'original', axis: 'x' });
    expect(seamProfiles[0]!.jump.some(Number.isFinite)).toBe(true);
    expect(notes).toEqual([`3 of ${24 * 20 * 18} voxels are NaN and count in no metric`]);
  });

  it('says why a metric is not there', () => {
    const notesOf = (reference: Volume, candidate: Volume) =>
      compareVolumes(reference, { made: candidate }, { intensity: [-1, 1] }).notes.join('; ');
    const [reference, candidate] = pair(-1, 1);
    expect(notesOf(reference, reference)).toContain('made: no PSNR: it equals the original');
    candidate.data[5] = Number.NaN;
    expect(notesOf(reference, candidate)).toContain(
      'made: no PSNR, SSIM, MAE, RMSE: it has NaN where the original has values',
    );
    const thin = new Volume({ shape: [24, 20, 2], data: truth.slice(0, 960) });
    expect(notesOf(thin, thin)).toContain('no SSIM (24 x 20 x 2 voxels): it needs 11 voxels on every axis');
    const empty = reference.with(reference.data.map(() => Number.NaN));
    const [row] = compareVolumes(empty, { candidate }, { intensity: [-1, 1], grid }).metrics;
    expect(row).not.toHaveProperty('seamEnergy');
    expect([row!.psnr, row!.ssim, row!.mae]).toEqual([Number.NaN, Number.NaN, Number.NaN]);
  });
});
