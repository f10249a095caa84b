import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { findPython } from '../../bench/python';
import { readHeader, readVolume } from '../../src/volume/read';
import type { Volume } from '../../src/volume/volume';
import { wholeStorage, writeVolume } from '../../src/volume/write';
import { skip } from '../required';
import { temporaryFolder } from './folder';

const fixture = (name: string) => join(__dirname, '..', 'fixtures', 'nifti-extras', name);

const kept = ['single.nii', 'second.nii.gz', 'pair.hdr'];
const targets = [
  ['copy.nii', 1],
  ['copy.nii.gz', 2],
  ['copy.hdr', 1],
] as const;
const pairs = kept.flatMap((from) => targets.map(([to, version]) => [from, to, version] as const));

function whatStays({ header }: Volume) {
  const { nifti, datatype, description, qform, sform, pixdim, qfac } = header!;
  return { nifti, datatype, description, qform, sform, pixdim, qfac };
}

/** NIfTI-1 holds numbers of 32 bits, NIfTI-2 of 64. */
function rounded(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value), (_, part) =>
    typeof part === 'number' ? Math.fround(part) : part,
  );
}

describe('a NIfTI header that says all it can', () => {
  const folder = temporaryFolder();

  it.each(kept)('is read from %s', async (name) => {
    const { nifti, description } = await readHeader(fixture(name));
    expect(description).toBe('a scan, für alle');
    expect(nifti).toMatchObject({
      calMin: -1000,
      calMax: 400,
      intent: { code: 1001, parameters: [1.5, -2.25, 8], name: 'lung mask' },
      auxFile: 'colours.lut',
      toffset: 12.5,
      timeUnit: 16,
      steps: [2.5, 3, 4, 5],
      dimInfo: 0b11_01_10,
      slices: { code: 2, start: 1, end: 3, duration: 0.75 },
    });
    expect(nifti!.extensions.map(({ code }) => code)).toEqual([6, 4]);
    expect(Buffer.from(nifti!.extensions[0]!.data).toString()).toMatch(/^made by generate.py\0*$/);
  });

  it.each(pairs)('%s stays as it is in %s (NIfTI-%i)', async (from, to, version) => {
    const volume = await readVolume(fixture(from));
    const path = join(folder(), `${from}-${to}`);
    await writeVolume(path, volume, { version, ...wholeStorage(volume.header) });
    const back = await readVolume(path);
    expect(back.data).toEqual(volume.data);
    expect(rounded(back.affine)).toEqual(rounded(volume.affine));
    expect(rounded(whatStays(back))).toEqual(rounded(whatStays(volume)));
  });

  it('does not tell the slice axis of other axes', async () => {
    const turned = await readVolume(fixture('single.nii'), { canonical: true });
    const path = join(folder(), 'turned.nii');
    await writeVolume(path, turned);
    const { nifti } = await readHeader(path);
    const none = { code: 0, start: 0, end: 0, duration: 0 };
    expect(nifti).toMatchObject({ dimInfo: 0, slices: none, calMin: -1000, auxFile: 'colours.lut' });
  });

  it('numbers that NIfTI-1 cannot hold, and NaN, become 0', async () => {
    const volume = await readVolume(fixture('second.nii.gz'));
    const nifti = { ...volume.header!.nifti!, calMax: Number.NaN };
    const header = { ...volume.header!, nifti: { ...nifti, slices: { ...nifti.slices, end: 70_000 } } };
    const path = join(folder(), 'narrow.nii');
    await writeVolume(path, { ...volume, header } as typeof volume, { version: 1 });
    expect((await readHeader(path)).nifti).toMatchObject({ calMax: 0, slices: { end: 0, start: 1 } });
  });

  it('nibabel finds every field as it was, and the same voxels', async () => {
    const python = await findPython(['nibabel']);
    if (!python) return skip('nibabel', 'comparing headers with it', 'PATCHWISE_PYTHON');
    const files: string[] = [];
    for (const [from, to, version] of pairs) {
      const volume = await readVolume(fixture(from));
      const path = join(folder(), `nibabel-${from}-${to}`);
      await writeVolume(path, volume, { version, ...wholeStorage(volume.header) });
      files.push(fixture(from), path);
    }
    const { stdout, stderr } = await promisify(execFile)(python, ['-c', comparison, ...files]);
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toEqual(pairs.map(() => []));
  });
});

