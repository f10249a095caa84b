import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import * as zarr from 'zarrita';
import {
  blend,
  extractPatches,
  InvalidArgument,
  openDataset,
  phantom,
  planGrid,
  prepareDataset,
  type Slab,
  writeSlabs,
  writeVolume,
} from '../../../src/index';
import { writeDatasetVolume } from '../../../src/volume/prepare/write-volume';
import { temporaryFolder } from '../folder';
import { folderStore } from '../store/zarr-folder';

const folder = temporaryFolder();
const affine = [-1.4, 0.1, 0.2, 30, 0.12, 1.3, -0.3, -20.5, 0.15, 0.25, 2.2, 7, 0, 0, 0, 1];
const spacing = [1.4131171218, 1.3275918047, 2.229349681] as const; // the affine's
const place = { shape: [50, 41, 77] as const, spacing, affine };
/** + 0 makes 0 of -0, which scaling does too. */
const data = phantom({ shape: place.shape, seed: 6 }).data.map((value) => value + 0);
const plane = 50 * 41;

/** Slabs that fit neither chunks nor each other. */
function* slabs(depths = [1, 40, 5, 31]): Generator<Slab> {
  const lent = new Float32Array(40 * plane);
  let z = 0;
  for (const depth of depths) {
    lent.set(data.subarray(z * plane, (z + depth) * plane));
    yield { z, depth, data: lent.subarray(0, depth * plane) };
    lent.fill(Number.NaN); // a lent array must not be kept
    z += depth;
  }
}

