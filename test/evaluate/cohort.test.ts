import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { useBackend } from '../../src/compute/use-backend';
import { InvalidArgument, UnreadableFile } from '../../src/errors';
import { measureCohort } from '../../src/evaluate/cohort';
import { compareVolumes } from '../../src/evaluate/compare';
import { compareRuns } from '../../src/evaluate/compare-runs';
import { type Evaluation, evaluateFiles } from '../../src/evaluate/evaluate';
import { mae } from '../../src/fidelity/error-sums';
import { evaluationTables } from '../../src/plot/comparison/evaluation';
import { comparisonTable } from '../../src/plot/comparison/seams';
import { measuresFigure } from '../../src/plot/comparison/volumes';
import { runComparisonTables } from '../../src/plot/run/comparison';
import type { Reconstruction } from '../../src/reconstruct/reconstruct';
import { prepareRun } from '../../src/train/train';
import { phantom } from '../../src/volume/phantom/phantom';
import { readVolume } from '../../src/volume/read';
import { Volume } from '../../src/volume/volume';
import { writeVolume } from '../../src/volume/write';
import { untrained } from '../codes/untrained';
import { tiny } from '../train/tiny';
import { temporaryFolder } from '../volume/folder';

const temporary = temporaryFolder();
const at = (name: string) => join(temporary(), name);
const once = { windows: ['linear'], overlap: 0, workers: 1 } as const;
const ct = (seed: number) => phantom({ shape: [16, 16, 16], seed });
const size = 16 ** 3;
let model: string;

/** A volume with some voxels that are NaN. */
function holed(seed: number, ...places: number[]): Volume {
  const { data } = ct(seed);
  return ct(seed).with(data.map((value, i) => (places.includes(i) ? Number.NaN : value)));
}

beforeAll(async () => {
  await useBackend('cpu');
  model = await untrained(at('model'), {});
  await writeVolume(at('a.nii'), ct(1));
  await writeVolume(at('nan.nii'), holed(2, 5, 700));
  const { data } = ct(3);
  await writeVolume(
    at('thin.nii.gz'),
    new Volume({ shape: [16, 16, 5], spacing: [1, 1, 7], data: data.slice(0, 1280) }),
  );
  await writeVolume(at('small.nii'), new Volume({ shape: [4, 3, 5], data: data.slice(0, 60) }));
  await writeVolume(at('whole.nii.gz'), ct(4));
  const packed = readFileSync(at('whole.nii.gz'));
  writeFileSync(at('cut.nii.gz'), packed.subarray(0, packed.length - 1000));
});

