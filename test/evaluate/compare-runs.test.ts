import { execFile } from 'node:child_process';
import { mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { InvalidArgument } from '../../src/errors';
import { compareVolumes } from '../../src/evaluate/compare';
import { compareRuns } from '../../src/evaluate/compare-runs';
import { sweepBlending } from '../../src/evaluate/sweep';
import { sweepFigure } from '../../src/plot/comparison/sweep';
import { runComparisonFigure, runComparisonTables } from '../../src/plot/run/comparison';
import { toBundle } from '../../src/plot/show';
import type { Progress } from '../../src/progress';
import { chooseCheckpoint } from '../../src/reconstruct/pass';
import { reconstruct } from '../../src/reconstruct/reconstruct';
import { heldOut } from '../../src/train/data/sides';
import type { Run } from '../../src/train/run';
import { train } from '../../src/train/train';
import { phantom } from '../../src/volume/phantom/phantom';
import { writeVolume } from '../../src/volume/write';
import { tiny, useTemporaryRuns } from '../train/tiny';

const execute = promisify(execFile);
let removeRuns: () => void;
let full: Run;
let small: Run;
let crop: Run;
const data = [1, 2, 3, 4].map((seed) => `phantom:24x24x24#${seed}`);

beforeAll(async () => {
  removeRuns = useTemporaryRuns();
  const settings = { ...tiny, data, validation: 0.5, steps: 12, intensity: 'ctpa' as const, seed: 5 };
  full = await train({ ...settings, name: 'full' });
  await full.done;
  small = await train({ ...settings, name: 'small', view: { shape: [8, 8, 8], how: 'resample' } });
  await small.done;
  // As baseline.ipynb has it: the centre alone, side by side.
  crop = await train({
    ...settings,
    name: 'crop',
    stride: [8, 8, 8],
    view: { shape: [8, 8, 8], how: 'crop' },
  });
  await crop.done;
}, 180_000);
afterAll(() => removeRuns());

describe('comparing runs', { timeout: 180_000 }, () => {
  it('measures the whole volumes that the first run held out, whatever its view', async () => {
    const names = (await heldOut(await full.config())).map(({ name }) => name);
    expect(names).toHaveLength(2);
    expect((await heldOut(await small.config())).map(({ name }) => name)).toEqual(names);
    const single = { ...(await full.config()), data: ['phantom:24x24x24#1'], validation: 0.25 };
    const [slab] = await heldOut(single);
    const volume = await slab!.read();
    expect(volume.shape).toEqual([24, 24, 8]); // a patch is 8 deep
    const whole = phantom({ shape: [24, 24, 24], seed: 1 });
    expect(volume.data).toEqual(whole.data.subarray(16 * 24 * 24));
  });

  it('measures both on the same volumes in the same space, and prints the same table', async () => {
    const comparison = await compareRuns({ 'patch-wise': full, baseline: small }, { workers: 1 });
    expect(comparison.rows).toHaveLength(4);
    expect(comparison.rows[0]!.volume).toBe(comparison.rows[1]!.volume);
    expect(comparison.means.map(({ name }) => name)).toEqual(['patch-wise', 'baseline']);
    const of = (name: string) => comparison.rows.filter((row) => row.name === name).map(({ psnr }) => psnr);
    const gain = comparison.differences.find(({ metric }) => metric === 'psnr')!;
    const [a, b] = [of('patch-wise'), of('baseline')];
    expect(gain.mean).toBeCloseTo((a[0]! - b[0]! + a[1]! - b[1]!) / 2, 10);
    expect(gain.p).toBeGreaterThanOrEqual(0.5); // two patients allow no less
    expect(comparison.notes.join()).toContain('2 patients');
    expect(comparison.runs[0]!.training).toMatchObject({ ranks: 1, steps: 12, voxels: 12 * 512 });
    const tables = runComparisonTables(comparison);
    expect(tables[0]!.toText()).toContain('patch-wise');
    expect(tables[1]!.rows).toContainEqual(['steps', '12', '12']);
    expect(tables[1]!.columns).toEqual(['quantity', 'patch-wise', 'baseline']);
    expect(toBundle(comparison)!['text/html']).toContain('<table>');
    expect(runComparisonFigure(comparison).data.length).toBeGreaterThan(6);

    const cli = resolve(__dirname, '../../dist/src/cli.js');
    const { stdout } = await execute(process.execPath, [cli, 'compare', full.id, small.id]);
    // The names are the runs' own there; every mean is the same but for the clock.
    const psnrs = (text: string) => /^PSNR, dB +([\d.]+) +([\d.]+)$/m.exec(text)!.slice(1);
    expect(psnrs(stdout)).toEqual(psnrs(tables[0]!.toText()));
    expect(psnrs(stdout)).toEqual(comparison.means.map(({ metrics }) => metrics.psnr!.mean.toFixed(2)));
    // Of two patients least and greatest are no interval.
    expect(stdout).not.toContain('95 % interval]');
    expect(stdout).toContain('2 patients');
  });

  it('takes the last checkpoints if the measured volumes chose a best one, and says so', async () => {
    const byDefault = await compareRuns([full, small], { workers: 1 });
    expect(byDefault.runs.map(({ checkpoint }) => checkpoint.step)).toEqual([12, 12]);
    expect(byDefault.runs[0]!.checkpoint).toEqual(await chooseCheckpoint(full, 'last'));
    expect(byDefault.notes.join()).toMatch(/validation of .*full.*last checkpoint/);
    const unseen = await compareRuns([full, small], { volumes: ['phantom:24x24x24#9'], workers: 1 });
    expect(unseen.runs[0]!.checkpoint).toEqual(await chooseCheckpoint(full));
    expect(unseen.runs[0]!.checkpoint.why).toContain('the best');
    expect(unseen.notes.join()).not.toMatch(/last checkpoint|trained on|chosen/);
    const asked = await compareRuns([full, small], { checkpoint: 'best', workers: 1 });
    expect(asked.runs[0]!.checkpoint).toEqual(await chooseCheckpoint(full, 'best'));
    expect(asked.notes.join()).toMatch(/was chosen by these volumes/);
    const held = (await heldOut(await full.config())).map(({ name }) => name);
    const trained = data.find((source) => !held.includes(source))!;
    const cheat = await compareRuns([full, small], { volumes: [trained], workers: 1 });
    expect(cheat.notes.join()).toMatch(/full(-\w+)? was trained on 1 of the 1 volumes/);
  });

  it('gives every run the same overlap: the largest that one was trained with', async () => {
    const volumes = ['phantom:24x24x24#9'];
    const comparison = await compareRuns({ full, crop }, { volumes, workers: 1 });
    const expected = await reconstruct(crop, phantom({ shape: [24, 24, 24], seed: 9 }), {
      workers: 1,
      overlap: 0.25,
      intensity: 'ctpa',
    });
    const [row] = compareVolumes(phantom({ shape: [24, 24, 24], seed: 9 }), { expected }).metrics;
    const of = (found: typeof comparison) => found.rows.find(({ name }) => name === 'crop')!.psnr;
    expect(of(comparison)).toBe(row!.psnr);
    const none = await compareRuns({ full, crop }, { volumes, overlap: 0, workers: 1 });
    expect(of(none)).not.toBe(of(comparison));
    const strided = await compareRuns({ crop, full }, { volumes, stride: [6, 6, 6], workers: 1 });
    expect(of(strided)).toBe(of(comparison));
  });

  it('two scans of one patient count once', async () => {
    const volume = phantom({ shape: [16, 16, 16], seed: 9 });
    const comparison = await compareRuns([full, small], { volumes: [volume], workers: 1 });
    expect(comparison.means[0]!.metrics.psnr!.count).toBe(1);
    expect(comparison.notes.join()).toContain('one patient');
  });

  it('a volume that is named twice counts once', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'patchwise-twice-'));
    const [file, link] = [join(folder, 'a.nii'), join(folder, 'b.nii')];
    await writeVolume(file, phantom({ shape: [16, 16, 16], seed: 9 }));
    await symlink(file, link);
    const comparison = await compareRuns([full, small], { volumes: [file, link], workers: 1 });
    await rm(folder, { recursive: true });
    expect(comparison.rows.map(({ volume }) => volume)).toEqual([file, file]);
    expect(comparison.notes).toContain('1 of 2 names are of a file named before: it counts once');
  });

  it('counts a volume that it cannot read as done', async () => {
    const seen: Progress[] = [];
    const { leftOut } = await compareRuns([full, small], {
      volumes: ['phantom:16x16x16#9', 'none.nii'],
      workers: 1,
      onProgress: (progress) => seen.push(progress),
    });
    expect(leftOut.map(({ file }) => file)).toEqual(['none.nii']);
    expect(seen.map(({ done, total }) => [done, total])).toEqual([
      [1, 4],
      [2, 4],
      [4, 4],
    ]);
    expect(seen.at(-1)!.what).toBe('reconstructions');
  });

  it('of one run alone is refused', async () => {
    await expect(compareRuns([full])).rejects.toThrow(InvalidArgument);
    await expect(compareRuns([full, full])).rejects.toThrow(InvalidArgument);
  });

  it('a sweep measures every window at every overlap', async () => {
    const volume = phantom({ shape: [24, 24, 24], seed: 9 });
    const sweep = { overlaps: [0, 0.5], sigmas: [0.125, 0.3], workers: 1 };
    const rows = await sweepBlending(full, volume, sweep);
    expect(rows).toHaveLength(10);
    const at = (overlap: number, name: string) => rows.find((r) => r.overlap === overlap && r.name === name)!;
    expect(at(0, 'gaussian 0.3')).toMatchObject({ window: 'gaussian', sigma: 0.3, patches: 27 });
    expect(at(0.5, 'linear').patches).toBe(125);
    // Without overlap every window is the same; with it they differ.
    expect(at(0, 'gaussian 0.125').psnr).toBe(at(0, 'constant').psnr);
    expect(at(0.5, 'gaussian 0.125').psnr).not.toBe(at(0.5, 'gaussian 0.3').psnr);
    const figure = sweepFigure(rows);
    expect(figure.data.filter(({ type }) => type === 'heatmap')).toHaveLength(2);
    expect(figure.summary).toContain('best PSNR');
  });
});