describe('a volume that comes in slabs', () => {
  it('is in the dataset as a prepared one is, with its place, and in zarrita', async () => {
    const dir = join(folder(), 'new');
    expect(await writeDatasetVolume(dir, place, slabs(), { name: 'p1', dtype: 'int16', patient: 'p' })).toBe(
      'p1',
    );
    const dataset = openDataset(dir);
    const [volume] = dataset.volumes;
    expect(volume).toMatchObject({ name: 'p1', patient: 'p', split: 'test', type: 'int16', ...place });
    expect(volume!.range).toEqual([
      data.reduce((a, b) => Math.min(a, b)),
      data.reduce((a, b) => Math.max(a, b)),
    ]);
    expect(volume!.intensity.name).toContain('ctpa');
    expect(Buffer.from((await volume!.read()).data.buffer).equals(Buffer.from(data.buffer))).toBe(true);
    await dataset.close();

    const store = zarr.root(folderStore(dir));
    const array = await zarr.open.v3(store.resolve('p1/image'), { kind: 'array' });
    const { data: voxels, shape } = await zarr.get(array);
    expect(shape).toEqual([77, 41, 50]);
    expect(Float32Array.from(voxels as Int16Array)).toEqual(data);
    const group = await zarr.open.v3(store.resolve('p1'), { kind: 'group' });
    expect(group.attrs).toMatchObject({ settings: { spacing: null }, image: { shape: [50, 41, 77] } });
  });

  it('joins a prepared dataset, replaces one of its name, and a later call finds it', async () => {
    const [input, dir] = [join(folder(), 'in'), join(folder(), 'prepared')];
    mkdirSync(input);
    const path = join(input, 'PAT007_a.nii.gz');
    const volume = phantom({ shape: [40, 40, 20], seed: 1 });
    await writeVolume(path, volume, { dtype: 'int16' });
    await prepareDataset(input, dir, { split: [1, 0, 0] });
    const zeros = { z: 0, depth: 77, data: new Float32Array(data.length) };
    for (const content of [[zeros], slabs()])
      expect(await writeDatasetVolume(dir, place, content, { source: path, name: 'out' })).toBe('out');
    const dataset = openDataset(dir);
    expect(dataset.volumes.map(({ name, split }) => [name, split])).toEqual([
      ['PAT007_a', 'train'],
      ['out', 'train'], // where its patient is
    ]);
    expect(dataset.volumes[1]).toMatchObject({ patient: 'PAT007', source: 'PAT007_a.nii.gz' });
    const moved = writeDatasetVolume(dir, place, slabs(), { source: path, name: 'out2', split: 'test' });
    await expect(moved).rejects.toThrow(/train, the side of patient PAT007/);
    expect((await dataset.volumes[1]!.read()).data).toEqual(data);
    await dataset.close();
    const [prepared, added] = JSON.parse(readFileSync(join(dir, 'dataset.json'), 'utf8')).volumes;
    expect(added.source).toEqual({ ...prepared.source });
    expect(added.source.bytes).toBe(statSync(path).size);
  });

  it('that fails leaves the dataset unchanged, and the next call removes the files of a killed one', async () => {
    const dir = join(folder(), 'new');
    const before = readFileSync(join(dir, 'dataset.json'), 'utf8');
    const missing = slabs([1, 40, 5]);
    await expect(writeDatasetVolume(dir, place, missing, { name: 'p2' })).rejects.toThrow(InvalidArgument);
    const unstorable = writeDatasetVolume(dir, place, slabs(), { name: 'p1', dtype: 'uint8' });
    await expect(unstorable).rejects.toThrow(/voxel .*uint8/);
    mkdirSync(join(dir, '.p9.part'));
    const controller = new AbortController();
    const aborted = async function* (): AsyncGenerator<Slab> {
      for (const slab of slabs()) {
        yield slab;
        controller.abort(new Error('enough'));
      }
    };
    const call = writeDatasetVolume(dir, place, aborted(), { name: 'p1', signal: controller.signal });
    await expect(call).rejects.toThrow('enough');
    expect(readFileSync(join(dir, 'dataset.json'), 'utf8')).toBe(before);
    expect(readdirSync(dir).sort()).toEqual(['dataset.json', 'p1', 'zarr.json']);
    for (const name of ['../p', '.p', 'a/b', ''])
      await expect(writeDatasetVolume(dir, place, slabs(), { name })).rejects.toThrow(/name/);
  });

  it('may be blended into it, with voxels of 32 bits', async () => {
    const dir = join(folder(), 'blended');
    const grid = planGrid(place.shape, { patch: [32, 24, 20], overlap: 0.25 });
    const options = { to: { dataset: dir, name: 'b' }, like: place, window: 'linear', threads: 2 } as const;
    await blend(grid, extractPatches(data, grid), options);
    const dataset = openDataset(dir);
    const back = await dataset.volumes[0]!.read();
    expect(back.data.every((value, i) => Math.abs(value - data[i]!) < 1e-3)).toBe(true);
    await dataset.close();
    const small = planGrid([20, 20, 20], { patch: [20, 20, 20] });
    await expect(blend(small, [], options)).rejects.toThrow(/like/);
  });

  it('stays where the files are prepared again, and one that a model made is on no side', async () => {
    const [input, dir] = [join(folder(), 'again-in'), join(folder(), 'again')];
    mkdirSync(input);
    const path = join(input, 'PAT008_a.nii.gz');
    await writeVolume(path, phantom({ shape: [40, 40, 20], seed: 2 }), { dtype: 'int16' });
    await prepareDataset(input, dir, { split: [1, 0, 0] });
    await writeDatasetVolume(dir, place, slabs(), { name: 'own', patient: 'PAT008' });
    await writeDatasetVolume(dir, place, slabs(), { name: 'made', source: path, blended: true });
    const again = await prepareDataset(input, dir, { split: [1, 0, 0] });
    expect([again.written, again.kept, again.notes]).toEqual([[], ['PAT008_a'], []]);
    const dataset = openDataset(dir);
    expect(dataset.volumes.map(({ name }) => name)).toEqual(['PAT008_a', 'made', 'own']);
    expect(dataset.side('train').map(({ name }) => name)).toEqual(['PAT008_a', 'own']);
    await dataset.close();
  });

  it('is refused if its voxel size is not the one of its affine', async () => {
    const wrong = { ...place, spacing: [1.5, 1.3, 2.2] as const };
    await expect(writeDatasetVolume(join(folder(), 'wrong'), wrong, slabs())).rejects.toThrow(/spacing/);
    const file = writeSlabs(join(folder(), 'wrong.nii'), wrong, slabs());
    await expect(file).rejects.toThrow(/spacing: expected the affine's/);
  });

  it('is refused by a folder with an index of something else', async () => {
    const dir = join(folder(), 'other');
    mkdirSync(dir);
    writeFileSync(join(dir, 'dataset.json'), '{"format":"another"}');
    await expect(writeDatasetVolume(dir, place, slabs(), { name: 'x' })).rejects.toThrow(
      /dataset.json: expected the index/,
    );
    expect(readdirSync(dir)).toEqual(['dataset.json']);
  });
});