describe('an evaluation of a cohort', { timeout: 120_000 }, () => {
  it('has the means of those that have a metric, says of how many, and names the others with the reason', async () => {
    const files = ['a.nii', 'nan.nii', 'thin.nii.gz'].map(at);
    const evaluation = await evaluateFiles(model, files, once);
    const [linear] = evaluation.aggregate;
    const counts = Object.fromEntries(
      Object.entries(linear!.metrics).map(([key, { count }]) => [key, count]),
    );
    expect(counts).toEqual({ psnr: 2, ssim: 1, mae: 2, rmse: 2, seamEnergy: 2, perplexity: 3, usage: 3 });
    const [whole, nan, thin] = evaluation.rows;
    expect(linear!.metrics.psnr!.mean).toBeCloseTo((whole!.psnr + thin!.psnr) / 2, 10);
    expect([nan!.psnr, nan!.ssim, nan!.mae, nan!.rmse]).toEqual(Array(4).fill(Number.NaN));
    expect(nan).not.toHaveProperty('seamEnergy');
    expect(evaluation.notes).toEqual([
      `no PSNR, SSIM, MAE, RMSE, seam energy of ${at('nan.nii')} (2 of ${size} voxels): NaN voxels, which ignoreNaN (--ignore-nan) leaves out`,
      `no SSIM of ${at('thin.nii.gz')} (16 x 16 x 5 voxels): it needs 11 voxels on every axis`,
    ]);
    expect(evaluation.missing).toContainEqual(
      expect.objectContaining({ volume: at('thin.nii.gz'), metrics: ['ssim'] }),
    );
    const [, means] = evaluationTables(evaluation).map((table) => table.toText());
    expect(means).toContain('mean over 3 volumes');
    expect(means).toMatch(/\(n = 2\).*\(n = 1\)/);
  });

  it('measures the other voxels of a volume with NaN if asked', async () => {
    const files = ['a.nii', 'nan.nii'].map(at);
    const { aggregate, notes, rows, missing } = await evaluateFiles(model, files, {
      ...once,
      ignoreNaN: true,
    });
    expect(aggregate[0]!.metrics.psnr!.count).toBe(2);
    expect(aggregate[0]!.metrics.ssim!.count).toBe(2);
    expect(rows[1]!.psnr).toBeGreaterThan(0);
    expect(notes).toEqual([`NaN voxels count in no metric: ${at('nan.nii')} (2 of ${size})`]);
    expect(missing.every(({ metrics }) => metrics.join() === 'msSsim')).toBe(true);
  });

  it('takes volumes smaller than a patch, of other spacings; one volume has no interval and no table of means', async () => {
    const { rows, aggregate, notes } = await evaluateFiles(model, [at('small.nii'), at('thin.nii.gz')], once);
    expect(rows.every(({ psnr }) => psnr > 0)).toBe(true);
    expect(aggregate[0]!.metrics).not.toHaveProperty('ssim');
    expect(aggregate[0]!.metrics.seamEnergy!.count).toBe(1);
    expect(notes).toContain(
      `no seam energy of ${at('small.nii')} (4 x 3 x 5 voxels): one patch holds all of it, so there is no seam`,
    );
    const alone = await evaluateFiles(model, [at('a.nii')], once);
    expect(alone.aggregate[0]!.metrics.psnr).toMatchObject({ count: 1, low: Number.NaN });
    expect(evaluationTables(alone)).toHaveLength(1);
  });

  it('leaves out a file that fails half-way, and goes on', async () => {
    const seen: number[] = [];
    const { rows, leftOut } = await evaluateFiles(model, [at('cut.nii.gz'), at('a.nii')], {
      ...once,
      onProgress: ({ done, total }) => seen.push(done / total),
    });
    expect(rows.map(({ file }) => file)).toEqual([at('a.nii')]);
    expect(leftOut).toEqual([{ file: at('cut.nii.gz'), reason: expect.stringContaining('unexpected end') }]);
    expect(seen.at(-1)).toBe(1);
    await expect(evaluateFiles(model, [at('cut.nii.gz')], once)).rejects.toThrow(UnreadableFile);
    await expect(evaluateFiles(model, [], once)).rejects.toThrow(InvalidArgument);
  });

  it('counts a volume under two names once, and names the copy', async () => {
    await writeVolume(at('copy.nii.gz'), ct(1), { dtype: 'float32' });
    const files = ['a.nii', 'copy.nii.gz', 'thin.nii.gz'].map(at);
    const seen: number[] = [];
    const { rows, aggregate, notes, leftOut } = await evaluateFiles(model, files, {
      ...once,
      onProgress: ({ done, total }) => seen.push(done / total),
    });
    expect(rows.map(({ file }) => file)).toEqual([at('a.nii'), at('thin.nii.gz')]);
    expect(aggregate[0]!.metrics.psnr!.count).toBe(2);
    expect(leftOut).toEqual([]);
    expect(notes).toContain(
      `copies of a volume before them, which counts once: ${at('copy.nii.gz')} (of ${at('a.nii')})`,
    );
    expect(seen.at(-1)).toBe(1);
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
  });

  it('keeps the rows that are done if it ends early', async () => {
    const stop = new AbortController();
    const kept: Evaluation[] = [];
    const evaluating = evaluateFiles(model, ['a.nii', 'thin.nii.gz', 'small.nii'].map(at), {
      ...once,
      signal: stop.signal,
      onProgress: ({ done, total }) => done / total > 0.5 && stop.abort(new Error('enough')),
      onUnfinished: (evaluation) => kept.push(evaluation),
    });
    await expect(evaluating).rejects.toThrow('enough');
    expect(kept).toHaveLength(1);
    expect(kept[0]!.rows.map(({ file }) => file)).toEqual([at('a.nii')]);
    expect(kept[0]!.notes).toContain('the call ended early: these are 1 of 3 volumes');
    const whole = await evaluateFiles(model, [at('a.nii')], once);
    expect(kept[0]!.rows).toEqual(whole.rows);
  });

  it('an infinite PSNR is in no mean, and is named', async () => {
    const files = [1, 2].map((seed) => ({ name: `v${seed}`, read: async () => ct(seed) }));
    const { notes, measured } = await measureCohort(
      files,
      async (volume) => ({
        made: (volume.data[0] === ct(1).data[0]
          ? volume
          : volume.with(volume.data.map((v) => v + 1))) as Reconstruction,
      }),
      { intensity: [-2000, 2000] },
    );
    expect(measured.map(({ row }) => Number.isFinite(row.psnr))).toEqual([false, true]);
    expect(notes).toEqual(['no PSNR of v1 (made): it equals the original, so it is infinite']);
  });
});

