import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { loadData } from '../../../src/train/data/loader';
import { heldOut, sidesOf } from '../../../src/train/data/sides';
import { settingsOf } from '../../../src/train/record/run-folder';
import type { TrainOptions } from '../../../src/train/settings/config';
import { prepareRun } from '../../../src/train/train';
import { reorient } from '../../../src/volume/orient';
import { phantom } from '../../../src/volume/phantom/phantom';
import type { Inspection } from '../../../src/volume/prepare/inspect';
import { prepareDataset } from '../../../src/volume/prepare/prepare';
import { readVolume } from '../../../src/volume/read';
import { openDataset } from '../../../src/volume/store/dataset';
import { Volume } from '../../../src/volume/volume';
import { writeVolume } from '../../../src/volume/write';
import { temporaryKey, tree } from '../../volume/dicom-fixtures';
import { temporaryFolder } from '../../volume/folder';
import { tiny } from '../tiny';

const temporary = temporaryFolder();
const at = (...parts: string[]) => join(temporary(), ...parts);
const runFolders = () => (existsSync(at('runs')) ? readdirSync(at('runs')) : []);

describe('the data of a run', { timeout: 120_000 }, () => {
  beforeAll(async () => {
    temporaryKey(temporary());
    process.env.PATCHWISE_RUNS = at('runs');
    mkdirSync(at('scans'));
    for (const seed of [1, 2, 3])
      await writeVolume(at('scans', `P${seed}.nii`), phantom({ shape: [16, 18, 20], seed }), {
        dtype: 'int16',
      });
    const turned = reorient(phantom({ shape: [16, 18, 20], seed: 4 }), {
      from: [2, 0, 1],
      flip: [true, false, true],
    });
    await writeVolume(at('scans', 'P4.nii'), new Volume(turned), { dtype: 'int16' });
    writeFileSync(at('scans', 'P5.nii.gz'), '<!DOCTYPE html>');
    writeFileSync(
      at('scans', 'P6.mhd'),
      'NDims = 3\nDimSize = 4 4 4\nElementType = MET_SHORT\nElementDataFile = P6.raw\n',
    );
  });

  it('is left out where it cannot be read, named once with what is odd, and kept in the config', async () => {
    const seen: Inspection[] = [];
    const run = await prepareRun({ ...tiny, data: at('scans') }, { onInspect: (found) => seen.push(found) });
    const { data, looked } = await run.config();
    expect(data).toEqual([1, 2, 3, 4].map((n) => at('scans', `P${n}.nii`)));
    expect(looked!.leftOut).toEqual([
      { file: at('scans', 'P5.nii.gz'), reason: expect.stringContaining('a web page') },
      { file: at('scans', 'P6.mhd'), reason: expect.stringContaining('P6.raw') },
    ]);
    expect(seen).toHaveLength(1);
    expect(seen[0]!.leftOut).toEqual(looked!.leftOut);
    expect(looked!.oddities).toEqual([
      { note: expect.stringMatching(/^axes run .* in most volumes/), files: [at('scans', 'P4.nii')] },
    ]);
  });

  it('is refused as a whole if the call is strict, and leaves no run', async () => {
    const before = runFolders();
    const refused = prepareRun({ ...tiny, data: at('scans') }, { strict: true, onInspect: () => {} });
    await expect(refused).rejects.toThrow(/only sound volumes.*P5\.nii\.gz.*P6\.mhd.*P4\.nii/s);
    expect(runFolders()).toEqual(before);
  });

  it('is turned and resampled as `prepare` does it', async () => {
    const how = { canonical: true, spacing: [12, 15, 18] } as const;
    const options = { ...tiny, patch: 8, stride: 8, validation: 0.25, data: at('scans'), ...how };
    const config = await (await prepareRun(options, { onInspect: () => {} })).config();
    expect(config.looked!.oddities).toEqual([]);
    await prepareDataset(at('scans'), at('dataset'), how);
    const prepared = openDataset(at('dataset')).volumes;
    const [held] = await heldOut(settingsOf(config));
    const volume = await held!.read();
    const same = prepared.find(({ name }) => held!.name.endsWith(`${name}.nii`))!;
    expect(volume.shape).toEqual(same.shape);
    expect(volume.spacing).toEqual(same.spacing);
    const stored = await same.read();
    // `prepare` rounds int16 again.
    volume.data.forEach((value, i) => {
      if (Math.abs(value - stored.data[i]!) > 0.51) expect(value).toBe(stored.data[i]);
    });
    const { train, validation } = await loadData(settingsOf(config));
    const patches = (await Promise.all(prepared.map(({ shape }) => shape)))
      .map((shape) => shape.reduce((all, n) => all * Math.max(1, Math.ceil(n / 8)), 1))
      .reduce((a, b) => a + b);
    expect(train.count + validation.count).toBe(patches);
  });

  it('is split by patient, as `prepare` splits it, however it is given', async () => {
    const folders = ['s1', 's2', 's3', 's4'].map((patient) => at('by-folder', patient));
    for (const [i, folder] of folders.entries())
      for (const [j, name] of ['ct.nii', 'late.nii'].entries()) {
        mkdirSync(folder, { recursive: true });
        const volume = phantom({ shape: [16, 16, 16], seed: 10 * i + j });
        await writeVolume(join(folder, name), volume, { dtype: 'int16' });
      }
    await prepareDataset(at('by-folder'), at('by-folder.store'), { split: [0.75, 0.25, 0], seed: 5 });
    const held = openDataset(at('by-folder.store')).side('validation');
    expect(held).toHaveLength(2);
    const files = folders.flatMap((folder) => ['ct.nii', 'late.nii'].map((name) => join(folder, name)));
    for (const data of [at('by-folder'), folders, files]) {
      const options = { ...tiny, validation: 0.25, seed: 5, data };
      const config = await (await prepareRun(options, { onInspect: () => {} })).config();
      expect(config.looked!.oddities).toEqual([]);
      expect(config.patients).toEqual(['s1', 's1', 's2', 's2', 's3', 's3', 's4', 's4']);
      const own = await heldOut(settingsOf(config));
      expect(own.map(({ name }) => name.slice(at('by-folder').length + 1))).toEqual(
        held.map(({ source }) => source),
      );
      expect(new Set(own.map(({ patient }) => patient))).toEqual(new Set([held[0]!.patient]));
      const sideOf = await sidesOf(settingsOf(config));
      for (const file of files) {
        const isHeld = own.some(({ source }) => source === file);
        expect(await sideOf(file)).toBe(isHeld ? 'validation' : 'train');
      }
    }
  });

  it('of one patient is told, and its patients can be given', async () => {
    const data = [at('by-folder', 's1', 'ct.nii'), at('by-folder', 's1', 'late.nii')];
    const files = [1, 2].map((n) => at('scans', `P${n}.nii`));
    const looked = async (options: TrainOptions) =>
      (await prepareRun({ ...tiny, ...options }, { onInspect: () => {} })).config();
    expect((await looked({ data })).looked!.oddities).toEqual([]); // `ct` and `late`
    const { oddities } = (await looked({ data, patients: ['A', 'A'] })).looked!;
    expect(oddities).toEqual([
      { note: expect.stringContaining('all volumes are of patient A'), files: data },
    ]);
    await expect(looked({ data: files, patients: ['A'] })).rejects.toThrow(
      /patients: expected a patient for each/,
    );
  });

  it('in memory has the patients of its files', async () => {
    const paths = ['s1/ct.nii', 's1/late.nii', 's2/ct.nii'].map((file) => at('by-folder', file));
    const volumes = await Promise.all(paths.map((path) => readVolume(path)));
    const made = phantom({ shape: [16, 16, 16], seed: 1 });
    const { shape, data } = made;
    const run = await prepareRun({ ...tiny, data: [...volumes, made, new Volume({ shape, data })] });
    expect((await run.config()).patients).toEqual(['s1', 's1', 's2', 'phantom:16x16x16#1', 'volume 5']);
  });

  it('in datasets is as it was prepared', async () => {
    const run = prepareRun({ ...tiny, data: at('dataset'), spacing: 2 });
    await expect(run).rejects.toThrow(/spacing: expected nothing for a prepared dataset/);
  });

  it('of DICOM says which series it takes of each patient, and which not', async () => {
    const run = await prepareRun({ ...tiny, data: tree }, { onInspect: () => {} });
    const { notes } = (await run.config()).looked!;
    expect(notes).toHaveLength(3);
    expect(notes).toContainEqual(
      expect.stringMatching(/^patient P\d{12}: P\d{12}_s3_\d{6} .*\(8 slices\); not used: .*_s2_/),
    );
  });
});
