import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { readHeader, readVolume } from '../../../src/volume/read';
import { fileFolder, voxels } from './refusals';

const { put, refusal } = fileFolder();
const fixtures = join(__dirname, '../../fixtures/formats');

function header(
  fields: Readonly<Record<string, string | number | undefined>> = {},
  magic = 'NRRD0004',
): string {
  const all = { type: 'short', dimension: 3, sizes: '5 4 3', encoding: 'raw', endian: 'little', ...fields };
  const lines = Object.entries(all).filter(([, value]) => value !== undefined);
  return `${magic}\n${lines.map(([key, value]) => `${key}: ${value}\n`).join('')}\n`;
}

describe('NRRD', () => {
  it("of 3D Slicer has its place in NIfTI's world", async () => {
    const { format, affine, pixdim, datatype } = await readHeader(join(fixtures, 'slicer.nrrd'));
    expect([format, datatype]).toEqual(['nrrd', 'int16']);
    expect(affine).toEqual([-0.7, 0.1, 0, 120.5, -0.1, -0.7, 0, 99.25, 0, 0, 1.25, -800, 0, 0, 0, 1]);
    expect(pixdim[0]).toBeCloseTo(Math.hypot(0.7, 0.1));
  });

  it.each([
    ['RAS', [1, 1]],
    ['right-anterior-superior', [1, 1]],
    ['LAS', [-1, 1]],
    ['left-anterior-superior-time', [-1, 1]],
    ['LPS', [-1, -1]],
    ['LPST', [-1, -1]],
    ['right anterior superior time', [1, 1]],
    ['scanner-xyz-time', [-1, -1]],
    ['3D-left-handed', [-1, -1]],
  ] as const)('has its directions and its origin turned from %s', async (space, [x, y]) => {
    const directions = { space, 'space directions': '(2,0,0) (0,3,0) (0,0,4)', 'space origin': '(5,6,7)' };
    const { affine } = await readHeader(put('space.nrrd', header(directions), voxels));
    expect(affine).toEqual([2 * x, 0, 0, 5 * x, 0, 3 * y, 0, 6 * y, 0, 0, 4, 7, 0, 0, 0, 1]);
  });

  it('of a series in time has the time last', async () => {
    const four = { dimension: 4, sizes: '5 2 2 3', space: 'RAST' };
    const directions = { ...four, 'space directions': '(1,0,0,0) (0,1,0,0) (0,0,1,0) (0,0,0,0.5)' };
    const path = put('time.nrrd', header(directions), voxels);
    expect(await readHeader(path)).toMatchObject({ shape: [5, 2, 2], series: [3] });
    expect((await readVolume(path, { index: 2 })).data[0]).toBe(37 * 40 - 1024);
    const flat = put('flat.nrrd', header({ kinds: 'space space time' }), voxels);
    expect(await readHeader(flat)).toMatchObject({ shape: [5, 4, 1], series: [3] });
  });

  it('has a third direction at right angles, if it is a slice in space', async () => {
    const slice = { dimension: 2, sizes: '5 12', space: 'RAS', 'space directions': '(0,2,0) (0,0,3)' };
    const { affine } = await readHeader(
      put('slice.nrrd', header({ ...slice, 'space origin': '(1,2,3)' }), voxels),
    );
    expect(affine).toEqual([0, 0, 1, 1, 2, 0, 0, 2, 0, 3, 0, 3, 0, 0, 0, 1]);
  });

  it('may have an origin in space without directions', async () => {
    const origin = { space: 'RAS', 'space origin': '(1,2,3)' };
    const { affine } = await readHeader(put('origin.nrrd', header(origin), voxels));
    expect(affine).toEqual([-1, 0, 0, 1, 0, -1, 0, 2, 0, 0, 1, 3, 0, 0, 0, 1]);
  });

  it('takes units', async () => {
    const units = {
      space: 'RAS',
      'space directions': '(1,0,0) (0,1,0) (0,0,1)',
      'space units': '"um" "um" "um"',
    };
    expect((await readVolume(put('um.nrrd', header(units), voxels))).spacing).toEqual([0.001, 0.001, 0.001]);
    const plain = { spacings: '1 2 3', units: '"cm" "cm" "mm"' };
    expect((await readVolume(put('cm.nrrd', header(plain), voxels))).spacing).toEqual([10, 20, 3]);
  });

  it('has its header told by the content, whatever the name', async () => {
    expect(
      (await readVolume(put('named.nii.gz', header({ encoding: 'gzip' }), gzipSync(voxels)))).data[1],
    ).toBe(-987);
  });

  it.each([
    [{ dimension: undefined }, /NRRD with the field dimension, found none/],
    [{ dimension: 1, sizes: '60' }, /between 2 and 7 axes, found dimension 1/],
    [{ sizes: '5 4' }, /sizes with 3 numbers/],
    [{ type: 'block' }, /a type of NRRD with plain numbers/],
    [{ endian: undefined }, /the field endian, little or big, found none/],
    [{ encoding: 'bzip2' }, /an encoding of raw, gzip, text or hex, found bzip2; write it as gzip/],
    [{ encoding: 'gzip' }, /intact gzip or zlib data/],
    [{ encoding: 'hex', sizes: '5 2 1' }, /hexadecimal digits/],
    [{ encoding: 'ascii' }, /numbers that int16 holds/],
    [
      { sizes: '3 5 4', kinds: 'RGB-color domain domain' },
      /one number in each voxel, .*`unu slice -a 0 -p 0`/,
    ],
    [
      { dimension: 4, sizes: '2 5 2 3', space: 'LPS', 'space directions': 'none (1,0,0) (0,1,0) (0,0,1)' },
      /the axes of space first, found kinds "" of sizes 2 x 5 x 2 x 3/,
    ],
    [{ space: 'LPS', 'space directions': '(1,0,0) (0,1,0) (1,1,0)' }, /three directions that span space/],
    [{ space: 'LPS', 'space directions': '(1,0,0) (0,1,0)' }, /3 space directions, or "none"/],
    [
      { space: 'LPS', 'space directions': '(1,0,0) (0,1,0) (0,0,x)' },
      /space directions of 2 to 4 numbers each/,
    ],
    [{ 'spce directions': '(1,0,0) (0,1,0) (0,0,1)' }, /fields of NRRD .*, found "spce directions"/],
    [
      { space: 'RSA', 'space directions': '(1,0,0) (0,1,0) (0,0,1)' },
      /a space of NRRD, such as left-posterior-superior, RAS or 3D-right-handed, found "RSA"/,
    ],
    [{ spacings: '1 2' }, /3 spacings, found "1 2"/],
    [{ 'byte skip': -1, encoding: 'hex' }, /raw or gzip encoding with byte skip -1, found "hex"/],
    [{ 'byte skip': -5 }, /byte skip to be a whole number, -1 or more/],
    [{ 'line skip': 1000 }, /1000 lines before the voxels/],
    [{ 'data file': 'lost.raw' }, /its voxels in FOLDER\/lost.raw \(data file\), found no such file/],
    [{ 'data file': 'SKIPLIST' }, /one byte skip for all data files/],
    [{ 'data file': 's%d.raw 1 3 0' }, /a file pattern with the first and last number/],
    [{ Sizes: '5 4 3' }, /each field once, found Sizes twice/],
    [{ sizes: '500 400 300' }, /120000000 bytes up to the last voxel, found a file of/],
  ])('is refused for %j', async (fields, message) => {
    expect(await refusal(put('refused.nrrd', header(fields), voxels))).toMatch(message);
  });

  it('is refused if it is newer, or its header has no end', async () => {
    expect(await refusal(put('new.nrrd', header({}, 'NRRD0006'), voxels))).toMatch(
      /NRRD0001 to NRRD0005, found "NRRD0006"/,
    );
    expect(await refusal(put('endless.nrrd', 'NRRD0004\n', new Uint8Array(9_000_000).fill(65)))).toMatch(
      /the whole header/,
    );
    expect(await refusal(put('lines.nrrd', 'NRRD0004\nvolume\n\n'))).toMatch(/NRRD lines such as/);
  });
});
