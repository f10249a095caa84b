import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { InvalidConfig } from '../../../src/errors';
import { reconstruct } from '../../../src/reconstruct/reconstruct';
import { loadData } from '../../../src/train/data/loader';
import { runsRoot } from '../../../src/train/record/run-folder';
import { resolveConfig, type TrainOptions } from '../../../src/train/settings/config';
import { train } from '../../../src/train/train';
import { fromModel, toModel } from '../../../src/volume/intensity';
import { phantom } from '../../../src/volume/phantom/phantom';
import { prepareDataset } from '../../../src/volume/prepare/prepare';
import { readVolume } from '../../../src/volume/read';
import { resampleVolume, takeView } from '../../../src/volume/view';
import { writeVolume } from '../../../src/volume/write';
import { tiny, useTemporaryRuns } from '../tiny';

let removeRuns: () => void;
const shape = [24, 24, 24] as const;
const view = { shape: [8, 8, 8], how: 'resample' } as const;
const settings: TrainOptions = { ...tiny, patch: [8, 8, 8], stride: [8, 8, 8], view, intensity: 'ctpa' };

beforeAll(() => {
  removeRuns = useTemporaryRuns();
});
afterAll(() => removeRuns());

const configOf = (data: string[], options: Partial<TrainOptions> = {}) =>
  resolveConfig({ ...settings, ...options, data });

describe('a run that sees a smaller view', { timeout: 180_000 }, () => {
  it('trains on that view, for files and for a dataset', async () => {
    mkdirSync(join(runsRoot(), 'files'), { recursive: true });
    const files = [1, 2, 3].map((seed) => join(runsRoot(), 'files', `p${seed}.nii`));
    for (const [i, file] of files.entries())
      await writeVolume(file, phantom({ shape, seed: i + 1 }), { dtype: 'int16' });
    const store = join(runsRoot(), 'store');
    await prepareDataset(files, store, { baseline: view, split: [1, 0, 0] });
    const fromFiles = await loadData(configOf(files, { validation: 0 }));
    const fromStore = await loadData(configOf([store], { validation: 0 }));
    expect(fromFiles.train.count).toBe(3);
    expect(fromStore.train.count).toBe(3);
    const small = takeView(phantom({ shape, seed: 1 }), view);
    const expected = toModel(small.data.map(Math.round), { name: 'ctpa', low: -200, high: 500, units: 'HU' });
    for (const { train: set } of [fromFiles, fromStore]) {
      const patch = await set.read(0);
      const worst = Math.max(...patch.map((value, i) => Math.abs(value - expected[i]!)));
      expect(worst).toBeLessThan(0.01); // a file's voxels were rounded before and after
    }
    const crop = { shape: [8, 8, 8], how: 'crop' } as const;
    await expect(loadData(configOf([store], { view: crop }))).rejects.toThrow(InvalidConfig);
  });

  it('reconstructs at full size through the view', async () => {
    const run = await train({ ...settings, data: ['phantom:24x24x24#1', 'phantom:24x24x24#2'] });
    await run.done;
    const volume = phantom({ shape, seed: 3 });
    const whole = await reconstruct(run, volume, { workers: 1 });
    expect(whole.shape).toEqual(shape);
    expect(whole.grid.patches).toBe(1);
    // The same by hand: the view through the model of a run that knows no views, and back.
    const path = join(runsRoot(), 'whole.nii');
    await reconstruct(run, volume, { workers: 1, to: path });
    const written = await readVolume(path);
    expect(Math.max(...written.data.map((v, i) => Math.abs(v - whole.data[i]!)))).toBeLessThan(1e-3);
    const detail = resampleVolume(takeView(volume, view), shape);
    const error = (a: Float32Array) => a.reduce((sum, v, i) => sum + Math.abs(v - whole.data[i]!), 0);
    const clip = (a: Float32Array) => fromModel(toModel(a, whole.intensity), whole.intensity);
    // What comes out is a blurred volume: nearer to its own blurred original than to the sharp one.
    expect(error(clip(detail.data))).toBeLessThan(error(clip(volume.data)));
    expect(whole.codeCounts.reduce((a, b) => a + b, 0)).toBe(4 ** 3);
    expect(whole.downsample).toEqual([2, 2, 2]);
  });

  it('says what a view may be', () => {
    expect(() => configOf(['phantom:24x24x24'], { view: { shape: [8, 8, 0], how: 'crop' } })).toThrow(/view/);
    expect(() => configOf(['phantom:24x24x24'], { view: 'half' as 'full' })).toThrow(/view/);
  });
});
