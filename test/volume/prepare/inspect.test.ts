import { cpSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { beforeAll, describe, expect, it } from 'vitest';
import { toBundle } from '../../../src/plot/show';
import { inspectionTables } from '../../../src/plot/volume/inspection';
import { inspectVolumes } from '../../../src/volume/prepare/inspect';
import { prepareDataset } from '../../../src/volume/prepare/prepare';
import type { Volume } from '../../../src/volume/volume';
import { Volume as MadeVolume } from '../../../src/volume/volume';
import { type WriteOptions, writeVolume } from '../../../src/volume/write';
import { fixture, temporaryFolder } from '../folder';

const temporary = temporaryFolder();
const at = (...parts: string[]) => join(temporary(), ...parts);

/** Air, soft tissue and noise: each seed is another patient. */
function ct(seed: number, change: (value: number) => number = (value) => value): Volume {
  const shape = [16, 16, 18] as const;
  let state = seed;
  const data = Float32Array.from({ length: 16 * 16 * 18 }, (_, n) => {
    state = (state * 1103515245 + 12345) % 2 ** 31;
    const noise = (state % 41) - 20;
    const isAir = n % 16 < 8;
    return change((isAir ? -1000 : 40) + noise);
  });
  return new MadeVolume({ shape, data, spacing: [1, 1, 1], affine: lps(1, 1, 1) });
}

function lps(x: number, y: number, z: number): number[] {
  return [-x, 0, 0, 0, 0, -y, 0, 0, 0, 0, z, 0, 0, 0, 0, 1];
}

async function put(file: string, volume: Volume, options: WriteOptions = { dtype: 'int16' }): Promise<void> {
  mkdirSync(dirname(at(file)), { recursive: true });
  await writeVolume(at(file), volume, options);
}

/** Each oddity of a folder's volumes with its files. */
async function odd(folder: string, options = {}): Promise<[string, readonly string[]][]> {
  const { oddities } = await inspectVolumes(at(folder), options);
  return oddities.map(({ note, files }) => [note, files]);
}

describe('an inspection', { timeout: 60_000 }, () => {
  beforeAll(async () => {
    for (const n of [1, 2, 3]) await put(`sound/P${n}_a.nii.gz`, ct(n));
  });

  it('tells what is there, and finds nothing odd in sound volumes', async () => {
    const inspection = await inspectVolumes(at('sound'));
    expect(inspection.oddities).toEqual([]);
    expect(inspection.leftOut).toEqual([]);
    expect(inspection.patientRule).toContain('P1 of P1_a.nii.gz');
    expect(inspection.volumes.map(({ patient }) => patient)).toEqual(['P1', 'P2', 'P3']);
    const [first] = inspection.volumes;
    expect(first).toMatchObject({
      shape: [16, 16, 18],
      orientation: 'LPS',
      dtype: 'int16',
      format: 'nifti-1',
    });
    expect(first!.voxels!.range).toEqual([-1020, 60]);
  });

  it('reads headers alone if it is told to', async () => {
    const { volumes } = await inspectVolumes(at('sound'), { voxels: false });
    expect(volumes.map(({ voxels }) => voxels)).toEqual([undefined, undefined, undefined]);
  });

  it('leaves out what cannot be read to its last byte, with the reasons of every other call', async () => {
    await put('damaged/P1.nii.gz', ct(1));
    const packed = gzipSync(Buffer.alloc(20_000, 5));
    writeFileSync(at('damaged/P2.nii.gz'), packed.subarray(0, 20));
    writeFileSync(at('damaged/P3.nii'), '');
    cpSync(fixture('dim-4d.nii'), at('damaged/P4.nii'));
    await put(
      'damaged/P5.nii',
      ct(5, () => Number.NaN),
      { dtype: 'float32' },
    );
    const { volumes, leftOut } = await inspectVolumes(at('damaged'));
    expect(volumes.map(({ file }) => file)).toEqual(['P1.nii.gz']);
    const prepared = await prepareDataset(at('damaged'), at('damaged-out'));
    const sorted = [...leftOut].sort((a, b) => (a.file < b.file ? -1 : 1));
    expect(sorted).toEqual([...prepared.leftOut].sort((a, b) => (a.file < b.file ? -1 : 1)));
    expect(sorted.map(({ file }) => file)).toEqual(['P2.nii.gz', 'P3.nii', 'P4.nii', 'P5.nii']);
    expect(sorted[1]!.reason).toContain('an empty file');
  });

  it('tells units apart: detector numbers, display values, values scaled twice, padding', async () => {
    await put('units/P1.nii.gz', ct(1));
    await put(
      'units/P2.nii.gz',
      ct(2, (value) => value + 1024 + (value > 0 ? 1500 : 0)),
    );
    await put(
      'units/P3.nii.gz',
      ct(3, (value) => Math.max(0, Math.min(255, value))),
      { dtype: 'uint8' },
    );
    await put(
      'units/P4.nii.gz',
      ct(4, (value) => value - 1024),
    );
    let n = 0;
    await put(
      'units/P5.nii.gz',
      ct(5, (value) => (n++ % 3 === 0 ? -3024 : value)),
    );
    expect(await odd('units')).toEqual([
      [expect.stringMatching(/^values 0 to 4095/), ['P2.nii.gz']],
      [expect.stringMatching(/^not in Hounsfield units/), ['P3.nii.gz']],
      [expect.stringMatching(/scaled twice/), ['P4.nii.gz']],
      [expect.stringMatching(/^padding far below air/), ['P5.nii.gz']],
    ]);
  });

  it('finds other orientations, which `canonical` mends, and odd voxel sizes', async () => {
    for (const n of [1, 2]) await put(`places/P${n}.nii.gz`, ct(n));
    const { data, shape } = ct(3);
    const ras = [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1];
    await put('places/P3.nii.gz', new MadeVolume({ shape, data, affine: ras }));
    const long = new MadeVolume({ shape, data: ct(4).data, affine: lps(1, 1, 6) });
    await put('places/P4.nii.gz', long);
    const tilted = [-1, 0, 0, 0, 0, -1, 0.3, 0, 0, 0, 1, 0, 0, 0, 0, 1];
    await put('places/P5.nii.gz', new MadeVolume({ shape, data: ct(5).data, affine: tilted }));
    const found = await odd('places');
    expect(found).toEqual([
      [expect.stringMatching(/^voxels over 5 times/), ['P4.nii.gz']],
      [expect.stringMatching(/^sheared/), ['P5.nii.gz']],
      [expect.stringMatching(/^axes run RAS, but LPS in most/), ['P3.nii.gz']],
    ]);
    expect((await odd('places', { canonical: true })).map(([note]) => note)).toHaveLength(2);
  });

  it('finds the same voxels under other names, formats and types, and tilted twins', async () => {
    await put('twins/P1.nii.gz', ct(1));
    await put('twins/P2.nii', ct(1), { dtype: 'float32' });
    await put('twins/P3_a.nii', ct(3));
    await put('twins/P3_b.nii.gz', ct(3));
    await put('twins/P4_s2.nii.gz', ct(4));
    await put('twins/P4_s2_Tilt_1.nii.gz', ct(5));
    expect(await odd('twins')).toEqual([
      [expect.stringMatching(/different patients/), ['P1.nii.gz = P2.nii']],
      [expect.stringMatching(/under several names/), ['P3_a.nii = P3_b.nii.gz']],
      [expect.stringMatching(/^a tilted or uneven original/), ['P4_s2.nii.gz (of P4_s2_Tilt_1.nii.gz)']],
    ]);
  });

  it.each([
    ['scans that count as patients', ['anna/scan1', 'anna/scan2', 'bert/scan1'], /^files of one name/],
    ['numbers of scans', ['smith_1', 'smith_2', 'jones_1', 'meyer_1'], /last number count as different/],
    ['numbers of patients', ['P001_a', 'P002_a', 'P011_a'], undefined],
    ['one folder a patient', ['sub-1/ses-1/sub-1_ses-1', 'sub-1/ses-2/sub-1_ses-2'], undefined],
  ])('judges names: %s', async (folder, files, expected) => {
    for (const [i, file] of files.entries()) await put(`${folder}/${file}.nii.gz`, ct(i + 1));
    const notes = (await odd(folder)).map(([note]) => note);
    expect(notes).toEqual(expected === undefined ? [] : [expect.stringMatching(expected)]);
    expect(await odd(folder, { patient: '^([^/]+)' })).toEqual([]);
  });

  it('ends with its signal, and tells its progress', async () => {
    const seen: number[] = [];
    await inspectVolumes(at('sound'), { onProgress: ({ done }) => seen.push(done) });
    expect(seen).toEqual([0, 1, 2, 3]);
    await expect(inspectVolumes(at('sound'), { signal: AbortSignal.abort() })).rejects.toThrow(/abort/i);
  });

  it('is a table of few volumes and a summary of many', async () => {
    const few = await inspectVolumes(at('units'));
    const text = inspectionTables(few)
      .map((table) => table.toText())
      .join('\n');
    expect(text).toContain('5 volumes of 5 patients');
    expect(text).toMatch(/P5\.nii\.gz +P5 +nifti-1 +16 x 16 x 18 +1 x 1 x 1 +LPS +int16 +-3024 to 60/);
    const [volume] = few.volumes;
    const many = Array.from({ length: 500 }, (_, n) => ({
      ...volume!,
      file: `P${n}.nii.gz`,
      patient: `P${n}`,
      shape: [512, 512, 100 + n] as const,
    }));
    const [summary, ...others] = inspectionTables({
      volumes: many,
      leftOut: [],
      oddities: [],
      patientRule: '',
    });
    expect(others).toEqual([]);
    expect(summary!.rows.length).toBeLessThan(20);
    expect(summary!.toText()).toMatch(/voxels +495 other values +495/);
    expect(toBundle(few)!['text/plain']).toContain('what is odd');
  });
});

describe('a strict preparation', { timeout: 60_000 }, () => {
  it('refuses everything odd and left out, all named, before it writes', async () => {
    const refused = prepareDataset(at('damaged'), at('strict'), { strict: true });
    await expect(refused).rejects.toThrow(/only sound volumes.*\n.*P2\.nii\.gz.*\n.*P3\.nii: .*\n.*P4/);
    await expect(prepareDataset(at('units'), at('strict'), { strict: true })).rejects.toThrow(
      /scaled twice: P4\.nii\.gz\n.*padding .*: P5\.nii\.gz/,
    );
    expect(existsSync(at('strict'))).toBe(false);
    const { oddities } = await prepareDataset(at('sound'), at('strict'), { strict: true });
    expect(oddities).toEqual([]);
  });

  it('tells of values after it has read them if it is not strict', async () => {
    const { oddities } = await prepareDataset(at('units'), at('lenient'));
    expect(oddities.map(({ files }) => files)).toEqual([
      ['P2.nii.gz'],
      ['P3.nii.gz'],
      ['P4.nii.gz'],
      ['P5.nii.gz'],
    ]);
  });
});