describe('a comparison of runs', { timeout: 120_000 }, () => {
  it('pairs the patients that both runs have values of, and says of how many the means are', async () => {
    process.env.PATCHWISE_RUNS = at('runs');
    const runs: string[] = [];
    for (const seed of [1, 2]) {
      const run = await prepareRun({ ...tiny, seed, data: ['phantom:16x16x16'] });
      await untrained(run.dir, {});
      runs.push(run.dir);
    }
    const volumes = [ct(1), holed(2, 9), ct(3)];
    const strict = await compareRuns(runs, { volumes, overlap: 0, workers: 1 });
    expect(strict.means.map(({ metrics }) => metrics.psnr!.count)).toEqual([2, 2]);
    expect(strict.differences.find(({ metric }) => metric === 'psnr')!.count).toBe(2);
    expect(strict.notes.join('\n')).toMatch(
      /no PSNR, SSIM, MAE, RMSE, seam energy of volume \(2\) \(1 of 4096 voxels\)/,
    );
    expect(runComparisonTables(strict)[0]!.toText()).toContain('(n = 2)');
    const ignoring = await compareRuns(runs, { volumes, overlap: 0, workers: 1, ignoreNaN: true });
    expect(ignoring.differences.find(({ metric }) => metric === 'psnr')!.count).toBe(3);
    delete process.env.PATCHWISE_RUNS;
  });
});

describe('a volume with NaN beside what was made of it', () => {
  it('has its reason below the table of a notebook', async () => {
    const reference = holed(2, 5);
    const candidate = ct(2).with(ct(2).data.map((value) => value + 10));
    const comparison = compareVolumes(reference, { candidate });
    const [note] = comparison.notes;
    expect(note).toMatch(/^no PSNR.*1 of 4096 voxels/);
    expect(comparisonTable(comparison).toText()).toContain(note);
    expect(JSON.stringify(measuresFigure(comparison))).toContain('ignoreNaN');
    const ignoring = compareVolumes(reference, { candidate }, { ignoreNaN: true, intensity: [-2000, 2000] });
    expect(ignoring.metrics[0]!.mae).toBeCloseTo(mae(ct(2).data, candidate.data), 3);
    expect(ignoring.nanVoxels).toBe(1);
    expect((await readVolume(at('nan.nii'))).data.filter(Number.isNaN)).toHaveLength(2);
  });
});
