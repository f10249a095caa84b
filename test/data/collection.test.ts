import { copyFileSync, cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { adviceOn, inspect, prepareCollection } from '../../data/collection';
import { lidc } from '../../data/lidc/prepare';
import { own } from '../../data/own/prepare';
import { rspect } from '../../data/rspect/prepare';
import { openDataset, phantom, writeVolume } from '../../src/index';
import { fixture } from '../volume/folder';

const scanner = join(__dirname, '..', 'fixtures', 'dicom', 'tree', 'MUELLER_JUERGEN_19610517');
const folder = mkdtempSync(join(tmpdir(), 'patchwise-collections-'));
const at = (...parts: string[]) => join(folder, ...parts);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

beforeAll(async () => {
  for (const dir of ['lidc', 'dicom', 'empty', 'rspect']) mkdirSync(at(dir), { recursive: true });
  const write = (path: string, z: number, seed: number) =>
    writeVolume(at(path), phantom({ shape: [16, 16, z], seed }), { dtype: 'int16' });
  await write('lidc/LIDC-IDRI-0001_3.nii.gz', 60, 1);
  await write('lidc/LIDC-IDRI-0001_4.nii.gz', 60, 2);
  await write('lidc/LIDC-IDRI-0002_3.nii.gz', 64, 3);
  await write('lidc/LIDC-IDRI-0003_1.nii.gz', 2, 4); // a localiser
  writeFileSync(at('lidc/LIDC-IDRI-0004_1.nii.gz'), 'not a NIfTI file');
  process.env.PATCHWISE_PATIENT_KEY = at('patient-key');
  cpSync(join(scanner, 'ST000000'), at('dicom/ST000000'), { recursive: true });
  writeFileSync(at('dicom/README'), 'text');
  await write('rspect/6897fa9de148_2bfbb7fd2e8b.nii.gz', 60, 5);
  const windowed = phantom({ shape: [16, 16, 60], seed: 6 });
  await writeVolume(
    at('rspect/0a1b2c3d4e5f_2bfbb7fd2e8c.nii.gz'),
    windowed.with(windowed.data.map((v) => Math.max(0, v))),
    { dtype: 'int16' },
  );
});

describe('collections', { timeout: 120_000 }, () => {
  it('counts volumes and patients, names what is odd, says what is missing', async () => {
    const found = await inspect(at('lidc'), lidc);
    expect(found.volumes).toHaveLength(3);
    expect([...found.patients]).toEqual(['LIDC-IDRI-0001', 'LIDC-IDRI-0002']);
    expect(found.problems.map(({ file }) => file)).toEqual([
      'LIDC-IDRI-0003_1.nii.gz',
      'LIDC-IDRI-0004_1.nii.gz',
    ]);
    const advice = adviceOn(found, 'lidc', lidc).join('\n');
    expect(advice).toContain('3 volumes of 2 patients');
    expect(advice).toContain('2 slices: a localiser');
    expect(advice).toContain('missing: 1015 of 1018 volumes (1010 patients)');
    expect(advice).not.toContain('dcm2niix');
  });

  it('finds DICOM, and prints the command that converts it if the collection names its patients', async () => {
    const found = await inspect(at('dicom'), lidc);
    expect(found.toConvert).toBe(14);
    const advice = adviceOn(found, 'in', lidc).join('\n');
    expect(advice).toContain('dcm2niix -z y -b n -f %i_%s -o in-nifti -d 9 in');
    expect(await prepareCollection(lidc, [at('dicom'), at('out')], () => {})).toBe(1);
  });

  it('prepares DICOM of your own, and says which series are no volumes', async () => {
    const lines: string[] = [];
    const small = { ...own, fewestSlices: 7 };
    expect(await prepareCollection(small, [at('dicom'), at('own-dicom')], (line) => lines.push(line))).toBe(
      0,
    );
    const { volumes } = openDataset(at('own-dicom'));
    expect(volumes.map(({ name }) => name)).toEqual([expect.stringMatching(/^P\d{12}_s3_\d{6}$/)]);
    const said = lines.join('\n');
    expect(said).toContain('1 volumes of 1 patients');
    expect(said).toMatch(/look at P\d{12}_s1_\d{6}: a localiser/);
    expect(said).toMatch(/look at P\d{12}_s2_\d{6}: 6 slices: a localiser or a broken series/);
  });

  it('prepares what is there, patients on one side each', async () => {
    const lines: string[] = [];
    expect(await prepareCollection(lidc, [at('lidc'), at('dataset')], (line) => lines.push(line))).toBe(0);
    const { volumes } = openDataset(at('dataset'));
    expect(volumes).toHaveLength(3); // neither the localiser nor the file that is none
    expect(volumes.map(({ patient }) => patient)).toContain('LIDC-IDRI-0001');
    const sides = volumes.filter(({ patient }) => patient === 'LIDC-IDRI-0001').map(({ split }) => split);
    expect(sides).toHaveLength(2);
    expect(new Set(sides).size).toBe(1);
    expect(lines.join('\n')).toContain('next: npx patchwise train');
  });

  it('warns of values that are no Hounsfield units; studies stand for patients in RSPECT', async () => {
    const found = await inspect(at('rspect'), rspect);
    expect([...found.patients]).toEqual(['0a1b2c3d4e5f', '6897fa9de148']);
    expect(found.problems[0]!.reason).toContain('not Hounsfield units');
  });

  it('says where there is nothing, and how to be called', async () => {
    const lines: string[] = [];
    expect(await prepareCollection(own, [at('empty'), '--check'], (line) => lines.push(line))).toBe(1);
    expect(lines.join()).toContain('nothing to prepare');
    await expect(prepareCollection(own, [])).rejects.toThrow(/DOWNLOAD DATASET/);
    await expect(prepareCollection(own, [at('nowhere'), '--check'])).rejects.toThrow(
      /folder of the download/,
    );
  });

  it('checks and prepares the same files: links, pairs, and neither hidden ones nor those it warned of', async () => {
    const scans = at('scans');
    mkdirSync(join(scans, 'P003'), { recursive: true });
    const write = (path: string, z: number, seed: number) =>
      writeVolume(path, phantom({ shape: [16, 16, z], seed }), { dtype: 'int16' });
    await write(at('elsewhere.nii.gz'), 20, 1);
    symlinkSync(at('elsewhere.nii.gz'), join(scans, 'P001_a.nii.gz'));
    await write(join(scans, 'P001_b.nii'), 20, 2);
    await write(join(scans, 'P002_scout.nii.gz'), 4, 3);
    await write(join(scans, 'P003/ct.hdr'), 20, 4);
    copyFileSync(join(scans, 'P001_b.nii'), join(scans, '._x.nii'));
    copyFileSync(fixture('dim-4d.nii'), join(scans, 'P004_4d.nii'));
    const found = await inspect(scans, own);
    expect([...found.patients].sort()).toEqual(['P001', 'P003']);
    expect(found.problems.map(({ file }) => file)).toEqual(['P002_scout.nii.gz', 'P004_4d.nii']);
    const lines: string[] = [];
    expect(await prepareCollection(own, [scans, at('own-dataset')], (line) => lines.push(line))).toBe(0);
    const { volumes, leftOut } = openDataset(at('own-dataset'));
    expect(volumes.map(({ name, patient }) => [name, patient])).toEqual([
      ['P001_a', 'P001'],
      ['P001_b', 'P001'],
      ['P003__ct', 'P003'],
    ]);
    expect(leftOut).toEqual([]);
    expect(lines.join('\n')).toContain('3 volumes of 2 patients');
  });

  it('names files whose patient the pattern does not tell', async () => {
    mkdirSync(at('stray'));
    copyFileSync(at('lidc/LIDC-IDRI-0001_3.nii.gz'), at('stray/LIDC-IDRI-0001_3.nii.gz'));
    copyFileSync(at('lidc/LIDC-IDRI-0001_3.nii.gz'), at('stray/other.nii.gz'));
    const { problems, volumes } = await inspect(at('stray'), lidc);
    expect(volumes).toHaveLength(1);
    expect(problems[0]).toMatchObject({ file: 'other.nii.gz', reason: expect.stringContaining('patient') });
    expect(await prepareCollection(lidc, [at('stray'), at('stray-dataset')], () => {})).toBe(0);
  });
});
