import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { searchFolder } from '../../src/volume/folder';
import { temporaryFolder } from './folder';

const folder = temporaryFolder();
const at = (...parts: string[]) => join(folder(), ...parts);
const dicom = Buffer.concat([Buffer.alloc(128), Buffer.from('DICM')]);

function put(root: string, files: readonly string[], content: string | Buffer = ''): void {
  for (const file of files) {
    mkdirSync(at(root, file, '..'), { recursive: true });
    writeFileSync(at(root, file), content);
  }
}

describe('a folder', () => {
  it('gives volumes of any spelling and depth, and nothing that is hidden', () => {
    put('plain', [
      'b.nii',
      'a/X.NII.GZ',
      'a/p.hdr',
      'a/p.img',
      'c.nii.zst',
      '._b.nii',
      '.git/d.nii',
      'e.txt',
    ]);
    expect(searchFolder(at('plain'))).toEqual({
      volumes: ['a/X.NII.GZ', 'a/p.hdr', 'b.nii', 'c.nii.zst'],
      leftOut: [],
      mayBeDicom: [],
      zarr: [],
    });
  });

  it('names images without a header', () => {
    put('images', ['a.img', 'b.img.gz', 'c.hdr', 'c.img.gz']);
    const { volumes, leftOut } = searchFolder(at('images'));
    expect(volumes).toEqual(['c.hdr']);
    expect(leftOut.map(({ file }) => file)).toEqual(['a.img', 'b.img.gz']);
  });

  it('gives the headers of MetaImage and NRRD, and names voxels that have none', () => {
    put('text', [
      'a.mha',
      'b.MHD',
      'b.raw',
      'c.mhd',
      'c.zraw',
      'd.nrrd',
      'e.nhdr',
      'e.raw.gz',
      'lost/f.zraw',
    ]);
    const { volumes, leftOut } = searchFolder(at('text'));
    expect(volumes).toEqual(['a.mha', 'b.MHD', 'c.mhd', 'd.nrrd', 'e.nhdr']);
    expect(leftOut).toEqual([
      { file: 'lost/f.zraw', reason: expect.stringMatching(/^voxels without a header/) },
    ]);
  });

  it('follows links to files and folders, each folder once, its own place first', () => {
    put('outside', ['far.nii', 'deep/er.nii']);
    put('links', ['sub/own.nii']);
    symlinkSync(at('outside/far.nii'), at('links/file.nii'));
    symlinkSync(at('outside'), at('links/linked'));
    symlinkSync(at('links/sub'), at('links/again'));
    symlinkSync(at('links'), at('links/sub/loop'));
    symlinkSync(at('outside'), at('links/twice'));
    expect(searchFolder(at('links'))).toEqual({
      volumes: ['file.nii', 'linked/deep/er.nii', 'linked/far.nii', 'sub/own.nii'],
      leftOut: [],
      mayBeDicom: [],
      zarr: [],
    });
  });

  it('names links that lead nowhere or to themselves; links named as volumes are left to their reader', () => {
    put('lost', ['own.nii']);
    symlinkSync('/mnt/unplugged/site2', at('lost/site2'));
    symlinkSync('/mnt/unplugged/x.nii', at('lost/x.nii'));
    symlinkSync(at('lost/self'), at('lost/self'));
    const { volumes, leftOut } = searchFolder(at('lost'));
    expect(volumes).toEqual(['own.nii', 'x.nii']);
    expect(leftOut.map(({ file }) => file)).toEqual(['self', 'site2']);
    expect(leftOut[1]!.reason).toBe('a link to /mnt/unplugged/site2, where no file is');
  });

  it.skipIf(process.getuid?.() === 0)('names folders that may not be read', () => {
    put('closed', ['own.nii', 'lost+found/x.nii']);
    chmodSync(at('closed/lost+found'), 0);
    const { volumes, leftOut } = searchFolder(at('closed'));
    chmodSync(at('closed/lost+found'), 0o755);
    expect(volumes).toEqual(['own.nii']);
    expect(leftOut).toEqual([{ file: 'lost+found', reason: 'a folder that cannot be read (EACCES)' }]);
  });

  describe('of DICOM files', () => {
    beforeAll(() => {
      put('dicom', ['one/1.dcm', 'two/IM0001', 'three/1.2.840.113619.2'], dicom);
      put('dicom', ['README', 'two/A.txt', 'four/ct.nii', 'four/1.dcm', 'DICOMDIR']);
    });

    it('are those of a DICOM extension or of none', () => {
      expect(searchFolder(at('dicom')).mayBeDicom).toEqual([
        'README',
        'four/1.dcm',
        'one/1.dcm',
        'three/1.2.840.113619.2',
        'two/IM0001',
      ]);
    });
  });
});
