import { execFile } from 'node:child_process';
import fs, {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { compiledFile } from '../../../src/package';
import { phantom } from '../../../src/volume/phantom/phantom';
import { prepareDataset } from '../../../src/volume/prepare/prepare';
import { openDataset } from '../../../src/volume/store/dataset';
import { openShard } from '../../../src/volume/store/shard';
import { writeVolume } from '../../../src/volume/write';
import { temporaryFolder } from '../folder';

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The command in a shell that lets no file grow over `kilobytes`: the system then fails as on a full disk. */
function patchwiseWithin(kilobytes: number, args: readonly string[]): Promise<Ended> {
  const script = 'ulimit -f "$0"; exec "$@"';
  const command = [process.execPath, compiledFile('src', 'cli.js'), ...args];
  return promisify(execFile)('sh', ['-c', script, `${2 * kilobytes}`, ...command]).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    (error: Ended) => error,
  );
}

describe("a fault that is not the file's own", { timeout: 120_000 }, () => {
  const folder = temporaryFolder();
  const input = () => join(folder(), 'in');

  beforeAll(async () => {
    mkdirSync(input());
    for (const [patient, side] of [20, 20, 80, 20].entries())
      await writeVolume(
        join(input(), `P${patient}.nii.gz`),
        phantom({ shape: [side, side, side], seed: patient }),
        {
          dtype: 'int16',
        },
      );
  });

  it('ends the call with its path, keeps what was done, and the next call goes on from there', async () => {
    const output = join(folder(), 'full');
    const { code, stdout, stderr } = await patchwiseWithin(256, [
      'prepare',
      input(),
      output,
      '--workers',
      '1',
    ]);
    expect(code).toBe(1);
    expect(stdout).toBe('');
    expect(stderr).toMatch(/EFBIG/);
    expect(stderr).toContain('P2.part');
    expect(stderr).not.toContain('left out');
    expect(existsSync(join(output, 'dataset.json'))).toBe(false);
    expect(readdirSync(output).filter((name) => name.startsWith('.'))).toEqual([]);
    const rest = await prepareDataset(input(), output);
    expect(rest.kept).toEqual(expect.arrayContaining(['P0', 'P1']));
    expect(rest.leftOut).toEqual([]);
    expect(openDataset(output).volumes).toHaveLength(4);
  });

  it('says so for an output that is a file', async () => {
    const output = join(folder(), 'file');
    writeFileSync(output, '');
    await expect(prepareDataset(input(), output)).rejects.toThrow(
      /output: expected a place that can be written/,
    );
    await expect(prepareDataset(input(), join(output, 'below'))).rejects.toThrow(/\(ENOTDIR\)/);
  });

  it('leaves out files whose links lead nowhere, and folders that cannot be searched, with their names', async () => {
    const [linked, output] = [join(folder(), 'linked'), join(folder(), 'linked-out')];
    mkdirSync(linked);
    symlinkSync(input(), join(linked, 'all'));
    symlinkSync(join(folder(), 'gone'), join(linked, 'gone'));
    writeFileSync(join(linked, '1.dcm'), '');
    symlinkSync('.git/annex/objects/x.nii.gz', join(linked, 'P9.nii.gz'));
    const { written, leftOut } = await prepareDataset(linked, output);
    expect(written).toEqual(['all__P0', 'all__P1', 'all__P2', 'all__P3']);
    const reasons = Object.fromEntries(leftOut.map(({ file, reason }) => [file, reason]));
    expect(Object.keys(reasons).sort()).toEqual(['1.dcm', 'P9.nii.gz', 'gone']);
    expect(reasons['P9.nii.gz']).toMatch(/datalad get/);
    expect(reasons['1.dcm']).toMatch(/empty|not DICOM/);
  });

  it('also if an index could not be read: the split is not drawn again', async () => {
    const output = join(folder(), 'index');
    await prepareDataset(input(), output);
    writeFileSync(join(output, 'dataset.json'), '{"format": "patchwise data');
    await expect(prepareDataset(input(), output)).rejects.toThrow(/dataset.json: expected the index/);
  });
});

describe('a damaged volume', { timeout: 120_000 }, () => {
  const folder = temporaryFolder();
  const [input, output] = [() => join(folder(), 'in.nii'), () => join(folder(), 'out')];
  const inVolume = (...parts: string[]) => join(output(), 'in', ...parts);
  const baseline = { shape: [8, 8, 8], how: 'crop' } as const;
  const prepare = () => prepareDataset(input(), output(), { baseline });
  const read = () => openDataset(output(), { threads: 1 }).volumes[0]!.read();

  beforeAll(async () => {
    await writeVolume(input(), phantom({ shape: [40, 40, 40], seed: 1 }), { dtype: 'int16' });
    await prepare();
  });

  const shard = () => inVolume('image/c/0/0/0');
  it.each([
    ['without its voxels', () => rmSync(shard())],
    ['cut short', () => truncateSync(shard(), statSync(shard()).size - 1000)],
    ['with a damaged index', () => flip(shard(), statSync(shard()).size - 30)],
    ['without its metadata', () => rmSync(inVolume('image/zarr.json'))],
    ['with metadata of another', () => writeFileSync(inVolume('image/zarr.json'), '{}')],
    ['without its folder', () => rmSync(inVolume(), { recursive: true })],
    ['without its image', () => rmSync(inVolume('image'), { recursive: true })],
  ])('%s is prepared again', async (_what, damage) => {
    damage();
    await expect(read()).rejects.toThrow(/npx patchwise prepare INPUT .* --verify/);
    expect((await prepare()).written).toEqual(['in']);
    expect((await read()).data).toHaveLength(40 ** 3);
    expect((await prepare()).kept).toEqual(['in']);
  });

  it('is not one whose index the machine cannot read: it gives its own error', () => {
    const [{ image }] = JSON.parse(readFileSync(join(output(), 'dataset.json'), 'utf8')).volumes;
    const failure = Object.assign(new Error('EPERM: read'), { code: 'EPERM', syscall: 'read' });
    const broken = vi.spyOn(fs, 'readSync').mockImplementation(() => {
      throw failure;
    });
    syncBuiltinESMExports();
    try {
      expect(() => openShard(inVolume('image'), image)).toThrow(failure);
    } finally {
      broken.mockRestore();
      syncBuiltinESMExports();
    }
    openShard(inVolume('image'), image).close();
  });

  it('also if only its smaller view is', async () => {
    rmSync(inVolume('baseline/c/0/0/0'));
    expect((await prepare()).written).toEqual(['in']);
  });

  it('is none whose metadata another program has written again, with more keys in another order', async () => {
    for (const file of ['image/zarr.json', 'zarr.json']) {
      const metadata = JSON.parse(readFileSync(inVolume(file), 'utf8'));
      const turned = Object.fromEntries(Object.entries(metadata).reverse());
      const attributes = Object.fromEntries(Object.entries(metadata.attributes).reverse());
      const more = { ...turned, attributes: { ...attributes, units: 'HU' }, storage_transformers: [] };
      writeFileSync(inVolume(file), JSON.stringify(more));
    }
    await read();
    expect((await prepare()).kept).toEqual(['in']);
  });
});

/** Turns a byte of a file. */
function flip(path: string, at: number): void {
  const bytes = readFileSync(path);
  bytes[at]! ^= 0xff;
  writeFileSync(path, bytes);
}
