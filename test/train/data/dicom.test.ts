import { readFileSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { findCohort } from '../../../src/evaluate/cohort';
import { sidesOf } from '../../../src/train/data/sides';
import { prepareRun } from '../../../src/train/train';
import { readVolume } from '../../../src/volume/read';
import {
  expected,
  expectNoSecret,
  expectVoxels,
  folderA,
  temporaryKey,
  tree,
} from '../../volume/dicom-fixtures';
import { temporaryFolder } from '../../volume/folder';

const temporary = temporaryFolder();

describe('a run on DICOM', { timeout: 60_000 }, () => {
  beforeAll(() => {
    temporaryKey(temporary());
    process.env.PATCHWISE_RUNS = join(temporary(), 'runs');
  });

  it('has the series with the most slices of each patient, as files under pseudonyms', async () => {
    const run = await prepareRun({ preset: 'toy', data: tree, patch: [16, 16, 4], stride: [8, 8, 4] });
    const config = await run.config();
    expect(config.data.map((path) => basename(path).replace(/^P\d{12}_(s\d+)_\d{6}/, '$1')).sort()).toEqual([
      's21.nii',
      's3.nii',
      's5.nii',
    ]);
    expectVoxels(await readVolume(config.data.find((path) => path.includes('_s3_'))!), expected.A3!);
    const text = readFileSync(join(run.dir, 'config.json'));
    expectNoSecret(text, 'config.json');

    // Evaluation finds a volume of the run in the DICOM folder by the name of its series.
    const [series] = (await findCohort([folderA], { series: 3 })).found;
    const sideOf = await sidesOf(config);
    expect(await sideOf(series!.source)).toMatch(/^(train|validation)$/);
    const [other] = (await findCohort([folderA], { series: 2 })).found;
    expect(await sideOf(other!.source)).toBeUndefined();
    rmSync(run.dir, { recursive: true });
  });

  it('says why a folder has no volume', async () => {
    const data = join(folderA, 'ST000000', 'SE000000');
    await expect(prepareRun({ preset: 'toy', data })).rejects.toThrow(
      /data: expected volumes .*: a localiser\)/,
    );
  });
});
