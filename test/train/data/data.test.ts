import { describe, expect, it } from 'vitest';
import { InvalidConfig } from '../../../src/errors';
import { PatchSet } from '../../../src/train/data/patch-set';
import { planSplit, type Region } from '../../../src/train/data/split';
import type { Vec3 } from '../../../src/vec3';
import type { Intensity } from '../../../src/volume/intensity';
import { splitPatients } from '../../../src/volume/prepare/patients';
import { Volume } from '../../../src/volume/volume';

const config = { validation: 0.2, patch: [8, 8, 8] as Vec3, stride: [6, 6, 6] as Vec3, seed: 3 };
const intensity: Intensity = { name: 'test', low: 0, high: 100_000, units: 'file' };

/** A volume whose every voxel says which it is. */
function numbered(shape: Vec3): Volume {
  return new Volume({
    shape,
    data: Float32Array.from({ length: shape[0] * shape[1] * shape[2] }, (_, i) => i),
  });
}

/** How often each voxel is in a patch's own part. */
async function ownedCounts(regions: readonly Region[], volume: Volume): Promise<Map<number, number>> {
  const set = new PatchSet(regions, [volume], [intensity]);
  const [px, py] = config.patch;
  const seen = new Map<number, number>();
  for (let i = 0; i < set.count; i++) {
    const [patch, { from, to }] = [await set.read(i), set.own(i)];
    for (let z = from[2]; z < to[2]; z++)
      for (let y = from[1]; y < to[1]; y++)
        for (let x = from[0]; x < to[0]; x++) {
          const voxel = Math.round(((patch[(z * py + y) * px + x]! + 1) / 2) * 100_000);
          seen.set(voxel, (seen.get(voxel) ?? 0) + 1);
        }
  }
  return seen;
}

describe('split', () => {
  it.each<[Vec3, number]>([
    [[16, 16, 40], 0.2],
    [[16, 16, 40], 0.5],
    [[16, 16, 13], 0.2],
    [[5, 9, 7], 0.2],
  ])('of a single volume %j: no training patch reaches into the slab', async (shape, validation) => {
    const { train, validation: held } = planSplit([shape], { ...config, validation });
    expect(train).toHaveLength(1);
    expect(train[0]!.to).toBe(held[0]!.from);
    expect([train[0]!.from, held[0]!.to]).toEqual([0, shape[2]]);
    expect(held[0]!.to - held[0]!.from).toBeGreaterThanOrEqual(
      Math.min(Math.ceil(validation * shape[2]), shape[2] - 1),
    );

    const volume = numbered(shape);
    const border = train[0]!.to * shape[0] * shape[1];
    const set = new PatchSet(train, [volume], [intensity]);
    for (let i = 0; i < set.count; i++)
      expect(Math.round(((Math.max(...(await set.read(i))) + 1) / 2) * 100_000)).toBeLessThan(border);
  });

  it('of several volumes: whole ones, drawn by the seed', () => {
    const shapes: Vec3[] = Array.from({ length: 10 }, () => [16, 16, 16]);
    const { train, validation } = planSplit(shapes, config);
    expect(validation).toHaveLength(2);
    expect(train).toHaveLength(8);
    expect([...train, ...validation].map(({ volume }) => volume).sort((a, b) => a - b)).toEqual([
      ...shapes.keys(),
    ]);
    expect(planSplit(shapes, config)).toEqual({ train, validation });
    const held = new Set(
      [1, 2, 3, 4].map((seed) => planSplit(shapes, { ...config, seed }).validation[0]!.volume),
    );
    expect(held.size).toBeGreaterThan(1);
    expect(planSplit(shapes.slice(0, 2), config).validation).toHaveLength(1);
  });

  it('of several patients: all volumes of some, the same in whatever order they come', () => {
    const patients = ['A', 'B', 'C', 'A', 'D', 'B', 'A'];
    const shapes = patients.map((): Vec3 => [16, 16, 16]);
    const heldOf = (own: readonly string[], seed = 3) => {
      const { train, validation } = planSplit(shapes, { ...config, seed, patients: own });
      const sides = [train, validation].map((side) => new Set(side.map(({ volume }) => own[volume]!)));
      expect(train.length + validation.length).toBe(shapes.length);
      expect([...sides[0]!].filter((patient) => sides[1]!.has(patient))).toEqual([]);
      return [...sides[1]!].sort();
    };
    const prepared = splitPatients(patients, { fractions: [0.8, 0.2, 0], seed: 3 });
    const expected = [...prepared].flatMap(([patient, side]) => (side === 'validation' ? [patient] : []));
    expect(heldOf(patients)).toEqual(expected);
    expect(heldOf([...patients].reverse())).toEqual(expected);
    expect(new Set([1, 2, 3, 4, 5, 6].map((seed) => heldOf(patients, seed).join())).size).toBeGreaterThan(1);
  });

  it('of one patient, and of runs that know no patients: volumes, as they always were', () => {
    const shapes: Vec3[] = Array.from({ length: 5 }, () => [16, 16, 16]);
    const before = planSplit(shapes, config);
    expect(before.validation).toHaveLength(1);
    expect(planSplit(shapes, { ...config, patients: shapes.map(() => 'A') })).toEqual(before);
  });

  it('holds nothing out when told so, and says where it cannot', () => {
    expect(planSplit([[8, 8, 1]], { ...config, validation: 0 }).validation).toEqual([]);
    expect(() => planSplit([[8, 8, 1]], config)).toThrow(InvalidConfig);
  });
});

describe('patch set', () => {
  it.each<Vec3>([
    [16, 16, 40],
    [11, 19, 29],
    [5, 9, 7],
  ])(
    'validation patches own every held-out voxel of [%i, %i, %i] exactly once, and no padding',
    async (...shape) => {
      const { validation } = planSplit([shape], config);
      const counts = await ownedCounts(validation, numbered(shape));
      const slice = shape[0] * shape[1];
      const expected = Array.from(
        { length: (shape[2] - validation[0]!.from) * slice },
        (_, i) => i + validation[0]!.from * slice,
      );
      expect([...counts.keys()].sort((a, b) => a - b)).toEqual(expected);
      expect(new Set(counts.values())).toEqual(new Set([1]));
    },
  );

  it('counts patches through all volumes, each with its own intensity map', async () => {
    const volumes = [numbered([8, 8, 8]), numbered([8, 8, 14])];
    const { train } = planSplit(
      volumes.map(({ shape }) => shape),
      { ...config, validation: 0 },
    );
    const maps = [intensity, { ...intensity, high: 1000 }];
    const set = new PatchSet(train, volumes, maps);
    expect(set.count).toBe(3);
    const firstVoxel = async (index: number) => (await set.read(index))[0]!;
    expect(await firstVoxel(0)).toBeCloseTo(-1, 5);
    expect(await firstVoxel(2)).toBeCloseTo((2 * 6 * 64) / 1000 - 1, 5); // z starts at 6
  });
});
