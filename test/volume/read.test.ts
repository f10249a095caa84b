import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { isPatchwiseError } from '../../src/errors';
import type { Progress } from '../../src/progress';
import { readHeader, readVolume, readVoxels } from '../../src/volume/read';
import { Volume } from '../../src/volume/volume';
import { writeVolume } from '../../src/volume/write';
import { fixture, temporaryFolder } from './folder';

interface Expectation {
  readonly file: string;
  readonly options?: { index?: number; channel?: string; canonical?: boolean };
  readonly error?: string;
  readonly shape?: number[];
  readonly affine?: number[];
  readonly spacing?: number[];
  readonly sha256?: string;
  readonly first?: string[];
}

const expectations = JSON.parse(readFileSync(fixture('expected.json'), 'utf8')) as Expectation[];

describe('readVolume against nibabel', () => {
  it.each(
    expectations.map((entry) => [`${entry.file} ${JSON.stringify(entry.options ?? {})}`, entry] as const),
  )('%s', async (_name, { file, options, error, ...facts }) => {
    const reading = readVolume(fixture(file), options);
    if (error !== undefined) {
      const failure = await reading.then(
        () => undefined,
        (reason: unknown) => reason,
      );
      expect(isPatchwiseError(failure), `${failure}`).toBe(true);
      expect((failure as Error).message).toContain(error);
      return;
    }
    const volume = await reading;
    expect(volume.shape).toEqual(facts.shape);
    expect([...volume.data.subarray(0, facts.first!.length)]).toEqual(facts.first!.map(pythonFloat));
    const bytes = new Uint8Array(volume.data.buffer, volume.data.byteOffset, volume.data.byteLength);
    expect(createHash('sha256').update(bytes).digest('hex').slice(0, 16)).toBe(facts.sha256);
    for (const [at, value] of facts.affine!.entries()) expect(volume.affine[at]).toBeCloseTo(value, 4);
    for (const [at, value] of facts.spacing!.entries()) {
      expect(volume.spacing[at]! / value).toBeCloseTo(1, 4);
    }
  });
});

function pythonFloat(text: string): number {
  return text.endsWith('inf') ? (text.startsWith('-') ? -Infinity : Infinity) : Number(text);
}

describe('readVolume of a path without a file', () => {
  const folder = temporaryFolder();

  it('says so, also if links on the way lead in a circle', async () => {
    await symlink('loop', join(folder(), 'loop'));
    await symlink('gone.nii', join(folder(), 'link.nii'));
    const found = async (path: string) => {
      const failure: unknown = await readVolume(join(folder(), path)).catch((error: unknown) => error);
      expect(isPatchwiseError(failure, 'UnreadableFile'), `${failure}`).toBe(true);
      return (failure as Error).message;
    };
    expect(await found('none.nii')).toContain('found none there');
    expect(await found('loop/x.nii')).toContain('found none there');
    expect(await found('link.nii')).toContain('a link to gone.nii, where no file is');
  });
});

describe('readVoxels', () => {
  it('gives the stored numbers in an array of their own type, with the scaling beside them', async () => {
    const voxels = await readVoxels(fixture('slope-usual.nii'));
    const volume = await readVolume(fixture('slope-usual.nii'));
    expect(voxels.data).toBeInstanceOf(Int16Array);
    expect([voxels.slope, voxels.intercept]).toEqual([1, -1024]);
    expect([...voxels.data].map((stored) => stored - 1024)).toEqual([...volume.data]);
  });

  it.each(['int8', 'uint8', 'int16', 'uint16', 'int32', 'uint32', 'float32', 'float64'])(
    '%s is the same whatever the byte order',
    async (type) => {
      const little = await readVoxels(fixture(`${type}-1-little.nii`));
      const swapped = await readVoxels(fixture(`${type}-2-big.nii`));
      expect(little.data).toEqual(swapped.data);
      expect(little.data.constructor.name.toLowerCase()).toBe(`${type}array`);
    },
  );

  it('gives 64-bit integers as doubles', async () => {
    const { data } = await readVoxels(fixture('int64-1-little.nii'));
    expect(data).toBeInstanceOf(Float64Array);
    expect(data[0]).toBe(-(2 ** 63));
    expect(data.at(-1)).toBe(2 ** 63);
  });

  it('turns to RAS+ as readVolume does', async () => {
    const voxels = await readVoxels(fixture('forms-permuted.nii'), { canonical: true });
    const volume = await readVolume(fixture('forms-permuted.nii'), { canonical: true });
    expect(voxels.shape).toEqual(volume.shape);
    expect([...voxels.data]).toEqual([...volume.data]);
  });
});

