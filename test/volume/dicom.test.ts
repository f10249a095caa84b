import { spawn } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { convertDicom } from '../../src/volume/convert-dicom';
import { findVolumes } from '../../src/volume/intake';
import { readHeader, readVolume } from '../../src/volume/read';
import { listSeries } from '../../src/volume/series';
import { wholeStorage, writeVolume } from '../../src/volume/write';
import {
  expected,
  expectNoSecret,
  expectVoxels,
  folderA,
  folderB,
  temporaryKey,
  tree,
} from './dicom-fixtures';
import { temporaryFolder } from './folder';

const temporary = temporaryFolder();

beforeAll(() => temporaryKey(temporary()));

describe('a DICOM series', () => {
  it.each([
    ['explicit little-endian', 'A2', folderA, '(6 slices)', join('ST000000', 'SE000001')],
    ['implicit little-endian', 'A3', folderA, 'of signed numbers', join('ST000000', 'SE000002')],
    ['JPEG 2000', 'B11', folderB, 11, 'DICOM'],
    ['JPEG-LS', 'B12', folderB, 12, 'DICOM'],
    ['lossless JPEG', 'B13', folderB, 13, 'DICOM'],
    ['RLE', 'B14', folderB, 14, 'DICOM'],
    ['big-endian', 'B15', folderB, 15, 'DICOM'],
    ['deflated', 'B16', folderB, 16, 'DICOM'],
    ['oblique', 'B24', folderB, 24, join('odd', '24')],
    ['feet first', 'B25', folderB, 25, join('odd', '25')],
    ['multi-frame', 'B31', folderB, 31, join('enhanced', 'EN0000')],
    ['without a name', 'C5', tree, 5, 'anonymous'],
  ] as const)('%s: each voxel has its value and its place', async (_name, key, folder, choice, sub) => {
    const series = typeof choice === 'number' ? choice : undefined;
    const volume = await readVolume(join(folder, sub), { series });
    expect(volume.shape).toEqual(expected[key]!.shape);
    expectVoxels(volume, expected[key]!);
    expect(volume.source).toMatch(new RegExp(`^P\\d{12}_s${expected[key]!.series}_\\d{6}$`));
  });

  it('written again, names nobody and has no texts', async () => {
    const volume = await readVolume(join(folderA, 'ST000000', 'SE000001'));
    const path = join(temporary(), 'again.nii');
    await writeVolume(path, volume, wholeStorage(volume.header));
    expectNoSecret(readFileSync(path), path);
    const { description, nifti } = await readHeader(path);
    const { auxFile, intent, toffset, extensions } = nifti!;
    expect([description, auxFile, intent.name, toffset, extensions]).toEqual(['', '', '', 0, []]);
  });

  it('with gantry tilt becomes upright, and says so', async () => {
    const volume = await readVolume(join(folderB, 'odd', '21'));
    expect(volume.notes).toContain('its gantry tilt of 12 degrees is corrected');
    const column = (axis: number) => [0, 1, 2].map((row) => volume.affine[4 * row + axis]!);
    const cosine = column(1).reduce((sum, value, row) => sum + value * column(2)[row]!, 0);
    expect(cosine).toBeCloseTo(0, 2);
    expect(volume.shape).toEqual([24, 24, 8]);
  });

  it('with a missing slice or uneven slices says where and what was done', async () => {
    const missing = await readVolume(join(folderB, 'odd', '22'));
    expect(missing.notes).toEqual([
      'slices are missing: 1 after slice 4',
      'its slices are interpolated to 9, 2 mm apart',
    ]);
    const uneven = await readVolume(join(folderB, 'odd', '23'));
    expect(uneven.notes).toEqual([
      'its slices are uneven, 2 to 3 mm apart',
      'its slices are interpolated to 9, 1.875 mm apart',
    ]);
  });

  it('whose file is cut short is refused', async () => {
    await expect(readVolume(join(folderB, 'broken', '41'))).rejects.toThrow(/1 of its 5 files are cut short/);
  });

  it('that lies there twice is read once', async () => {
    const volume = await readVolume(join(folderB, 'broken'), { series: 42 });
    expectVoxels(volume, expected.B42!);
    expect(volume.notes).toContain('5 files are there twice; one of each is used');
  });
});

