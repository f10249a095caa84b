import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { useBackend } from '../../src/compute/use-backend';
import { InvalidArgument } from '../../src/errors';
import { compareVolumes } from '../../src/evaluate/compare';
import { evaluateFiles } from '../../src/evaluate/evaluate';
import { VqGan } from '../../src/model/vqgan';
import type { Progress } from '../../src/progress';
import { Random } from '../../src/random';
import { mirror } from '../../src/reconstruct/mirror';
import { planPass } from '../../src/reconstruct/pass';
import { Reconstruction, reconstruct } from '../../src/reconstruct/reconstruct';
import { readState, saveCheckpoint } from '../../src/train/record/checkpoint';
import { findCheckpoint } from '../../src/train/record/choose-checkpoint';
import { resolveConfig } from '../../src/train/settings/config';
import { type IntensitySpec, resolveIntensity } from '../../src/volume/intensity';
import { phantom } from '../../src/volume/phantom/phantom';
import { readVolume } from '../../src/volume/read';
import { openDataset } from '../../src/volume/store/dataset';
import { writeVolume } from '../../src/volume/write';
import { codebookOf } from '../model/plain';
import { greatestDifference } from '../patch/volumes';
import { tiny } from '../train/tiny';

const folder = mkdtempSync(join(tmpdir(), 'patchwise-reconstruct-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Three patches on every axis, mirrored onto each other. */
const volume = phantom({ shape: [20, 20, 20], seed: 5 });
const options = { backend: 'wasm', workers: 1, intensity: 'ctpa' } as const;
let checkpoint = '';

/** An untrained model is as good as a trained one here: its output depends on all of its input, and no axis is alike. */
beforeAll(async () => {
  await useBackend('wasm');
  const config = resolveConfig({ ...tiny, data: ['phantom:20x20x20'] });
  const model = new VqGan(config.model, 3);
  const random = new Random(4, 'codes');
  codebookOf(model).initialise(
    Float32Array.from({ length: config.model.codes * config.model.codeDim }, () => random.normal()),
  );
  const state = { step: 1, epoch: 0, position: 0, adamSteps: 1, config, intensities: {}, patchwise: '0' };
  saveCheckpoint(folder, { state, model: model.state(), optimiser: new Map() }, { best: false, keep: 1 });
  model.dispose();
  checkpoint = findCheckpoint(folder);
});

describe('reconstructing', () => {
  it('writes into a file what it gives as a volume, with the place of the original', async () => {
    const path = join(folder, 'out.nii.gz');
    const inMemory = await reconstruct(checkpoint, volume, { ...options, window: 'hann' });
    const written = await reconstruct(checkpoint, volume, { ...options, window: 'hann', to: path });
    const back = await readVolume(path);
    expect(back.data).toEqual(inMemory.data);
    expect(greatestDifference(Float32Array.from(back.affine), Float32Array.from(volume.affine))).toBeLessThan(
      1e-5,
    );
    expect(written).toMatchObject({
      window: 'hann',
      perplexity: inMemory.perplexity,
      usage: inMemory.usage,
      intensity: { low: -200, high: 500 },
    });
    expect(new Set(back.data).size).toBeGreaterThan(1000);
  });

  it('keeps the voxels it is given if another reconstruction says how it was made', async () => {
    const made = await reconstruct(checkpoint, volume, options);
    const data = made.data.map((value) => value / 2);
    const { shape, spacing } = made;
    const smoothed = new Reconstruction({ shape, spacing, data, source: 'smoothed' }, made);
    expect(smoothed.data).toEqual(data);
    expect(smoothed.source).toBe('smoothed');
    expect(smoothed).toMatchObject({ window: 'gaussian', usage: made.usage, checkpoint: made.checkpoint });
  });

  it('writes into a dataset, one volume a window', async () => {
    const dir = join(folder, 'dataset');
    const inMemory = await reconstruct(checkpoint, volume, { ...options, window: 'hann' });
    for (const window of ['hann', 'linear'] as const)
      await reconstruct(checkpoint, volume, {
        ...options,
        window,
        to: { dataset: dir, dtype: 'float32' },
      });
    const dataset = openDataset(dir);
    expect(dataset.volumes.map(({ name }) => name.replace(/.*-/, ''))).toEqual(['hann', 'linear']);
    expect((await dataset.volumes[0]!.read()).data).toEqual(inMemory.data);
    expect(dataset.volumes[0]!.intensity).toMatchObject({ low: -200, high: 500 });
    await dataset.close();
  });

  it('writes whole numbers where the file of the volume has them, rounded and with its intercept', async () => {
    const original = join(folder, 'original.nii');
    const out = join(folder, 'whole.nii.gz');
    await writeVolume(original, volume, { dtype: 'uint16', intercept: -1024, clip: true });
    const read = await readVolume(original);
    const made = await reconstruct(checkpoint, read, options);
    await reconstruct(checkpoint, read, { ...options, to: out });
    const back = await readVolume(out);
    expect(back.header).toMatchObject({ datatype: 'uint16', slope: 1, intercept: -1024 });
    expect(back.data).toEqual(made.data.map((value) => Math.round(value)));
    expect(made.header).toBe(read.header);
    await reconstruct(checkpoint, read, { ...options, to: { file: out, dtype: 'float32' } });
    expect((await readVolume(out)).data).toEqual(made.data);
    // What lies outside the type is clipped.
    await reconstruct(checkpoint, read, { ...options, to: { file: out, dtype: 'uint8' } });
    const clipped = made.data.map((value) => Math.min(255, Math.max(0, Math.round(value))));
    expect((await readVolume(out)).data).toEqual(clipped.map((value) => value + 0));
  });

  it('of several files leaves out what cannot be read, says why, and goes on', async () => {
    const [good, bad] = [join(folder, 'good.nii'), join(folder, 'bad.nii')];
    await writeVolume(good, volume);
    writeFileSync(bad, 'no NIfTI');
    const windows = ['linear'] as const;
    const seen: Progress[] = [];
    const { rows, aggregate, leftOut } = await evaluateFiles(checkpoint, [good, bad], {
      ...options,
      windows,
      onProgress: (progress) => seen.push(progress),
    });
    expect(seen.at(-1)).toEqual({ done: 2 * 27, total: 2 * 27, what: 'patches' });
    expect(rows.map(({ file }) => file)).toEqual([good]);
    expect(aggregate[0]!.metrics.mae!.count).toBe(1);
    expect(leftOut).toEqual([{ file: bad, reason: expect.stringMatching(/^expected/) }]);
    await expect(evaluateFiles(checkpoint, [bad], options)).rejects.toThrow(
      /bad.nii: expected a volume, found none/,
    );
    // One patient that is named three times has no interval of three.
    symlinkSync(good, join(folder, 'link.nii'));
    const names = [good, join(folder, 'sub', '..', 'good.nii'), join(folder, 'link.nii')];
    const once = await evaluateFiles(checkpoint, names, { ...options, windows });
    expect([once.rows.length, once.aggregate[0]!.metrics.mae!.count]).toEqual([1, 1]);
    expect(once.notes).toContain('2 of 3 names are of a file named before: it counts once');
  });

  it('takes the window that a dataset was prepared with, for volumes that the training has not seen', async () => {
    const of = async (...trained: IntensitySpec[]) => {
      const maps = trained.map((spec, i) => [`${i}`, resolveIntensity(spec, volume)] as const);
      const intensities = Object.fromEntries(maps);
      const state = { ...readState(checkpoint), intensities, sha256: undefined };
      writeFileSync(join(checkpoint, 'state.json'), JSON.stringify(state));
      return (await planPass(checkpoint, volume, {})).setup.intensity.name;
    };
    expect(await of('lung', 'lung')).toBe('lung');
    expect(await of('minmax', 'minmax')).toBe('minmax');
    for (const trained of [['auto', 'auto'], ['lung', 'ctpa'], []] as const)
      expect(await of(...trained)).toMatch(/^ctpa .auto/);
  });

  it('measures a volume that is too thin for SSIM by everything else', async () => {
    const thin = phantom({ shape: [24, 24, 2] });
    const { linear } = await reconstruct(checkpoint, thin, { ...options, windows: ['linear'] });
    const [row] = compareVolumes(thin, { linear }).metrics;
    expect(row!.ssim).toBeNaN();
    expect(row!.psnr).toBeGreaterThan(0);
  });

  it('with mirrors is the mean of the reconstructions of the mirrored volumes, mirrored back', async () => {
    const flips = [[], ['x'], ['z'], ['x', 'z']] as const;
    const outputs: Float32Array[] = [];
    for (const axes of flips) {
      const flipped = volume.with(mirror(volume.data, volume.shape, axes));
      const { data } = await reconstruct(checkpoint, flipped, options);
      outputs.push(mirror(data, volume.shape, axes));
    }
    const mean = outputs[0]!.map(
      (_, i) => outputs.reduce((sum, output) => sum + output[i]!, 0) / flips.length,
    );
    const mirrored = await reconstruct(checkpoint, volume, { ...options, mirror: ['x', 'z'] });
    expect(greatestDifference(mirrored.data, mean)).toBeLessThan(0.01); // HU
    expect(greatestDifference(mirrored.data, outputs[0]!)).toBeGreaterThan(1);
  });

  it('leaves out patches without foreground and what is outside a mask', async () => {
    const values = volume.data.map((value, i) => (i % 20 < 10 ? -1000 : value)); // only air at small x
    const half = volume.with(values);
    const whole = await reconstruct(checkpoint, half, options);
    const part = await reconstruct(checkpoint, half, { ...options, foreground: { above: -900 } });
    const mask = Uint8Array.from(values, (_, i) => (i >= 4000 ? 1 : 0));
    const masked = await reconstruct(checkpoint, half, { ...options, mask, fill: -7 });
    const column = ({ data }: { data: Float32Array }, x: number) => data.filter((_, i) => i % 20 === x);
    expect(column(part, 0).every((value) => Math.abs(value + 200) < 1e-3)).toBe(true); // ctpa's least value
    expect(new Set(column(whole, 0)).size).toBeGreaterThan(10);
    expect(column(part, 19)).toEqual(column(whole, 19));
    expect(new Set(masked.data.subarray(0, 4000))).toEqual(new Set([-7]));
    expect(masked.data.subarray(4000)).toEqual(whole.data.subarray(4000));
  });

  it('refuses an unknown axis before anything is read', async () => {
    const mirrorW = { ...options, mirror: ['w' as 'x'] };
    await expect(reconstruct('no model', volume, mirrorW)).rejects.toThrow(InvalidArgument);
  });
});
