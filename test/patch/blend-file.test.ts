import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { InvalidArgument } from '../../src/errors';
import { blend } from '../../src/patch/blend';
import { extractPatches } from '../../src/patch/extract';
import { planGrid } from '../../src/patch/grid';
import { readVolume } from '../../src/volume/read';
import { Volume } from '../../src/volume/volume';
import { temporaryFolder } from '../volume/folder';
import { noise } from './volumes';

const folder = temporaryFolder();
const grid = planGrid([20, 17, 23], { patch: [8, 8, 8], overlap: 0.25 });
const data = noise(grid.volume, 1).map((value) => value * 500);
const affine = [-0.7, 0, 0, 10, 0, 0.8, 0, -20, 0, 0, 1.25, 30, 0, 0, 0, 1];
const like = new Volume({ shape: grid.volume, data, affine });

/** The patches last first, so that early slabs become final late and must wait for their turn. */
const backwards = () => [...extractPatches(data, grid)].reverse();

test.each(['plain.nii', 'packed.nii.gz', 'pair.hdr'])(
  '%s holds what blending to an array gives, and its place',
  async (name) => {
    const path = join(folder(), name);
    await blend(grid, backwards(), { to: path, like, window: 'hann', threads: 2 });
    const written = await readVolume(path);
    expect(written.data).toEqual(await blend(grid, backwards(), { window: 'hann' }));
    expect(written.affine.map((value) => Math.round(value * 1e4) / 1e4)).toEqual(affine);
  },
);

test('whole numbers are rounded', async () => {
  const path = join(folder(), 'whole.nii.gz');
  await blend(grid, extractPatches(data, grid), { to: { file: path, dtype: 'int16' }, like });
  const blended = await blend(grid, extractPatches(data, grid));
  expect((await readVolume(path)).data).toEqual(blended.map((value) => Math.round(value) + 0));
});

test('a blend that fails or is aborted leaves no file, whole or in part', async () => {
  const path = join(folder(), 'none.nii.gz');
  const missing = backwards().slice(1);
  await expect(blend(grid, missing, { to: path, like })).rejects.toThrow(InvalidArgument);
  const abort = new AbortController();
  const onProgress = ({ done }: { done: number }) => done === 3 && abort.abort();
  const options = { like, signal: abort.signal, onProgress };
  await expect(blend(grid, extractPatches(data, grid), { ...options, to: path })).rejects.toThrow('abort');
  const other = new Volume({ shape: [20, 17, 24], data: new Float32Array(20 * 17 * 24) });
  await expect(blend(grid, backwards(), { to: path, like: other })).rejects.toThrow("grid's size");
  expect(existsSync(path)).toBe(false);
  expect(readdirSync(folder()).filter((name) => name.includes('none'))).toEqual([]);
});
