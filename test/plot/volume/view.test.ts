import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import {
  openDataset,
  phantom,
  prepareDataset,
  type ViewOptions,
  Volume,
  view,
  writeVolume,
} from '../../../src/index';
import { toBundle } from '../../../src/plot/show';
import { Random } from '../../../src/random';
import type { Vec3 } from '../../../src/vec3';
import { type HeldVolume, VOLUMES_MIME, type VolumesBundle } from '../../../src/volumes-bundle';
import { body, comparisonOf, volumeOf } from '../samples';
import { valuesOf, worldOf } from './read-level';

const HOOK = Symbol.for('patchwise.holdVolumes');
const page = globalThis as Record<symbol, unknown>;
const bundleOf = (value: unknown) => toBundle(value)![VOLUMES_MIME] as VolumesBundle;
const random = new Random(3, 'view');

/** Noise that does not compress: the hardest for a number of bytes. */
function noisy(shape: Vec3, spacing: Vec3 = [1, 1, 1]): Volume {
  const data = Float32Array.from({ length: shape[0] * shape[1] * shape[2] }, () =>
    Math.round(3000 * random.next() - 1000),
  );
  return new Volume({ shape, spacing, data });
}

afterEach(() => {
  delete page[HOOK];
});

describe('the bundle of a volume', () => {
  it.each([7, -5, 0, 1e-6, 31e6, -1000])('shows a volume of %d alone in grey', (value) => {
    for (const shape of [
      [1, 1, 1],
      [6, 5, 4],
    ] as const) {
      const { low, high } = bundleOf(volumeOf(shape, () => value)).windows[0]!;
      expect(Math.fround(low)).toBeLessThan(Math.fround(value));
      expect((Math.fround(value) - low) / (high - low)).toBeCloseTo(0.5, 2);
    }
  });

  it('holds a small volume as it is, with its place', () => {
    const { volumes, kind, units, at, title } = bundleOf(body);
    expect({ kind, units, at }).toEqual({ kind: 'volume', units: 'HU', at: [12, 10, 6] });
    expect(title).toContain('sample.nii.gz · 24 × 20 × 12 voxels · 1 × 1 × 2 mm');
    const [{ name, shape, affine, preview }] = volumes as [VolumesBundle['volumes'][0]];
    expect({ name, shape, affine }).toEqual({
      name: 'sample.nii.gz',
      shape: body.shape,
      affine: body.affine,
    });
    expect(preview.shape).toEqual(body.shape);
    expect(preview.affine).toEqual(body.affine);
    const values = valuesOf(preview);
    values.forEach((value, n) => void expect(Math.abs(value - body.data[n]!)).toBeLessThanOrEqual(0.125));
  });

  it('is exact for whole Hounsfield units', () => {
    const whole = volumeOf([20, 9, 7], (x, y, z) => 37 * x - 250 * y + z - 800);
    expect(valuesOf(bundleOf(whole).volumes[0]!.preview)).toEqual([...whole.data]);
  });

  it.each<[string, Vec3, Vec3]>([
    ['a CT', [256, 256, 133], [1.4, 1.4, 2.5]],
    ['thick slices', [300, 300, 40], [0.6, 0.6, 5]],
    ['one slice', [1800, 1500, 1], [1, 1, 1]],
    ['a needle', [3, 2, 400_000], [1, 1, 1]],
  ])('keeps its bytes, and every voxel of the copy in its place: %s', (_, shape, spacing) => {
    const volume = noisy(shape, spacing);
    const { volumes } = bundleOf(volume);
    const { preview, affine } = volumes[0]!;
    expect(preview.data.length).toBeLessThanOrEqual(1_200_000);
    expect(preview.data.length).toBeGreaterThan(300_000);
    const factors = [0, 1, 2].map((axis) => Math.round(preview.affine[5 * axis]! / affine[5 * axis]!));
    expect(preview.shape).toEqual(shape.map((n, axis) => Math.ceil(n / factors[axis]!)));
    const middles = factors.map((factor) => (factor - 1) / 2);
    expect(worldOf(preview.affine, [0, 0, 0])).toEqual(worldOf(affine, middles));
    // The mean of the first box.
    const [fx, fy, fz] = factors as [number, number, number];
    let sum = 0;
    for (let z = 0; z < fz; z++)
      for (let y = 0; y < fy; y++)
        for (let x = 0; x < fx; x++) sum += volume.data[(z * shape[1] + y) * shape[0] + x]!;
    expect(Math.abs(valuesOf(preview)[0]! - sum / (fx * fy * fz))).toBeLessThanOrEqual(1.01);
  });

  it.each<[string, (n: number) => number]>([
    ['NaN', () => Number.NaN],
    ['a constant', () => 5],
    ['NaN and infinities among values', (n) => [Number.NaN, Number.POSITIVE_INFINITY, 3, -2][n % 4]!],
    ['a model’s values', (n) => Math.sin(n)],
    ['a huge range', (n) => (n === 7 ? 1e30 : n)],
  ])('shows %s', (_, value) => {
    const volume = volumeOf([9, 8, 7], (x, y, z) => value((z * 8 + y) * 9 + x));
    const bundle = bundleOf(volume);
    expect(JSON.parse(JSON.stringify(bundle))).toEqual(bundle);
    for (const { low, high } of bundle.windows) expect(high).toBeGreaterThan(low);
    valuesOf(bundle.volumes[0]!.preview).forEach((shown, n) => {
      expect(Number.isNaN(shown)).toBe(!Number.isFinite(volume.data[n]!));
    });
  });

  it('has slices beside it for front ends without the viewer, in fewer bytes than a figure of slices', () => {
    const bundle = toBundle(noisy([256, 256, 133]))!;
    expect(bundle['image/svg+xml']).toMatch(/^<svg /);
    const plotly = JSON.stringify(bundle['application/vnd.plotly.v1+json']);
    expect(plotly.length).toBeLessThan(500_000);
    expect(JSON.stringify(bundle).length).toBeLessThan(2_600_000);
  });
});