/** Names the fields that differ between each pair of files. */
const comparison = `
import json, logging, sys, nibabel, numpy
logging.getLogger('nibabel.global').setLevel(1)
place = {'sizeof_hdr', 'magic', 'vox_offset', 'eol_check', 'scl_slope', 'scl_inter'}
obsolete = {'data_type', 'db_name', 'extents', 'session_error', 'regular', 'glmax', 'glmin', 'unused_str'}
differ = []
for a, b in zip(sys.argv[1::2], sys.argv[2::2]):
    a, b = nibabel.load(a), nibabel.load(b)
    names = [n for n in a.header.keys() if n in b.header.keys() and n not in place | obsolete]
    found = []
    for n in names:
        x, y = a.header[n], b.header[n]
        same = x == y if x.dtype.kind == 'S' else numpy.allclose(x, y, rtol=1e-6)
        if not numpy.all(same): found.append(n)
    strip = lambda image: [(e.get_code(), bytes(e.get_content() if isinstance(e.get_content(), bytes) else str(e.get_content()).encode()).rstrip(b'\\0')) for e in image.header.extensions]
    if strip(a) != strip(b): found.append('extensions')
    if not numpy.array_equal(a.get_fdata(), b.get_fdata()): found.append('voxels')
    if not numpy.allclose(a.affine, b.affine, atol=1e-5): found.append('affine')
    if not numpy.allclose(a.header.get_zooms(), b.header.get_zooms()): found.append('zooms')
    if a.get_data_dtype() != b.get_data_dtype(): found.append('dtype')
    differ.append(found)
print(json.dumps(differ))
`;

describe('whole numbers', () => {
  const folder = temporaryFolder();

  it('a file of unsigned numbers over an intercept is written with the same', async () => {
    const volume = await readVolume(fixture('unsigned.nii.gz'));
    const stored = wholeStorage(volume.header);
    expect(stored).toEqual({ dtype: 'uint16', slope: 1, intercept: -1024 });
    const path = join(folder(), 'unsigned.nii');
    await writeVolume(path, volume, stored);
    const back = await readVolume(path);
    expect(back.data).toEqual(volume.data);
    expect(back.header).toMatchObject({ datatype: 'uint16', slope: 1, intercept: -1024 });
  });

  it('clips to the range of the type, and rounds', async () => {
    const volume = await readVolume(fixture('single.nii'));
    const data = new Float32Array(volume.data.length);
    data.set([-40_000, 40_000, 1.5, -1.6, 0.4, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]);
    const path = join(folder(), 'clipped.nii');
    await writeVolume(path, volume.with(data), { dtype: 'int16', clip: true });
    const expected = [-32768, 32767, 2, -2, 0, 32767, -32768];
    expect([...(await readVolume(path)).data.subarray(0, 7)]).toEqual(expected);
  });

  it('refuses NaN also when it clips, and a level that zlib does not have', async () => {
    const volume = await readVolume(fixture('single.nii'));
    const path = join(folder(), 'refused.nii.gz');
    const broken = volume.with(volume.data.map((value, n) => (n === 8 ? Number.NaN : value)));
    await expect(writeVolume(path, broken, { dtype: 'int16', clip: true })).rejects.toThrow('[2, 1, 0]');
    await expect(writeVolume(path, volume, { level: 10 })).rejects.toThrow('1 to 9');
    expect(() => readFileSync(path)).toThrow('ENOENT');
  });
});
