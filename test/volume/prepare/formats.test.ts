import { copyFileSync, mkdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { prepareDataset } from '../../../src/volume/prepare/prepare';
import { filesOf, stateOf } from '../../../src/volume/prepare/sources';
import { readVoxels } from '../../../src/volume/read';
import { openDataset } from '../../../src/volume/store/dataset';
import { temporaryFolder } from '../folder';

const folder = temporaryFolder();
const at = (...parts: string[]) => join(folder(), ...parts);
const fixtures = join(__dirname, '../../fixtures/formats');

/** The files of one scan in each form, by the name of the patient. */
const patients = {
  nifti: [['itk.nii', 'nifti.nii']],
  local: [['itk-packed.mha', 'local.mha']],
  apart: [
    ['itk-packed.mhd', 'itk-packed.mhd'],
    ['itk-packed.zraw', 'itk-packed.zraw'],
  ],
  slicer: [['itk-packed.nrrd', 'slicer.nrrd']],
  teem: [
    ['itk-apart.nhdr', 'itk-apart.nhdr'],
    ['itk-apart.raw.gz', 'itk-apart.raw.gz'],
  ],
} as const;

beforeAll(() => {
  for (const [patient, files] of Object.entries(patients)) {
    mkdirSync(at('scans', patient), { recursive: true });
    for (const [from, to] of files) copyFileSync(join(fixtures, from), at('scans', patient, to));
  }
});

it('a folder of every format becomes one dataset of equal volumes', async () => {
  const { written, leftOut } = await prepareDataset(at('scans'), at('dataset'), {});
  expect(leftOut).toEqual([]);
  expect(written).toHaveLength(5);
  const { volumes } = openDataset(at('dataset'));
  const nifti = await readVoxels(join(fixtures, 'itk.nii'));
  for (const volume of volumes) {
    const { data, affine, spacing } = await volume.read();
    expect([...data]).toEqual([...nifti.data]);
    for (const [n, value] of affine.entries()) expect(value).toBeCloseTo(nifti.affine[n]!, 4);
    for (const [axis, size] of spacing.entries()) expect(size).toBeCloseTo(nifti.spacing[axis]!, 5);
  }
});

it('voxels apart from the header belong to the source: a change prepares it again, and a loss is named', async () => {
  const path = at('scans/apart/itk-packed.mhd');
  const raw = at('scans/apart/itk-packed.zraw');
  expect(filesOf({ path })).toEqual([path, raw]);
  const before = stateOf({ path });
  utimesSync(raw, 1e9, 2e9);
  expect(stateOf({ path }).modified).toBeGreaterThan(before.modified);

  await prepareDataset(at('scans'), at('again'), {});
  copyFileSync(join(fixtures, 'luna.raw'), raw); // other bytes, no longer compressed
  const changed = await prepareDataset(at('scans'), at('again'), {});
  expect(changed.kept).toHaveLength(4);
  expect(changed.leftOut[0]).toMatchObject({ file: 'apart/itk-packed.mhd' });
  rmSync(raw);
  const { leftOut } = await prepareDataset(at('scans'), at('again'), {});
  expect(leftOut).toHaveLength(1);
  expect(leftOut[0]!.reason).toContain(
    `its voxels in ${raw} (ElementDataFile), found no such file; put it there`,
  );
  writeFileSync(path, 'NDims = 3\n');
  const { leftOut: broken } = await prepareDataset(at('scans'), at('again'), {});
  expect(broken[0]!.reason).toContain('the whole header of MetaImage or NRRD');
});
