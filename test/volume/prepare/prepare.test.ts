import { execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';
import { InvalidArgument, UnreadableFile } from '../../../src/errors';
import { compiledFile } from '../../../src/package';
import { phantom } from '../../../src/volume/phantom/phantom';
import { prepareDataset } from '../../../src/volume/prepare/prepare';
import { readVolume } from '../../../src/volume/read';
import { openDataset } from '../../../src/volume/store/dataset';
import { writeVolume } from '../../../src/volume/write';
import { temporaryFolder } from '../folder';

const folder = temporaryFolder();
const inputs = () => join(folder(), 'in');

/** Names and contents of all files under a folder. */
function snapshot(dir: string): Record<string, string> {
  const files = readdirSync(dir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const pairs = files.map((entry) => {
    const path = join(entry.parentPath, entry.name);
    return [path.slice(dir.length), createHash('sha256').update(readFileSync(path)).digest('hex')] as const;
  });
  return Object.fromEntries(pairs.sort((a, b) => (a[0] < b[0] ? -1 : 1)));
}

const shardOf = (output: string, name: string) => join(output, name, 'image/c/0/0/0');

beforeAll(async () => {
  for (let patient = 1; patient <= 5; patient++)
    for (const scan of patient === 1 ? ['a', 'b'] : ['a']) {
      const volume = phantom({ shape: [72, 65, 50], seed: patient + (scan === 'b' ? 10 : 0) });
      const path = join(inputs(), '..', `PAT00${patient}_${scan}.nii.gz`);
      await writeVolume(path, volume, { dtype: 'int16' });
      cpSync(path, join(inputs(), `PAT00${patient}_${scan}.nii.gz`), { preserveTimestamps: true });
    }
});

describe('prepareDataset', () => {
  it('puts each patient on one side, and the index says so', async () => {
    const output = join(folder(), 'split');
    const prepared = await prepareDataset(inputs(), output, { split: [0.5, 0.25, 0.25], seed: 1 });
    expect(prepared.written).toHaveLength(6);
    expect(prepared.split).toMatchObject({ train: { patients: 3 }, test: { patients: 1 } });
    const dataset = openDataset(output);
    const sides = new Map<string, Set<string>>();
    for (const { patient, split } of dataset.volumes)
      sides.set(patient, (sides.get(patient) ?? new Set()).add(split));
    expect([...sides.keys()]).toEqual(['PAT001', 'PAT002', 'PAT003', 'PAT004', 'PAT005']);
    for (const side of sides.values()) expect(side.size).toBe(1);
  });

  it('follows a table: its files, its patients, its sides, and draws those it leaves open', async () => {
    const output = join(folder(), 'table');
    const csv = join(folder(), 'table.csv');
    const rows = ['PAT001_a,A,test', 'PAT002_a,A,', 'PAT003_a,B,validation', 'PAT004_a,C,', 'PAT005_a,D,'];
    writeFileSync(csv, `file,patient,split\n${rows.join('\n')}\n`);
    await prepareDataset(inputs(), output, { csv });
    expect(openDataset(output).volumes.map(({ name, patient, split }) => [name, patient, split])).toEqual([
      ['PAT001_a', 'A', 'test'],
      ['PAT002_a', 'A', 'test'],
      ['PAT003_a', 'B', 'validation'],
      ['PAT004_a', 'C', 'train'],
      ['PAT005_a', 'D', 'train'],
    ]);
  });

  it('does nothing twice: unchanged volumes stay, what changed is done again', async () => {
    const input = join(folder(), 'again-in');
    const output = join(folder(), 'again');
    cpSync(inputs(), input, { recursive: true, preserveTimestamps: true });
    await prepareDataset(input, output);
    const [first, second] = [shardOf(output, 'PAT001_a'), shardOf(output, 'PAT002_a')];
    const inode = { first: statSync(first).ino, second: statSync(second).ino };
    // One file is touched and the same, one has another content, one is new.
    utimesSync(join(input, 'PAT001_a.nii.gz'), new Date(), new Date());
    await writeVolume(join(input, 'PAT002_a.nii.gz'), phantom({ shape: [40, 40, 40], seed: 77 }), {
      dtype: 'int16',
    });
    cpSync(join(input, 'PAT003_a.nii.gz'), join(input, 'PAT009_a.nii.gz'));
    const again = await prepareDataset(input, output);
    expect(again.written).toEqual(['PAT002_a', 'PAT009_a']);
    expect(statSync(first).ino).toBe(inode.first);
    expect(statSync(second).ino).not.toBe(inode.second);
    expect(openDataset(output).volumes.find(({ name }) => name === 'PAT002_a')!.shape).toEqual([40, 40, 40]);
  });

  it('keeps voxels where only the window is another, and not where the spacing is', async () => {
    const output = join(folder(), 'options');
    await prepareDataset(inputs(), output, { intensity: 'ctpa' });
    const window = await prepareDataset(inputs(), output, { intensity: 'lung' });
    expect(window.written).toEqual([]);
    expect(openDataset(output).volumes[0]!.intensity).toMatchObject({ name: 'lung', low: -1350 });
    const spaced = await prepareDataset(inputs(), output, { intensity: 'lung', spacing: [4, 4, 4] });
    expect(spaced.written).toHaveLength(6);
    expect(openDataset(output).volumes[0]!.spacing).toEqual([4, 4, 4]);
  });

  it('leaves a bad file out with its reason, and goes on', async () => {
    const input = join(folder(), 'bad-in');
    const output = join(folder(), 'bad');
    cpSync(inputs(), input, { recursive: true });
    writeFileSync(join(input, 'PAT006.nii'), 'no NIfTI at all');
    const whole = readFileSync(join(input, 'PAT003_a.nii.gz'));
    writeFileSync(join(input, 'PAT003_a.nii.gz'), whole.subarray(0, whole.length / 2));
    const prepared = await prepareDataset(input, output);
    expect(prepared.leftOut.map(({ file }) => file)).toEqual(['PAT003_a.nii.gz', 'PAT006.nii']);
    expect(prepared.leftOut[1]!.reason).toMatch(/expected a header of 348 bytes/);
    expect(openDataset(output).volumes).toHaveLength(5);
    expect(readdirSync(output).filter((name) => /PAT003|PAT006|part/.test(name))).toEqual([]);
  });

  it('takes one volume of 4D files by its index, and leaves out a volume without a finite voxel', async () => {
    const input = join(folder(), 'odd');
    const example = join(__dirname, '../../fixtures/nifti/dim-4d.nii');
    cpSync(example, join(input, 'p1_4d.nii'));
    const nothing = new Float32Array(27).fill(Number.NaN);
    const empty = phantom({ shape: [3, 3, 3] }).with(nothing);
    await writeVolume(join(input, 'p2_nan.nii'), empty);
    const output = join(folder(), 'odd-out');
    const prepared = await prepareDataset(input, output, { index: 1 });
    expect(prepared.written).toEqual(['p1_4d']);
    expect(prepared.leftOut[0]!.reason).toMatch(/index: expected 0 to 0/);
    await expect(prepareDataset(join(input, 'p2_nan.nii'), output, { index: 0 })).rejects.toThrow(
      /finite numbers, found none/,
    );
    const [stored] = openDataset(output).volumes;
    const { data } = await readVolume(join(input, 'p1_4d.nii'), { index: 1 });
    expect((await stored!.read()).data).toEqual(data);
    await expect(prepareDataset(input, output, { index: -1 })).rejects.toThrow(/index/);
  });

  it('fails where nothing can be read, and refuses wrong options before anything is written', async () => {
    const bad = join(folder(), 'only-bad.nii');
    const output = join(folder(), 'nothing');
    writeFileSync(bad, 'x');
    await expect(prepareDataset(inputs(), output, { split: [1, 1, 1] })).rejects.toThrow(InvalidArgument);
    await expect(prepareDataset(inputs(), output, { intensity: 'bone' as 'lung' })).rejects.toThrow(
      /an intensity/,
    );
    await expect(prepareDataset(inputs(), output, { spacing: [1, 0, 1] })).rejects.toThrow(/spacing/);
    expect(existsSync(output)).toBe(false);
    await expect(prepareDataset(bad, output)).rejects.toThrow(UnreadableFile);
    expect(existsSync(join(output, 'dataset.json'))).toBe(false);
  });

  it('stops at once on abort, and the next call finishes the rest', async () => {
    const [output, undisturbed] = [join(folder(), 'aborted'), join(folder(), 'undisturbed')];
    const options = { workers: 2, baseline: { shape: [24, 24, 16], how: 'crop' } } as const;
    const controller = new AbortController();
    const onProgress = ({ done }: { done: number }) => done === 2 && controller.abort(new Error('enough'));
    await expect(
      prepareDataset(inputs(), output, { ...options, signal: controller.signal, onProgress }),
    ).rejects.toThrow('enough');
    expect(existsSync(join(output, 'dataset.json'))).toBe(false);
    const rest = await prepareDataset(inputs(), output, options);
    expect(rest.kept.length).toBeGreaterThanOrEqual(2);
    expect(rest.written.length).toBeGreaterThan(0);
    await prepareDataset(inputs(), undisturbed, options);
    expect(snapshot(output)).toEqual(snapshot(undisturbed));
  });

  it('killed in the middle of a volume and called again, comes to the same bytes', async () => {
    const undisturbed = join(folder(), 'calm');
    await prepareDataset(inputs(), undisturbed, { workers: 2 });
    for (const volumesBefore of [0, 2]) {
      const output = join(folder(), `killed-${volumesBefore}`);
      const script = `require(process.argv[1]).prepareDataset(process.argv[2], process.argv[3], { workers: 2 })`;
      const child = spawn(process.execPath, [
        '-e',
        script,
        compiledFile('src', 'index.js'),
        inputs(),
        output,
      ]);
      const ended = new Promise<NodeJS.Signals | null>((resolve) =>
        child.once('exit', (_, signal) => resolve(signal)),
      );
      const names = () => (existsSync(output) ? readdirSync(output) : []);
      const inTheMiddle = () =>
        names().some((name) => name.endsWith('.part')) &&
        names().filter((name) => /^PAT/.test(name)).length >= volumesBefore;
      while (!inTheMiddle() && child.exitCode === null)
        await new Promise((resolve) => setTimeout(resolve, 1));
      child.kill('SIGKILL');
      expect(await ended).toBe('SIGKILL');
      expect(names()).not.toContain('dataset.json');
      expect(() => openDataset(output)).toThrow(UnreadableFile);
      const rest = await prepareDataset(inputs(), output, { workers: 2 });
      expect(rest.kept.length).toBeGreaterThanOrEqual(volumesBefore);
      expect(snapshot(output)).toEqual(snapshot(undisturbed));
    }
  });

  it('a kill while it rewrites volumes leaves no wrong index, and the split stays', async () => {
    const output = join(folder(), 'rewritten');
    await prepareDataset(inputs(), output, { seed: 5 });
    const sides = () => openDataset(output).volumes.map(({ name, split }) => [name, split]);
    const before = sides();
    const old = openDataset(output, { threads: 1 });
    const controller = new AbortController();
    const onProgress = ({ done }: { done: number }) => done === 2 && controller.abort();
    const options = { seed: 5, spacing: [3, 3, 3] } as const;
    await expect(
      prepareDataset(inputs(), output, { ...options, signal: controller.signal, onProgress, workers: 1 }),
    ).rejects.toThrow();
    expect(() => openDataset(output)).toThrow(/found none/);
    // Whoever had it open is told, instead of being given voxels of another grid.
    await expect(old.volumes[0]!.readPatch([0, 0, 0], [8, 8, 8])).rejects.toThrow(/that was prepared again/);
    await prepareDataset(inputs(), output, options);
    expect(sides()).toEqual(before);
    expect(readdirSync(output).filter((name) => name.startsWith('.'))).toEqual([]);
  });

  it('does not let two calls into one folder', async () => {
    const output = join(folder(), 'locked');
    const calls = [prepareDataset(inputs(), output), prepareDataset(inputs(), output)];
    const ends = await Promise.allSettled(calls);
    // Both look at the input first, so either may come first to the folder.
    const refused = ends.flatMap((end) => (end.status === 'rejected' ? [(end.reason as Error).message] : []));
    expect(refused).toEqual([expect.stringMatching(/nobody else prepares/)]);
    expect(readdirSync(output)).not.toContain('.lock');
  });

  it('takes over the lock of a process that is gone, though another has its pid since', async () => {
    const output = join(folder(), 'taken-over');
    mkdirSync(output);
    writeFileSync(join(output, '.lock'), `${hostname()} ${process.pid} long ago`);
    await prepareDataset(inputs(), output);
    expect(readdirSync(output)).not.toContain('.lock');
  });
});

describe('patchwise prepare', () => {
  const patchwise = (...args: string[]) =>
    promisify(execFile)(process.execPath, [compiledFile('src', 'cli.js'), 'prepare', ...args]).then(
      ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
      (error: { code: number; stdout: string; stderr: string }) => error,
    );

  it('prints one JSON value, its progress beside it; 1 for work that fails, 2 for wrong usage', async () => {
    const output = join(folder(), 'cli');
    const baseline = ['--baseline', '24,24,16:crop', '--spacing', '3', '--intensity', '-200,500'];
    const { code, stdout, stderr } = await patchwise(
      inputs(),
      output,
      '--json',
      ...baseline,
      '--workers',
      '1',
    );
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ output, leftOut: [], split: { train: { patients: 3 } } });
    expect(stderr).toMatch(/prepare 6\/6 volumes/);
    expect(openDataset(output).volumes[0]!.baseline!.shape).toEqual([24, 24, 16]);
    const bad = join(folder(), 'cli-bad.nii');
    writeFileSync(bad, 'x');
    expect((await patchwise(bad, join(folder(), 'cli-none'))).code).toBe(1);
    expect((await patchwise(inputs(), output, '--split', '2,0,0')).code).toBe(2);
    expect((await patchwise(inputs())).code).toBe(2);
  });
});