describe('the header', () => {
  it('is read alone, without its image', async () => {
    const header = await readHeader(fixture('nibabel-nifti2.hdr'));
    expect(header.format).toBe('nifti-2');
  });

  it('keeps both forms', async () => {
    const { qform, sform, qfac } = await readHeader(fixture('forms-disagree.nii'));
    expect([qform.code, sform.code, qfac]).toEqual([3, 1, -1]);
    expect(sform.rows[3]).toBe(99.5);
    expect(qform.offset[0]).toBe(30);
  });
});

describe('a file that is no volume', () => {
  const folder = temporaryFolder();

  it.each([
    ['a missing file', 'missing.nii', 'none there'],
    ['a folder', '.', 'a folder'],
  ])('%s', async (_what, name, message) => {
    const failure = await readVolume(join(folder(), name)).catch((reason: unknown) => reason);
    expect(isPatchwiseError(failure, 'UnreadableFile')).toBe(true);
    expect((failure as Error).message).toContain(message);
  });

  it.skipIf(process.platform === 'win32')('a named pipe at once', async () => {
    const path = join(folder(), 'pipe.nii');
    execFileSync('mkfifo', [path]);
    await expect(readVolume(path)).rejects.toThrow(/no regular file/);
  });
});

describe('files past 4 GiB', () => {
  const folder = temporaryFolder();

  it('gives a volume behind the 4 GiB mark without reading the bytes before it', async () => {
    const path = join(folder(), 'large.nii');
    const small = readFileSync(fixture('dim-4d.nii'));
    // 256 x 256 x 64 x 1024 int16 voxels: 8 GiB, but the file system stores only the written parts.
    for (const [n, size] of [4, 256, 256, 64, 1024].entries()) small.writeInt16LE(size, 40 + 2 * n);
    await writeFile(path, small.subarray(0, 352));
    const volumeBytes = 256 * 256 * 64 * 2;
    await truncate(path, 352 + 1023 * volumeBytes);
    const last = new Int16Array(volumeBytes / 2).map((_, n) => n % 1000);
    await writeFile(path, new Uint8Array(last.buffer), { flag: 'a' });
    const volume = await readVolume(path, { index: 1023 });
    expect(volume.data.every((value, n) => value === n % 1000)).toBe(true);
    expect((await readVolume(path, { index: 512 })).data.every((value) => value === 0)).toBe(true);
    await expect(readVolume(path)).rejects.toThrow(
      new RegExp(`index: expected 0 to 1023, because ${path} is `),
    );
  });
});

describe('volumes of more bytes than one array may have', () => {
  const folder = temporaryFolder();
  afterEach(() => vi.unstubAllGlobals());

  /** Node 20 allows 4 GiB; a machine of 4 MiB tells as much. */
  function allowBytes(most: number): void {
    vi.stubGlobal(
      'Uint8Array',
      new Proxy(Uint8Array, {
        construct(target, args: [number | ArrayBuffer, number?, number?], newTarget) {
          const array = Reflect.construct(target, args, newTarget) as Uint8Array;
          if (array.length > most) throw new RangeError(`Invalid typed array length: ${array.length}`);
          return array;
        },
      }),
    );
  }

  it.each(['int16', 'float32', 'float64'] as const)('%s is read piece by piece', async (dtype) => {
    const path = join(folder(), `${dtype}.nii`);
    const data = new Float32Array(100 * 100 * 240).map((_, n) => n % 1999);
    await writeVolume(path, new Volume({ shape: [100, 100, 240], data }), { dtype });
    allowBytes(2 ** 22);
    const volume = await readVolume(path);
    expect(volume.data.every((value, n) => value === data[n])).toBe(true);
    const { data: stored } = await readVoxels(path);
    expect(stored.byteLength).toBeGreaterThan(2 ** 22);
    expect(stored.every((value, n) => value === data[n])).toBe(true);
  });
});

describe('a long read', () => {
  const folder = temporaryFolder();

  it('reports its bytes up to the total', async () => {
    const seen: Progress[] = [];
    await readVolume(fixture('nibabel-example_nifti2.nii.gz'), {
      index: 0,
      onProgress: (progress) => seen.push(progress),
    });
    expect(seen.at(-1)!.done).toBe(seen.at(-1)!.total);
    expect(seen.at(-1)!.what).toBe('bytes');
  });

  it.each(['nii', 'nii.gz'])('of a .%s ends in its middle with the signal’s reason', async (extension) => {
    const path = join(folder(), `long.${extension}`);
    await writeVolume(path, new Volume({ shape: [128, 128, 100], data: new Float32Array(128 * 128 * 100) }));
    const control = new AbortController();
    let last = { done: 0, total: 0 };
    const reading = readVolume(path, {
      signal: control.signal,
      onProgress: (progress) => {
        last = progress;
        control.abort(new Error('enough'));
      },
    });
    await expect(reading).rejects.toThrow('enough');
    expect(last.done).toBeGreaterThan(0);
    expect(last.done).toBeLessThan(last.total);
  });
});
