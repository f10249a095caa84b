import { describe, expect, it } from 'vitest';
import { phantom, phantomArteries } from '../../../src/volume/phantom/phantom';
import type { Volume } from '../../../src/volume/volume';

const chest = phantom({ shape: [128, 128, 128], seed: 1 });

/** Mean and deviation of a box of voxels, `reach` of them to each side of a place in mm from the middle. */
function around(volume: Volume, mm: readonly number[], reach = 1): { mean: number; deviation: number } {
  const centre = mm.map((value, axis) =>
    Math.round(value / volume.spacing[axis]! + volume.shape[axis]! / 2 - 0.5),
  );
  const view = volume.view();
  const side = 2 * reach + 1;
  const values = Array.from({ length: side ** 3 }, (_, n) => {
    const offsets = [n % side, Math.floor(n / side) % side, Math.floor(n / side ** 2)];
    const [x, y, z] = offsets.map((at, axis) => centre[axis]! + at - reach);
    return view.get(x!, y!, z!);
  });
  const mean = values.reduce((a, b) => a + b) / values.length;
  return { mean, deviation: Math.sqrt(values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length) };
}

describe('the phantom', () => {
  it.each([
    ['air', [-170, -170, 0], -1000, 12],
    ['fat', [-161, 0, 0], -100, 15],
    ['muscle', [-34, 95, 0], 55, 15],
    ['the liver', [-64, -4, -110], 105, 12],
    ['the pulmonary trunk', [16, -10, 20], 350, 20],
    ['the aorta', [30, 44, -10], 210, 15],
    ['the windpipe', [0, 20, 100], -970, 20],
  ] as const)('shows %s in its Hounsfield units', (_what, place, value, within) => {
    const { mean } = around(chest, place);
    expect(Math.abs(mean - value)).toBeLessThan(within);
  });

  it('has noise of about 20 HU in even tissue', () => {
    const { deviation } = around(chest, [-64, -4, -110]);
    expect(deviation).toBeGreaterThan(16);
    expect(deviation).toBeLessThan(24);
  });

  it('has two dark lungs with bright vessels in them', () => {
    const [left, right] = [70, -68].map((x) => lungValues(chest, x));
    for (const values of [left!, right!]) {
      const sorted = [...values].sort((a, b) => a - b);
      expect(Math.abs(sorted[sorted.length >> 1]! + 855)).toBeLessThan(30);
      const bright = values.filter((value) => value > 100).length / values.length;
      expect(bright).toBeGreaterThan(0.005);
      expect(bright).toBeLessThan(0.25);
    }
  });

  it('is the same for the same seed, another patient for another', () => {
    const again = phantom({ shape: [40, 40, 40], seed: 5 });
    expect(phantom({ shape: [40, 40, 40], seed: 5 }).data).toEqual(again.data);
    expect(phantom({ shape: [40, 40, 40], seed: 6 }).data).not.toEqual(again.data);
  });

  it('has clots in the middle of bright arteries', () => {
    const fine = phantom({ shape: [320, 320, 266], seed: 1 });
    const { arteries, clots } = phantomArteries(1);
    const wide = clots.filter(({ radii }) => radii[1] > 2);
    expect(wide.length).toBeGreaterThan(4);
    for (const { from, to } of wide) {
      const middle = from.map((value, axis) => (value + to[axis]!) / 2);
      expect(Math.abs(around(fine, middle, 0).mean - 50), `${middle}`).toBeLessThan(70);
    }
    const clotted = new Set(clots.map(({ from }) => from));
    const clear = arteries.filter(({ radius, pieces }) => radius > 3.5 && !clotted.has(pieces[0]!.from));
    for (const { pieces } of clear) expect(around(fine, pieces[1]!.to, 0).mean).toBeGreaterThan(90);
  });

  it.each([
    [1, 1, 1],
    [5, 9, 2],
    [64, 64, 76],
  ])('takes any shape: %i x %i x %i', (...shape) => {
    const volume = phantom({ shape });
    expect(volume.data.every((value) => Number.isInteger(value) && value >= -1024 && value < 2000)).toBe(
      true,
    );
    expect(volume.spacing.map((step, axis) => Math.round(step * shape[axis]!))).toEqual([360, 360, 300]);
  });

  it('lies about the world’s origin, x to the left, y to the back', () => {
    const { affine, shape } = chest;
    for (const row of [0, 1, 2]) {
      const middle = affine[row * 5]! * ((shape[row]! - 1) / 2) + affine[row * 4 + 3]!;
      expect(middle).toBeCloseTo(0, 9);
    }
    expect([affine[0]! < 0, affine[5]! < 0, affine[10]! > 0]).toEqual([true, true, true]);
  });

  it('refuses a wrong shape', () => {
    expect(() => phantom({ shape: [64, 64] })).toThrow('a whole number above 0, or three');
    expect(() => phantom({ shape: [64, 64, 0] })).toThrow('a whole number above 0, or three');
  });
});

/** Values in the middle of a lung, in an ellipsoid well inside it. */
function lungValues(volume: Volume, x: number): number[] {
  const [nx, ny] = volume.shape;
  const [dx, dy, dz] = volume.spacing;
  const values: number[] = [];
  for (const [n, value] of volume.data.entries()) {
    const px = ((n % nx) + 0.5) * dx - 180;
    const py = ((Math.floor(n / nx) % ny) + 0.5) * dy - 180;
    const pz = (Math.floor(n / (nx * ny)) + 0.5) * dz - 150;
    if (((px - x * 1.1) / 38) ** 2 + (py / 60) ** 2 + ((pz - 30) / 60) ** 2 < 1) values.push(value);
  }
  return values;
}
