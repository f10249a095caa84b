import { copyFileSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { sidesOf } from '../../../src/train/data/sides';
import { resolveConfig } from '../../../src/train/settings/config';
import { phantom } from '../../../src/volume/phantom/phantom';
import { prepareDataset } from '../../../src/volume/prepare/prepare';
import { openDataset } from '../../../src/volume/store/dataset';
import { writeVolume } from '../../../src/volume/write';
import { tiny } from '../tiny';

const folder = mkdtempSync(join(tmpdir(), 'patchwise-sides-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const files = [1, 2, 3, 4].map((n) => join(folder, `p${n}.nii`));
const elsewhere = join(folder, 'elsewhere.nii');

beforeAll(async () => {
  for (const [i, file] of files.entries())
    await writeVolume(file, phantom({ shape: [16, 16, 16], seed: i + 1 }));
  await writeVolume(elsewhere, phantom({ shape: [16, 16, 16], seed: 9 }));
});

it('knows the files of a run by their place, through links, and as copies elsewhere', async () => {
  const config = resolveConfig({ ...tiny, data: files.slice(0, 3), validation: 0.34 });
  const sideOf = await sidesOf(config);
  const sides = await Promise.all(files.map(sideOf));
  expect(sides.slice(0, 3).sort()).toEqual(['train', 'train', 'validation']);
  expect(sides[3]).toBeUndefined();
  const [link, copy] = [join(folder, 'link.nii'), join(folder, 'copy.nii')];
  symlinkSync(files[0]!, link);
  copyFileSync(files[1]!, copy);
  expect([await sideOf(link), await sideOf(copy), await sideOf(elsewhere)]).toEqual([
    sides[0],
    sides[1],
    undefined,
  ]);
  expect(await sideOf(join(folder, 'no such file.nii'))).toBeUndefined();
});

it('knows of a single volume that it was trained on in part', async () => {
  const sideOf = await sidesOf(resolveConfig({ ...tiny, data: ['phantom:16x16x32#2'], validation: 0.25 }));
  expect(await sideOf('phantom:16x16x32#2')).toBe('part');
  expect(await sideOf('phantom:16x16x32#3')).toBeUndefined();
  const all = await sidesOf(resolveConfig({ ...tiny, data: [files[0]!], validation: 0 }));
  expect(await all(files[0]!)).toBe('train');
});

it('knows the volumes of a dataset and the files they were prepared from', async () => {
  const dir = join(folder, 'dataset');
  await prepareDataset(files, dir, { split: [0.5, 0.25, 0.25] });
  const sideOf = await sidesOf(resolveConfig({ ...tiny, data: [dir] }));
  const dataset = openDataset(dir);
  for (const volume of dataset.volumes) {
    expect(await sideOf(volume.folder)).toBe(volume.split);
    expect(await sideOf(files.find((file) => file.endsWith(volume.source))!)).toBe(volume.split);
  }
  expect(new Set(dataset.volumes.map(({ split }) => split))).toEqual(
    new Set(['train', 'validation', 'test']),
  );
  expect(await sideOf(elsewhere)).toBeUndefined();
  await dataset.close();
});