describe('view', () => {
  const windowsOf = (volume: Volume, options: ViewOptions = {}) =>
    bundleOf(view(volume, options)).windows.map(({ label }) => label);

  it('starts where and how it is asked', () => {
    const ct = phantom({ shape: [24, 20, 16], seed: 1 });
    const { at, title } = bundleOf(view(ct, { at: [1, 2, 3], title: 'lungs' }));
    expect({ at, title }).toEqual({ at: [1, 2, 3], title: 'lungs' });
    expect(windowsOf(ct)).toEqual(['ctpa', 'mediastinum', 'lung', 'bone', 'full range']);
    expect(windowsOf(ct, { window: 'bone' })).toEqual(['bone', 'ctpa', 'mediastinum', 'lung', 'full range']);
    expect(bundleOf(view(ct, { window: [-900, -300] })).windows[0]).toEqual({
      label: '-900 to -300',
      low: -900,
      high: -300,
    });
  });

  it('says what is wrong with where and how', () => {
    const ct = phantom({ shape: [24, 20, 16], seed: 1 });
    expect(() => view(ct, { at: [1, 20, 3] })).toThrow(/at.*24 x 20 x 16/);
    expect(() => view(ct, { at: [1, 2.5, 3] })).toThrow(/at/);
    expect(() => view(ct, { window: 'liver' as 'lung' })).toThrow(/window.*liver.*bone/s);
    expect(() => view(ct, { window: [3, 3] })).toThrow(/window/);
  });

  it('reads a volume of a dataset layer by layer, and shows what is in it', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'patchwise-view-'));
    try {
      const volume = phantom({ shape: [40, 36, 30], seed: 2 });
      await writeVolume(join(folder, 'p1.nii.gz'), volume);
      await prepareDataset(join(folder, 'p1.nii.gz'), join(folder, 'prepared'));
      const [stored] = (await openDataset(join(folder, 'prepared'))).volumes;
      let held: readonly HeldVolume[] = [];
      page[HOOK] = (volumes: readonly HeldVolume[]) => {
        held = volumes;
        return 'view-1';
      };
      const bundle = bundleOf(await view(stored!, { window: 'lung' }));
      expect(bundle.id).toBe('view-1');
      expect(bundle.windows[0]!.label).toBe('lung');
      const whole = await stored!.read();
      expect(valuesOf(bundle.volumes[0]!.preview)).toEqual([...whole.data]);
      expect(held).toHaveLength(1);
      expect('data' in held[0]!.voxels).toBe(false); // nothing of it stays in memory
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

describe('the bundle of a comparison', () => {
  it('has the reference first, one shape and place for all, and its measures below', () => {
    const comparison = comparisonOf(body, ['linear', 'gaussian']);
    const bundle = bundleOf(comparison);
    expect(bundle.kind).toBe('comparison');
    expect(bundle.volumes.map(({ name }) => name)).toEqual(['original', 'linear', 'gaussian']);
    expect(bundle.windows[0]).toEqual({ label: 'ctpa', low: -200, high: 500 });
    expect(bundle.windows.map(({ label }) => label)).toEqual([
      'ctpa',
      'mediastinum',
      'lung',
      'bone',
      'full range',
    ]);
    expect(bundle.clip).toEqual([-200, 500]);
    expect(bundle.differenceLimit).toBeGreaterThanOrEqual(6); // candidates add 0 to 6, and 0 to 7
    const [reference, linear] = bundle.volumes.map(({ preview }) => valuesOf(preview));
    const differences = linear!.map((value, n) => value - reference![n]!);
    differences.forEach((value, n) => void expect(Math.abs(value - (n % 7))).toBeLessThanOrEqual(0.25));
    const { data } = bundle.below as { data: readonly { type: string; name?: string }[] };
    expect(data.filter(({ type }) => type === 'table')).toHaveLength(1);
    expect(new Set(data.map(({ name }) => name))).toEqual(
      new Set(['original', 'linear', 'gaussian', undefined]),
    );
  });

  it('keeps the bytes of all previews together', () => {
    const reference = noisy([200, 200, 100]);
    const { volumes } = bundleOf(comparisonOf(reference, ['linear', 'gaussian']));
    const bytes = volumes.reduce((sum, { preview }) => sum + preview.data.length, 0);
    expect(bytes).toBeLessThanOrEqual(3_600_000);
    expect(new Set(volumes.map(({ preview }) => String(preview.shape))).size).toBe(1);
  });

  it('gives the kernel the volumes themselves, no copies', () => {
    const comparison = comparisonOf(body, ['linear']);
    let held: readonly HeldVolume[] = [];
    page[HOOK] = (volumes: readonly HeldVolume[]) => {
      held = volumes;
      return 'x';
    };
    bundleOf(comparison);
    expect(held.map(({ voxels }) => voxels)).toEqual([
      comparison.reference,
      comparison.candidates[0]!.volume,
    ]);
    expect(held[0]!.voxels).toBe(comparison.reference);
    expect(held[1]!.voxels).toBe(comparison.candidates[0]!.volume);
  });
});
