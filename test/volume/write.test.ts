import { execFile } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { findPython } from '../../bench/python';
import { Random } from '../../src/random';
import { phantom } from '../../src/volume/phantom/phantom';
import { readHeader, readVolume } from '../../src/volume/read';
import { Volume } from '../../src/volume/volume';
import { writeVolume } from '../../src/volume/write';
import { fixture, temporaryFolder } from './folder';

const affine = [-1.4, 0.1, 0.2, 30, 0.12, 1.3, -0.3, -20.5, 0.15, 0.25, 2.2, 7, 0, 0, 0, 1];

function randomVolume(shape: readonly number[], whole: boolean, seed = 1): Volume {
  const random = new Random(seed, 'write test');
  const data = new Float32Array(shape[0]! * shape[1]! * shape[2]!);
  for (let n = 0; n < data.length; n++) data[n] = whole ? random.below(120) : random.normal() * 300;
  return new Volume({ shape, data, affine });
}

describe('writeVolume', () => {
  const folder = temporaryFolder();

  it.each([
    ['a.nii', 'float32', 1],
    ['b.nii.gz', 'float32', 1],
    ['c.nii.gz', 'float64', 2],
    ['d.hdr', 'int16', 1],
    ['e.img.gz', 'uint8', 2],
    ['f.nii', 'int8', 2],
    ['g.nii.gz', 'uint16', 1],
    ['h.nii', 'int32', 1],
    ['i.nii', 'uint32', 1],
  ] as const)('%s as %s (NIfTI-%i) reads back bit-equal', async (name, dtype, version) => {
    const volume = randomVolume([7, 5, 3], !dtype.startsWith('float'));
    const path = join(folder(), name);
    await writeVolume(path, volume, { dtype, version });
    const back = await readVolume(path);
    expect(back.data).toEqual(volume.data);
    expect(back.shape).toEqual(volume.shape);
    expect(back.header!.datatype).toBe(dtype);
    for (const [at, value] of affine.entries()) expect(back.affine[at]).toBeCloseTo(value, 5);
    for (const [at, value] of volume.spacing.entries()) expect(back.spacing[at]).toBeCloseTo(value, 5);
  });

  it('keeps several pieces, NaN and infinities', async () => {
    const volume = randomVolume([160, 130, 20], false);
    volume.data.set([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0], 300_000);
    const path = join(folder(), 'pieces.nii.gz');
    await writeVolume(path, volume);
    expect((await readVolume(path)).data).toEqual(volume.data);
  });

  it('stores scaled numbers with their slope and intercept', async () => {
    const volume = new Volume({ shape: [4, 1, 1], data: Float32Array.of(-1024, -1023.5, 0, 3000) });
    const path = join(folder(), 'scaled.nii');
    await writeVolume(path, volume, { dtype: 'int16', slope: 0.5, intercept: -1024 });
    const back = await readVolume(path);
    expect([...back.data]).toEqual([-1024, -1023.5, 0, 3000]);
    expect([back.header!.slope, back.header!.intercept]).toEqual([0.5, -1024]);
  });

  it.each([
    'forms-disagree',
    'forms-qform',
    'forms-none',
    'forms-left-handed',
    'qfac-minus',
    'sform-sheared',
  ])('gives back both forms of %s', async (name) => {
    const path = join(folder(), `${name}.nii`);
    const before = await readVolume(fixture(`${name}.nii`));
    await writeVolume(path, before);
    const { qform, sform, qfac, pixdim, affine: kept } = await readHeader(path);
    const { header } = before;
    expect({ qform, sform, qfac, pixdim, kept }).toEqual({
      qform: header!.qform,
      sform: header!.sform,
      qfac: header!.qfac,
      pixdim: header!.pixdim,
      kept: before.affine,
    });
  });

  it('writes a new affine in the place of the one it read', async () => {
    const path = join(folder(), 'turned.nii');
    const turned = await readVolume(fixture('forms-permuted.nii'), { canonical: true });
    await writeVolume(path, turned);
    const back = await readVolume(path);
    for (const [at, value] of turned.affine.entries()) expect(back.affine[at]).toBeCloseTo(value, 4);
    expect(back.data).toEqual(turned.data);
    expect(back.header!.qform.code).toBe(1);
  });

  it('refuses values that the type cannot hold, says where, and keeps the old file', async () => {
    const path = join(folder(), 'kept.nii');
    writeFileSync(path, 'before');
    const volume = new Volume({ shape: [2, 2, 1], data: Float32Array.of(1, 2, 3, 40_000) });
    await expect(writeVolume(path, volume, { dtype: 'int16' })).rejects.toThrow('[1, 1, 0]');
    expect(readFileSync(path, 'utf8')).toBe('before');
    expect(readdirSync(folder()).filter((name) => name.endsWith('.part'))).toEqual([]);
  });

  it.each(['abort.nii', 'abort.nii.gz'])('leaves nothing of %s behind when it is aborted', async (name) => {
    const control = new AbortController();
    const writing = writeVolume(join(folder(), name), randomVolume([128, 128, 64], false), {
      signal: control.signal,
      onProgress: () => control.abort(new Error('enough')),
    });
    await expect(writing).rejects.toThrow('enough');
    expect(readdirSync(folder()).filter((entry) => entry.includes('abort'))).toEqual([]);
  });

  it('names the extensions it can write, and a folder that is not there', async () => {
    const volume = randomVolume([2, 2, 2], false);
    await expect(writeVolume(join(folder(), 'a.mha'), volume)).rejects.toThrow('.nii, .nii.gz');
    await expect(writeVolume(join(folder(), 'nowhere/a.nii'), volume)).rejects.toThrow('ENOENT');
  });
});