describe('the choice of a series', () => {
  it('is the one with the most slices, and the notes list the others', async () => {
    const volume = await readVolume(folderA);
    expectVoxels(volume, expected.A3!);
    expect(volume.notes[0]).toMatch(
      /^read P\d{12}_s3_\d{6} "Lunge 1.0 B60f Fr. \* \*" \(8 slices\), which has the most slices; others: /,
    );
    expect(volume.notes[0]).toMatch(/"Thorax 2.0 B30f" \(6 slices\).*"Thorax 2.0 B30f" \(5 slices\)/);
  });

  it.each([[2], ['thorax'], [/^Thorax \d/]])('by %s', async (series) => {
    expectVoxels(await readVolume(folderA, { series }), expected.A2!);
  });

  it('that fits nothing, or several patients, is an error with all series', async () => {
    await expect(readVolume(folderA, { series: 'abdomen' })).rejects.toThrow(
      /series: expected a series' number, .*"Thorax 2.0 B30f" \(6 slices\)/s,
    );
    await expect(readVolume(tree)).rejects.toThrow(/series: expected one patient's series/);
  });

  it('says why no series is a volume', async () => {
    await expect(readVolume(join(folderA, 'ST000000', 'SE000000'))).rejects.toThrow(/s1_\d{6}: a localiser/);
    await expect(readVolume(join(folderA, 'ST000000', 'SE000003'))).rejects.toThrow(
      /s99_\d{6}: a screen capture/,
    );
    await expect(readVolume(join(folderA, 'ST000000', 'SE000004'))).rejects.toThrow(
      /s501_\d{6}: no image \(SR\)/,
    );
    await expect(readVolume(join(folderA, 'ST000000', 'SE000001', 'IM0000'))).rejects.toThrow(
      /one slice; give its folder/,
    );
  });
});

describe('listSeries', () => {
  it('lists all series of nested folders, and what is no DICOM image', async () => {
    const { series, skipped } = await listSeries(tree);
    expect(series.map(({ number }) => number).sort((a, b) => a! - b!)).toEqual([
      ...[1, 2, 2, 3, 5, 11, 12, 13, 14, 15, 16, 21, 22, 23, 24, 25, 31, 41, 42, 99, 501],
    ]);
    expect(new Set(series.map(({ patient }) => patient)).size).toBe(3);
    expect(skipped).toContainEqual({ reason: 'not DICOM', files: 1, example: '*/*' });
    const listed = JSON.stringify(series.map(({ files: _, ...own }) => own));
    expectNoSecret(Buffer.from(listed + JSON.stringify(skipped)), 'the list');
  });

  it('gives a patient the same pseudonym in every folder, and another one with another key', async () => {
    const patientOf = async (folder: string) => (await listSeries(folder)).series[0]!.patient;
    const here = await patientOf(folderA);
    const copy = join(temporary(), 'elsewhere');
    cpSync(join(folderA, 'ST000001'), copy, { recursive: true });
    expect(await patientOf(copy)).toBe(here);
    const key = process.env.PATCHWISE_PATIENT_KEY!;
    expect(statSync(key).mode & 0o777).toBe(0o600);
    process.env.PATCHWISE_PATIENT_KEY = join(temporary(), 'other');
    expect(await patientOf(copy)).not.toBe(here);
    writeFileSync(process.env.PATCHWISE_PATIENT_KEY, 'not a key');
    await expect(patientOf(copy)).rejects.toThrow(/PATCHWISE_PATIENT_KEY: expected a file with the key/);
    process.env.PATCHWISE_PATIENT_KEY = key;
  });

  it('tells of a link to nothing, and not its name', async () => {
    const folder = join(temporary(), 'links');
    cpSync(join(folderA, 'ST000001', 'SE000000'), folder, { recursive: true });
    symlinkSync(join(temporary(), 'Müller'), join(folder, 'Müller'));
    const { series, skipped } = await listSeries(folder);
    expect(series).toHaveLength(1);
    expect(skipped).toEqual([{ reason: 'a link to nothing', files: 1, example: '*' }]);
    const { leftOut } = await findVolumes(folder);
    expect(leftOut).toEqual([{ file: '*', given: join(folder, '*'), reason: 'a link to nothing' }]);
  });

  it('refuses a folder without DICOM', async () => {
    const folder = join(temporary(), 'empty');
    mkdirSync(folder);
    await expect(listSeries(folder)).rejects.toThrow(/expected DICOM images, found none/);
    writeFileSync(join(folder, 'IM0001'), 'text');
    await expect(listSeries(folder)).rejects.toThrow(/found IM0001: not DICOM/);
  });
});

describe('convertDicom', () => {
  it('writes each series as NIfTI without names and dates, the same bytes every time', async () => {
    const [first, second] = [join(temporary(), 'a'), join(temporary(), 'b')];
    const { series } = await convertDicom(folderA, first);
    const files = series.filter(({ file }) => file !== undefined);
    expect(readdirSync(first).sort()).toEqual(files.map(({ name }) => `${name}.nii.gz`).sort());
    expect(files).toHaveLength(3);
    await convertDicom(folderA, second);
    for (const name of readdirSync(first))
      expect(readFileSync(join(second, name))).toEqual(readFileSync(join(first, name)));
    const volume = await readVolume(files.find(({ number }) => number === 3)!.file!);
    expectVoxels(volume, expected.A3!);
    expect(volume.header!.description).toBe('');
    expectNoSecret(Buffer.from(JSON.stringify(series)), 'the answer');
  });

  it('leaves no temporary folder, after an abort too, and removes those of killed processes', async () => {
    const left = () =>
      readdirSync(tmpdir()).filter((name) => name.startsWith(`patchwise-dicom-${process.pid}-`));
    const killed = spawn(process.execPath, ['-e', '']);
    await new Promise((done) => killed.on('exit', done));
    const stale = join(tmpdir(), `patchwise-dicom-${killed.pid}-12345-AbCdEf`);
    mkdirSync(stale);
    const stop = new AbortController();
    const folder = join(temporary(), 'aborted');
    const converting = convertDicom(folderB, folder, {
      signal: stop.signal,
      onProgress: ({ done, what }) => {
        if (what === 'series' && done === 1) setTimeout(() => stop.abort(new Error('enough')), 20);
      },
    });
    await expect(converting).rejects.toThrow('enough');
    expect(readdirSync(folder).filter((name) => name.startsWith('.'))).toEqual([]);
    expect(left()).toEqual([]);
    expect(existsSync(stale)).toBe(false);
    rmSync(folder, { recursive: true });
  });
});
