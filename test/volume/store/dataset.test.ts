import { mkdirSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { InvalidArgument, UnreadableFile } from '../../../src/errors';
import { extractPatch } from '../../../src/patch/extract';
import { planGrid } from '../../../src/patch/grid';
import { toBundle } from '../../../src/plot/show';
import { Random } from '../../../src/random';
import type { Vec3 } from '../../../src/vec3';
import type { StoredType, VoxelArray } from '../../../src/volume/base/datatypes';
import { phantom } from '../../../src/volume/phantom/phantom';
import { prepareDataset } from '../../../src/volume/prepare/prepare';
import { readVolume, readVoxels } from '../../../src/volume/read';
import { openDataset } from '../../../src/volume/store/dataset';
import { Volume } from '../../../src/volume/volume';
import { writeVolume } from '../../../src/volume/write';
import { temporaryFolder } from '../folder';
import { folderStore } from './zarr-folder';

const folder = temporaryFolder();
const path = (name: string) => join(folder(), 'in', `${name}.nii`);
const store = () => join(folder(), 'store');
const affine = [-1.4, 0.1, 0.2, 30, 0.12, 1.3, -0.3, -20.5, 0.15, 0.25, 2.2, 7, 0, 0, 0, 1];

/** Stored volumes by type, with their scaling. */
const volumes: Record<string, { shape: Vec3; dtype: StoredType; slope?: number; intercept?: number }> = {
  s1_int16: { shape: [70, 66, 40], dtype: 'int16' },
  s2_scaled: { shape: [33, 64, 35], dtype: 'int16', slope: 0.37, intercept: -1024 },
  s3_uint16: { shape: [40, 31, 33], dtype: 'uint16', intercept: -4000 },
  s4_float32: { shape: [50, 20, 9], dtype: 'float32' },
  s5_flat: { shape: [37, 41, 1], dtype: 'int32' },
  s6_uint8: { shape: [40, 40, 40], dtype: 'uint8', slope: 8, intercept: -1024 },
};

beforeAll(async () => {
  mkdirSync(join(folder(), 'in'));
  for (const [name, { shape, ...options }] of Object.entries(volumes)) {
    const { data } = phantom({ shape, seed: name.length });
    // `phantom` makes whole Hounsfield units; a float volume has fractions.
    if (options.dtype === 'float32') for (let n = 0; n < data.length; n++) data[n]! += (n % 7) / 8;
    await writeVolume(path(name), new Volume({ shape, data, affine }), options);
  }
  await prepareDataset(join(folder(), 'in'), store(), { split: [1, 0, 0] });
});

describe('openDataset', () => {
  it('knows each volume without opening it', async () => {
    const dataset = openDataset(store());
    expect(dataset.volumes.map(({ name }) => name)).toEqual(Object.keys(volumes));
    for (const volume of dataset.volumes) {
      const given = await readVolume(path(volume.name));
      expect(volume.shape).toEqual(given.shape);
      expect(volume.affine).toEqual(given.affine);
      expect(volume.spacing).toEqual(given.spacing);
      expect(volume.type).toBe(volumes[volume.name]!.dtype);
      expect(volume.range).toEqual([
        given.data.reduce((a, b) => Math.min(a, b)),
        given.data.reduce((a, b) => Math.max(a, b)),
      ]);
    }
    expect(dataset.side('train')).toHaveLength(6);
    expect(dataset.side('test')).toHaveLength(0);
  });

  it('shows what it knows in a cell', async () => {
    const dataset = openDataset(store());
    const all = toBundle(dataset)!['text/plain'] as string;
    for (const name of Object.keys(volumes)) expect(all).toContain(name);
    const one = toBundle(dataset.volumes[0])!;
    expect(one['text/plain']).toMatch(/s1_int16 +s1 +train +70 x 66 x 40/);
    expect(one['text/html']).toContain('<table>');
  });

  it('names the kind of a folder that is no dataset', () => {
    expect(() => openDataset(folder())).toThrow(/index of a prepared dataset .* found none/);
    writeFileSync(join(folder(), 'dataset.json'), '{"format":"another"}');
    expect(() => openDataset(folder())).toThrow(UnreadableFile);
    rmSync(join(folder(), 'dataset.json'));
  });
});

describe('readPatch', () => {
  it.each(Object.keys(volumes))(
    '%s: whole volumes and random patches are bit-equal to the file',
    async (name) => {
      const dataset = openDataset(store(), { threads: 2 });
      const stored = dataset.volumes.find((volume) => volume.name === name)!;
      const given = await readVolume(path(name));
      expectSame((await stored.read()).data, given.data);
      const random = new Random(11, name);
      await Promise.all(
        Array.from({ length: 20 }, async (_, n) => {
          const size = [0, 1, 2].map((axis) => 1 + random.below(given.shape[axis]!)) as unknown as Vec3;
          const start = [0, 1, 2].map((axis) =>
            random.below(given.shape[axis]! - size[axis]! + 1),
          ) as unknown as Vec3;
          const patch = await stored.readPatch(start, size, { threads: 1 + (n % 2) });
          expectSame(patch, cut(given, start, size));
        }),
      );
      await dataset.close();
    },
  );

  it('repeats border voxels outside, as extractPatch does', async () => {
    const dataset = openDataset(store(), { threads: 2 });
    const stored = dataset.volumes[3]!; // 50 x 20 x 9
    const given = await readVolume(path(stored.name));
    const grid = planGrid(given.shape, { patch: [64, 24, 16], stride: [64, 24, 16] });
    const start: Vec3 = [grid.starts[0][0]!, grid.starts[1][0]!, grid.starts[2][0]!];
    expect(await stored.readPatch(start, grid.patch)).toEqual(extractPatch(given.data, grid, 0));
    for (const start of [
      [-9, 3, 2],
      [44, 18, 7],
      [200, -50, 4],
    ] as const)
      expect(await stored.readPatch(start, [12, 5, 6])).toEqual(cut(given, start, [12, 5, 6]));
    await dataset.close();
  });

  it('refuses a wrong place or size', async () => {
    const [volume] = openDataset(store()).volumes;
    await expect(volume!.readPatch([0, 0.5, 0], [1, 1, 1])).rejects.toThrow(InvalidArgument);
    await expect(volume!.readPatch([0, 0, 0], [1, 0, 1])).rejects.toThrow(InvalidArgument);
    await expect(volume!.readPatch([0, 0, 0], [1, 1, 1], { signal: AbortSignal.abort() })).rejects.toThrow(
      /abort/i,
    );
  });

  it('finds damage, and still reads the sound volumes', async () => {
    const damaged = join(folder(), 'damaged');
    await prepareDataset(path('s1_int16'), damaged);
    const shard = join(damaged, 's1_int16/image/c/0/0/0');
    const original = readFileSync(shard);
    const dataset = openDataset(damaged, { threads: 1 });
    const [volume] = dataset.volumes;
    const put = (at: number, bytes: Uint8Array) =>
      writeSync(openSync(shard, 'r+'), bytes, 0, bytes.length, at);
    put(40, Uint8Array.of(1, 2, 3));
    await expect(volume!.readPatch([0, 0, 0], [4, 4, 4])).rejects.toThrow(
      /chunk 0.*to repair it: npx patchwise prepare INPUT .*damaged --verify/,
    );
    expect(await volume!.readPatch([40, 0, 0], [4, 4, 4])).toHaveLength(64);
    put(original.length - 30, Uint8Array.of(99)); // the index
    const reopened = openDataset(damaged, { threads: 1 });
    await expect(reopened.volumes[0]!.readPatch([0, 0, 0], [4, 4, 4])).rejects.toThrow(/checksum/);
    writeFileSync(shard, original.subarray(0, 100));
    await expect(openDataset(damaged, { threads: 1 }).volumes[0]!.read()).rejects.toThrow(UnreadableFile);
    await dataset.close();
  });

  it('ends with its dataset', async () => {
    const dataset = openDataset(store(), { threads: 1 });
    const reading = dataset.volumes[0]!.read();
    await dataset.close();
    await expect(reading).rejects.toThrow('closed');
    await expect(dataset.volumes[0]!.read()).rejects.toThrow('closed');
  });
});

describe('the store is Zarr v3', () => {
  it('zarrita reads the same voxels and the geometry from it', async () => {
    const zarr = await import('zarrita');
    for (const name of Object.keys(volumes)) {
      const root = zarr.root(folderStore(store()));
      const group = await zarr.open.v3(root.resolve(name), { kind: 'group' });
      expect(group.attrs.intensity).toMatchObject({ units: expect.any(String) });
      const array = await zarr.open.v3(root.resolve(`${name}/image`), { kind: 'array' });
      const given = await readVoxels(path(name));
      expect(array.shape).toEqual([...given.shape].reverse());
      expect(array.attrs.affine).toEqual([...given.affine]);
      expect(array.attrs.scale_factor).toBe(given.slope);
      expect(array.attrs.add_offset).toBe(given.intercept);
      const { data } = await zarr.get(array);
      expectSame(data as typeof given.data, given.data);
    }
  });
});

/** Bit-equal; a deep comparison of as many numbers would take most of the tests' time. */
function expectSame(received: VoxelArray, expected: VoxelArray): void {
  expect(received.constructor).toBe(expected.constructor);
  const bytes = (array: VoxelArray) => Buffer.from(array.buffer, array.byteOffset, array.byteLength);
  expect(bytes(received).equals(bytes(expected))).toBe(true);
}

/** Voxels of a volume, its border's beyond it; slow and plain. */
function cut({ shape, data }: Volume, start: Vec3, size: Vec3): Float32Array {
  const clamp = (voxel: number, axis: 0 | 1 | 2) => Math.min(Math.max(voxel, 0), shape[axis] - 1);
  return Float32Array.from({ length: size[0] * size[1] * size[2] }, (_, n) => {
    const x = clamp(start[0] + (n % size[0]), 0);
    const y = clamp(start[1] + (Math.floor(n / size[0]) % size[1]), 1);
    const z = clamp(start[2] + Math.floor(n / (size[0] * size[1])), 2);
    return data[(z * shape[1] + y) * shape[0] + x]!;
  });
}