describe('written files, read by nibabel', async () => {
  const folder = temporaryFolder();
  const python = await findPython(['nibabel']);
  if (!python) console.warn('skipped: no Python with nibabel (PATCHWISE_PYTHON, .venv/bin/python, python3)');

  it.skipIf(!python)('is bit-equal, in the same place, without a complaint', async () => {
    const cases = [
      ['plain.nii', { dtype: 'float32' }],
      ['packed.nii.gz', { dtype: 'int16', slope: 2, intercept: -10 }],
      ['second.nii.gz', { dtype: 'float64', version: 2 }],
      ['pair.hdr', { dtype: 'uint8' }],
    ] as const;
    const volume = randomVolume([7, 5, 3], true);
    const data = volume.data.map((value) => value * 2);
    const even = volume.with(data);
    for (const [name, options] of cases) await writeVolume(join(folder(), name), even, options);
    const script = `
import json, logging, sys, nibabel, numpy
logging.getLogger('nibabel.global').setLevel(1)
out = []
for path in sys.argv[1:]:
    image = nibabel.load(path)
    values = image.get_fdata(dtype=numpy.float32)
    qform, sform = image.get_qform().ravel().tolist(), image.get_sform().ravel().tolist()
    out.append([values.ravel(order='F').tolist(), qform, sform, image.header.get_xyzt_units()[0]])
print(json.dumps(out))`;
    const paths = cases.map(([name]) => join(folder(), name));
    const { stdout, stderr } = await promisify(execFile)(python!, ['-c', script, ...paths]);
    expect(stderr).toBe('');
    for (const [values, qform, sform, units] of JSON.parse(stdout) as [
      number[],
      number[],
      number[],
      string,
    ][]) {
      expect(values).toEqual([...data]);
      expect(units).toBe('mm');
      for (const [at, value] of affine.entries()) expect(sform[at]).toBeCloseTo(value, 5);
      expect(qform[3]).toBeCloseTo(30, 5);
    }
  });
});

describe('names and headers at their limits', () => {
  const folder = temporaryFolder();
  const small = phantom({ shape: [6, 5, 4] });

  it.each(['.nii', '.nii.gz', '.hdr'])('a name as long as the file system takes, %s', async (extension) => {
    const path = join(folder(), `${'n'.repeat(255 - extension.length)}${extension}`);
    await writeVolume(path, small);
    expect((await readVolume(path)).data).toEqual(small.data);
  });

  it('a system error says which file', async () => {
    const path = join(folder(), `${'n'.repeat(300)}.nii`);
    const failure = await writeVolume(path, small).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'ENAMETOOLONG', path });
  });

  it.each([
    ['sform', 280, 254],
    ['qform', 256, 252],
  ])('NaN in the %s is not written back, and the place stays as it was read', async (_form, at, code) => {
    const [odd, back] = [join(folder(), 'odd.nii'), join(folder(), 'back.nii')];
    const affine = [2, 0, 0, -7, 0, 2, 0, 5, 0, 0, 3, 9, 0, 0, 0, 1];
    await writeVolume(odd, new Volume({ shape: small.shape, data: small.data, affine }));
    const bytes = readFileSync(odd);
    bytes.writeFloatLE(Number.NaN, at);
    bytes.writeInt16LE(2, code);
    writeFileSync(odd, bytes);
    const read = await readVolume(odd);
    await writeVolume(back, read);
    const { qform, sform } = await readHeader(back);
    const written = [...qform.quaternion, ...qform.offset, ...sform.rows];
    expect(written.every(Number.isFinite), written.join()).toBe(true);
    expect((await readVolume(back)).affine).toEqual(read.affine);
  });

  it('NaN in both forms leaves none', async () => {
    const [odd, back] = [join(folder(), 'none.nii'), join(folder(), 'none-back.nii')];
    await writeVolume(odd, small);
    const bytes = readFileSync(odd);
    for (const at of [256, 280]) bytes.writeFloatLE(Number.NaN, at);
    writeFileSync(odd, bytes);
    const read = await readVolume(odd);
    await writeVolume(back, read);
    const { qform, sform } = await readHeader(back);
    expect([qform.code, sform.code]).toEqual([0, 0]);
    expect((await readVolume(back)).affine).toEqual(read.affine);
  });

  it("FreeSurfer's surface of seven subdivisions is one axis, as in nibabel", async () => {
    const path = join(folder(), 'ico7.nii');
    const data = new Float32Array(163842).map((_, n) => n);
    await writeVolume(path, new Volume({ shape: [27307, 1, 6], data }));
    const volume = await readVolume(path);
    expect(volume.shape).toEqual([163842, 1, 1]);
    expect(volume.data).toEqual(data);
  });
});
