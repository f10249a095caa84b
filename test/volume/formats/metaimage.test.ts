import { join } from 'node:path';
import { deflateSync, gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { readHeader, readVolume, readVoxels } from '../../../src/volume/read';
import { fileFolder, voxels } from './refusals';

const { put, refusal } = fileFolder();
const fixtures = join(__dirname, '../../fixtures/formats');

function header(fields: Readonly<Record<string, string | number>> = {}): string {
  const { ElementDataFile = 'LOCAL', ...others } = {
    ObjectType: 'Image',
    NDims: 3,
    DimSize: '5 4 3',
    ElementType: 'MET_SHORT',
    ...fields,
  };
  const lines = Object.entries({ ...others, ElementDataFile });
  return lines.map(([key, value]) => `${key} = ${value}\n`).join('');
}

describe('MetaImage', () => {
  it('of LUNA16 has its place in the world of NIfTI, with its header in the same terms', async () => {
    const read = await readHeader(join(fixtures, 'luna.mhd'));
    const size = 0.7617189884185791;
    expect(read.affine).toEqual([-size, 0, 0, 195, 0, -size, 0, 195, 0, 0, 2.5, -378, 0, 0, 0, 1]);
    expect(read).toMatchObject({
      format: 'metaimage',
      datatype: 'int16',
      series: [],
      slope: 1,
      intercept: 0,
    });
    expect(read.pixdim).toEqual([size, size, 2.5]);
    expect(read.sform).toEqual({ code: 1, rows: read.affine.slice(0, 12) });
  });

  it('gives the voxels and the place of the same scan as NIfTI', async () => {
    const nifti = await readVolume(join(fixtures, 'itk.nii'));
    for (const name of [
      'itk.mha',
      'itk-packed.mha',
      'itk.mhd',
      'itk-packed.mhd',
      'itk.nrrd',
      'itk-apart.nhdr',
    ]) {
      const volume = await readVolume(join(fixtures, name));
      expect(volume.data).toEqual(nifti.data);
      for (const [n, value] of volume.affine.entries()) expect(value).toBeCloseTo(nifti.affine[n]!, 4);
      const turned = await readVoxels(join(fixtures, name), { canonical: true });
      expect(turned.data).toEqual((await readVoxels(join(fixtures, 'itk.nii'), { canonical: true })).data);
    }
  });

  it('inflates to the end of the file where no length is given, and checks the sum', async () => {
    const whole = put('whole.mha', header({ CompressedData: 'True' }), deflateSync(voxels));
    expect((await readVolume(whole)).data[1]).toBe(-987);
    const damaged = deflateSync(voxels);
    damaged[damaged.length - 1]! ^= 1;
    const path = put('damaged.mha', header({ CompressedData: 'True' }), damaged);
    expect(await refusal(path)).toBe('FILE: expected intact gzip or zlib data, found incorrect data check');
    const cut = put(
      'cut.mha',
      header({ CompressedData: 'True', CompressedDataSize: 20 }),
      deflateSync(voxels),
    );
    expect(await refusal(cut)).toContain('unexpected end of file');
  });

  it('takes units and names that are not ASCII', async () => {
    put('Müller.raw', voxels);
    const path = put(
      'u.mhd',
      header({ DistanceUnits: 'cm', ElementSpacing: '0.1 0.2 0.3', ElementDataFile: 'Müller.raw' }),
    );
    const { spacing } = await readVolume(path);
    for (const [axis, size] of [1, 2, 3].entries()) expect(spacing[axis]).toBeCloseTo(size);
  });

  it('of several volumes asks which', async () => {
    const path = join(fixtures, 'series.mha');
    await expect(readVolume(path)).rejects.toThrow(/0 to 2, because .* is 5 x 2 x 2 x 3/);
    expect((await readVolume(path, { index: 2 })).shape).toEqual([5, 2, 2]);
    await expect(readVolume(join(fixtures, 'luna.mhd'), { channel: 'red' })).rejects.toThrow(/one component/);
  });

  it.each([
    [{ ObjectType: 'Tube' }, /ObjectType Image, found "Tube"/],
    [{ NDims: 8 }, /between 2 and 7 axes, found NDims 8/],
    [{ NDims: 2 }, /DimSize with 2 numbers, found "5 4 3"/],
    [{ DimSize: '5 4 0' }, /at least one voxel, found sizes 5 x 4 x 0/],
    [{ DimSize: '5 4 3.5' }, /at least one voxel/],
    [{ DimSize: '99999999 99999999 99999999' }, /fewer than 2\^53 voxels/],
    [{ DimSize: '512 512 604' }, /316669952 bytes up to the last voxel, found a file of/],
    [{ ElementType: 'MET_STRING' }, /ElementType of MET_CHAR, .* found "MET_STRING"/],
    [{ ElementNumberOfChannels: 3 }, /one number in each voxel, found 3 channels; write one of them/],
    [{ ElementSpacing: '1 0 1' }, /three directions that span space, and voxels of a size above 0/],
    [{ ElementSpacing: '1 one 1' }, /ElementSpacing with 3 numbers, found "1 one 1"/],
    [{ TransformMatrix: '1 0 0 1 0 0 0 0 1' }, /three directions that span space/],
    [{ TransformMatrix: '1 0 0 0 1 0' }, /TransformMatrix with 9 numbers/],
    [{ HeaderSize: -2 }, /HeaderSize to be a whole number, -1 or more/],
    [{ HeaderSize: -1, CompressedData: 'True' }, /uncompressed voxels with HeaderSize = -1/],
    [
      { ElementToIntensityFunctionSlope: 2 },
      /voxels that need no scaling, found ElementToIntensityFunctionSlope = 2/,
    ],
    [
      { ElementDataFile: 'lost.raw' },
      /its voxels in FOLDER\/lost.raw \(ElementDataFile\), found no such file; put it there/,
    ],
    [{ ElementDataFile: '/dev/null' }, /no regular file/],
    [{ ElementDataFile: '..' }, /a folder; give the files in it/],
    [{ ElementDataFile: 'LIST' }, /the name of a file with voxels, found/],
    [{ ElementDataFile: 'slice%03d.raw 1 9999999999' }, /a file pattern with the first and last number/],
    [{ ElementDataFile: 'slice%03d.raw 1 2' }, /the names of 3 files with voxels, found 2/],
    [{ BinaryData: 'False' }, /numbers that int16 holds/],
  ])('is refused for %j', async (fields, message) => {
    expect(await refusal(put('refused.mha', header(fields), voxels))).toMatch(message);
  });

  it('is refused if it is gzipped as a whole, ends early, or has lines of another kind', async () => {
    const gzipped = put('all.mha.gz', gzipSync(Buffer.concat([Buffer.from(header()), voxels])));
    expect(await refusal(gzipped)).toMatch(/all of it gzipped; unpack it with `gunzip`/);
    expect(await refusal(put('early.mhd', 'ObjectType = Image\nNDims = 3\n'))).toMatch(/the whole header/);
    expect(await refusal(put('lines.mhd', 'NDims = 3\nvolume\n'))).toMatch(
      /MetaImage lines .*, found "volume"/,
    );
    expect(await refusal(put('less.mhd', 'NDims = 3\nElementDataFile = a.raw\n'))).toMatch(
      /MetaImage with the field DimSize, found none/,
    );
    expect(await refusal(put('some.raw', voxels))).toMatch(
      /voxels without a header; give the .mhd or .nhdr file/,
    );
  });
});
