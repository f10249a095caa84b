import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { isPatchwiseError } from '../../../src/errors';
import { readHeader, readVolume, readVoxels } from '../../../src/volume/read';
import { fixture, temporaryFolder } from '../folder';

const folder = temporaryFolder();

/** Content that goes on as a real file would. */
function file(start: string, at = 0): Buffer {
  const bytes = Buffer.alloc(1000, 7);
  bytes.write(start, at, 'latin1');
  return bytes;
}

const lfs = 'version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 123456\n';

describe('a file that people mistake for a volume is named, with the cure', () => {
  it.each([
    ['DICOM', file('DICM', 128), /DICOM, which is read as a folder, .*npx patchwise convert/],
    ['DICOM with a TIFF in its preamble', Buffer.from(file('DICM', 128).fill('II*\0', 0, 4)), /DICOM/],
    ['old DICOM', file('\x08\0\x08\0\x16\0\0\0'), /DICOM/],
    ['gzipped DICOM', gzipSync(file('DICM', 128)), /DICOM/],
    ['zstd', file('\x28\xb5\x2f\xfd'), /zstd -d/],
    ['bzip2', file('BZh91AY'), /bunzip2/],
    ['xz', file('\xfd7zXZ\0'), /unxz/],
    ['lz4', file('\x04\x22\x4d\x18'), /unlz4/],
    ['zip', file('PK\x03\x04'), /unzip/],
    ['gzip twice', gzipSync(gzipSync('volume')), /gzip within gzip.*gunzip/],
    ['a short zip', Buffer.from('PK\x03\x04 and little more'), /unzip/],
    ['a packed tar', gzipSync(file('ustar', 257)), /tar -xf/],
    ['a Git LFS pointer', Buffer.from(lfs), /git lfs pull/],
    ['a git-annex pointer', Buffer.from('/annex/objects/SHA256E-s1--00.nii.gz\n'), /datalad get/],
    ['a web page', Buffer.from('\n<!DOCTYPE html><html><title>Log in</title>'), /download failed/],
    ['a bare web page', Buffer.from('<HTML><BODY>503</BODY>'), /download failed/],
    ["a server's error", Buffer.from('<?xml version="1.0"?><Error>AccessDenied</Error>'), /download failed/],
    ['JSON', Buffer.from('{"status": 404, "message": "not found"}'), /JSON/],
    ['HDF5', file('\x89HDF\r\n'), /HDF5/],
    ['NumPy', file('\x93NUMPY'), /NumPy/],
    ['a PNG', file('\x89PNG\r\n'), /picture/],
    ['zeros', Buffer.alloc(4096), /not complete/],
    ['packed zeros', gzipSync(Buffer.alloc(4096)), /not complete/],
  ])('%s', async (what, bytes, message) => {
    const path = join(folder(), `${what}.nii.gz`);
    writeFileSync(path, bytes);
    for (const read of [readVolume, readVoxels, readHeader]) {
      const failure = await read(path).catch((reason: unknown) => reason);
      expect(isPatchwiseError(failure, 'UnreadableFile'), `${failure}`).toBe(true);
      expect((failure as Error).message).toMatch(message);
    }
  });

  it('a folder, and one of DICOM files', async () => {
    mkdirSync(join(folder(), 'series'));
    await expect(readVolume(join(folder(), 'series'))).rejects.toThrow(
      /a folder with volumes \(.*, found none/,
    );
    writeFileSync(join(folder(), 'series/IM1'), file('DICM', 128));
    await expect(readVolume(join(folder(), 'series'))).rejects.toThrow(
      /expected a folder with volumes .*, found .*IM1: cut short/,
    );
  });

  it('links that lead nowhere, and into git-annex', async () => {
    const [lost, annex] = [join(folder(), 'lost.nii'), join(folder(), 'annex.nii.gz')];
    symlinkSync('/mnt/unplugged/scan.nii', lost);
    symlinkSync('../.git/annex/objects/Xq/SHA256E-s1--00.nii.gz', annex);
    await expect(readVolume(lost)).rejects.toThrow(/a link to \/mnt\/unplugged\/scan.nii, where no file is/);
    await expect(readVolume(annex)).rejects.toThrow(/datalad get/);
  });

  it('does not mistake a volume for another kind of file', async () => {
    for (const name of ['int16-1-little.nii', 'float64-2-big.nii', 'analyze-big.hdr', 'plain-named.nii.gz'])
      await expect(readHeader(fixture(name))).resolves.toBeTruthy();
  });
});
