import {
  appendFileSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { phantom } from '../../../src/volume/phantom/phantom';
import { prepareDataset } from '../../../src/volume/prepare/prepare';
import { listSeries } from '../../../src/volume/series';
import { openDataset } from '../../../src/volume/store/dataset';
import { writeVolume } from '../../../src/volume/write';
import { dicomFixtures, expected, expectNoSecret, expectVoxels, temporaryKey } from '../dicom-fixtures';
import { temporaryFolder } from '../folder';

const temporary = temporaryFolder();
const at = (...parts: string[]) => join(temporary(), ...parts);

/** All files below a folder, as paths. */
function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isFile());
}

describe('a dataset of DICOM', { timeout: 120_000 }, () => {
  beforeAll(async () => {
    temporaryKey(temporary());
    cpSync(join(dicomFixtures, 'tree'), at('in'), { recursive: true });
    await writeVolume(at('in', 'CT-7_a.nii.gz'), phantom({ shape: [16, 16, 16] }), { dtype: 'int16' });
  });

  it('has every series that is a volume, beside other files, split by real patients, without their names', async () => {
    const { written, leftOut, notes } = await prepareDataset(at('in'), at('dataset'));
    const { volumes } = openDataset(at('dataset'));
    expect(written).toHaveLength(18);
    const sides = new Map<string, Set<string>>();
    for (const { patient, split } of volumes)
      sides.set(patient, (sides.get(patient) ?? new Set()).add(split));
    expect(sides.size).toBe(4);
    expect([...sides.values()].every((own) => own.size === 1)).toBe(true);
    expect(sides.has('CT-7')).toBe(true);
    const named = (number: number) => volumes.filter(({ name }) => name.includes(`_s${number}_`));
    expect(new Set([...named(2), ...named(3)].map(({ patient }) => patient)).size).toBe(1);
    expectVoxels(await named(3)[0]!.read(), expected.A3!);
    expectVoxels(await named(31)[0]!.read(), expected.B31!);
    const reasons = leftOut.map(({ reason }) => reason);
    expect(reasons).toEqual(
      expect.arrayContaining([
        'a localiser',
        'a screen capture',
        'no image (SR)',
        expect.stringMatching(/^1 of its 5 files are cut/),
      ]),
    );
    expect(notes).toContainEqual(expect.stringMatching(/_s22_\d{6}: slices are missing: 1 after slice 4; /));
    for (const path of filesBelow(at('dataset'))) {
      expectNoSecret(readFileSync(path), path);
      expectNoSecret(Buffer.from(path.slice(at('dataset').length)), path);
    }
    expectNoSecret(Buffer.from(JSON.stringify({ written, leftOut, notes })), 'the answer');
  });

  it('is not made again, but for a series whose files changed', async () => {
    const again = await prepareDataset(at('in'), at('dataset'));
    expect(again.written).toEqual([]);
    expect(again.notes).toContainEqual(
      expect.stringMatching(/_s22_\d{6}: slices are missing: 1 after slice 4; /),
    );
    const folder = at('in', 'export', 'GONCALVES^JOSE', 'odd', '24');
    const [first] = readdirSync(folder);
    utimesSync(join(folder, first!), new Date(), new Date());
    expect((await prepareDataset(at('in'), at('dataset'))).written).toEqual([]);
    rmSync(join(folder, first!));
    expect((await prepareDataset(at('in'), at('dataset'))).written).toEqual([
      expect.stringMatching(/_s24_\d{6}$/),
    ]);
  });

  it('refuses another key, which would give each patient another pseudonym', async () => {
    const key = process.env.PATCHWISE_PATIENT_KEY!;
    process.env.PATCHWISE_PATIENT_KEY = at('other-key');
    await expect(prepareDataset(at('in'), at('dataset'))).rejects.toThrow(
      /patient key: expected the file of the key that made/,
    );
    process.env.PATCHWISE_PATIENT_KEY = key;
  });

  it('takes the series of a choice', async () => {
    const { written } = await prepareDataset(at('in', 'MUELLER_JUERGEN_19610517'), at('chosen'), {
      series: 'thorax',
    });
    expect(written).toEqual([expect.stringMatching(/_s2_/), expect.stringMatching(/_s2_/)]);
    await expect(
      prepareDataset(at('in', 'MUELLER_JUERGEN_19610517'), at('none'), { series: 77 }),
    ).rejects.toThrow(/series: expected/);
  });

  it('leaves out a series that dcm2niix cannot convert, and goes on', async () => {
    mkdirSync(at('damaged'));
    cpSync(at('in', 'export', 'GONCALVES^JOSE', 'DICOM'), at('damaged', 'DICOM'), { recursive: true });
    for (const name of readdirSync(at('damaged', 'DICOM')).filter((file) => file.startsWith('J2K'))) {
      const path = at('damaged', 'DICOM', name);
      const bytes = readFileSync(path);
      // Noise in place of the compressed voxels.
      for (let i = bytes.length - 120; i < bytes.length - 20; i++) bytes[i] = (i * 37) % 251;
      writeFileSync(path, bytes);
    }
    const { written, leftOut } = await prepareDataset(at('damaged'), at('damaged-dataset'));
    expect(written).toHaveLength(5);
    expect(leftOut).toEqual([
      { file: expect.stringMatching(/_s11_/), reason: expect.stringMatching(/dcm2niix/) },
    ]);
  });

  it('needs no key without DICOM', async () => {
    mkdirSync(at('plain'));
    cpSync(at('in', 'CT-7_a.nii.gz'), at('plain', 'CT-7_a.nii.gz'));
    writeFileSync(at('plain', 'LICENSE'), 'text');
    appendFileSync(at('plain', 'LICENSE'), 'x'.repeat(200));
    const key = process.env.PATCHWISE_PATIENT_KEY!;
    process.env.PATCHWISE_PATIENT_KEY = at('no-such-folder', 'key');
    const { notes } = await prepareDataset(at('plain'), at('plain-dataset'));
    expect(notes).toEqual([]);
    expect(readdirSync(temporary())).not.toContain('no-such-folder');
    process.env.PATCHWISE_PATIENT_KEY = key;
    expect((await listSeries(at('in', 'anonymous'))).series).toHaveLength(1);
  });
});
