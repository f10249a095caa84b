import { cpSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { phantom } from '../../../src/volume/phantom/phantom';
import { prepareDataset } from '../../../src/volume/prepare/prepare';
import { writeDatasetVolume } from '../../../src/volume/prepare/write-volume';
import { readVolume } from '../../../src/volume/read';
import { openDataset } from '../../../src/volume/store/dataset';
import { writeVolume } from '../../../src/volume/write';
import { temporaryFolder } from '../folder';

const folder = temporaryFolder();
const one = () => join(folder(), 'one.nii');

/** Names that file systems allow and that programs often stumble over. Their stems; `.nii` follows. */
const stems = [
  '-rf',
  '--help',
  'a b',
  'blank at the end ',
  'dot.',
  'x..',
  'new\nline',
  'tab\t',
  'quotes"\'',
  'back\\slash',
  '$(x)`y`;&|',
  '*?[a]',
  '%s%n',
  '\x1b[31mred',
  'p:q',
  '~',
  'CON',
  'case',
  'CASE',
  'M\u00fcller',
  'Mu\u0308ller',
  '\u{1f600}',
  '\u202eright to left',
  'a'.repeat(251),
  '\u00e9'.repeat(125),
  '\u{1f600}'.repeat(62),
  'dataset.json',
  'zarr.json',
  'ZARR.JSON',
  'image',
  'constructor',
  '__proto__',
];

beforeAll(async () => writeVolume(one(), phantom({ shape: [8, 8, 8] }), { dtype: 'int16' }));

describe('a file with any name that the file system allows', { timeout: 120_000 }, () => {
  it('is in the dataset, under a name of its own, and stays there', async () => {
    const [input, output] = [join(folder(), 'in'), join(folder(), 'out')];
    mkdirSync(input);
    for (const stem of stems) cpSync(one(), join(input, `${stem}.nii`));
    const given = readdirSync(input).length;
    // macOS holds fewer: it takes some pairs for one file.
    expect(given).toBeGreaterThan(stems.length - 4);
    const { leftOut, written } = await prepareDataset(input, output);
    expect(leftOut).toEqual([]);
    expect(new Set(written.map((name) => name.toLowerCase())).size).toBe(given);
    for (const name of written) expect(name).toMatch(/^[\w-](?:[\w.-]{0,126}[\w-])?$/);
    const dataset = openDataset(output);
    for (const volume of dataset.volumes) expect((await volume.read()).shape).toEqual([8, 8, 8]);
    expect(dataset.volumes.map(({ source }) => source).sort()).toEqual(readdirSync(input).sort());
    await dataset.close();
    const again = await prepareDataset(input, output);
    expect([again.kept.length, again.notes]).toEqual([given, []]);
  });

  it.skipIf(process.platform !== 'linux')('is named with the cure if the bytes are not UTF-8', async () => {
    const input = join(folder(), 'bytes');
    mkdirSync(input);
    cpSync(one(), join(input, 'P1.nii'));
    writeFileSync(
      Buffer.concat([Buffer.from(`${input}/`), Buffer.from([0xff, 0xfe]), Buffer.from('.nii')]),
      '',
    );
    const { leftOut, written } = await prepareDataset(input, join(folder(), 'bytes-out'));
    expect(written).toEqual(['P1']);
    expect(leftOut.map(({ reason }) => reason)).toEqual([
      'expected a file, found a name whose bytes are not UTF-8; rename it, as `convmv` does for whole folders',
    ]);
  });

  it.each(['.nii', '.nii.gz', '.hdr'])(
    'of the greatest length is written and read, with %s',
    async (ending) => {
      const volume = await readVolume(one());
      for (const letter of ['x', '\u00e9']) {
        const room = 255 - ending.length;
        const path = join(folder(), letter.repeat(Math.floor(room / Buffer.byteLength(letter))) + ending);
        await writeVolume(path, volume, { dtype: 'int16' });
        expect((await readVolume(path)).data).toEqual(volume.data);
      }
      const tooLong = join(folder(), 'x'.repeat(256 - ending.length) + ending);
      await expect(writeVolume(tooLong, volume)).rejects.toThrow(/ENAMETOOLONG|too long/);
    },
  );
});

it.each(['zarr.json', 'Dataset.json', 'x.', '.x', '', 'a/b', '..', 'a\nb', 'x'.repeat(129)])(
  'a volume that is added alone cannot have the name %j',
  async (name) => {
    const output = join(folder(), 'names');
    const { shape, spacing, affine, data } = phantom({ shape: [8, 8, 8] });
    const call = writeDatasetVolume(output, { shape, spacing, affine }, [{ z: 0, depth: 8, data }], { name });
    await expect(call).rejects.toThrow(/name: expected letters, digits/);
    expect(readdirSync(folder())).not.toContain('names');
  },
);
