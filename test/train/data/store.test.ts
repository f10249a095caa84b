import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { InvalidConfig, UnreadableFile } from '../../../src/errors';
import { loadData } from '../../../src/train/data/loader';
import type { PatchSet } from '../../../src/train/data/patch-set';
import { runsRoot } from '../../../src/train/record/run-folder';
import { resolveConfig, type TrainOptions } from '../../../src/train/settings/config';
import { phantom } from '../../../src/volume/phantom/phantom';
import { prepareDataset } from '../../../src/volume/prepare/prepare';
import { openDataset } from '../../../src/volume/store/dataset';
import { writeVolume } from '../../../src/volume/write';
import { curve, finished, lastState, tiny, useTemporaryRuns } from '../tiny';

let removeRuns: () => void;
const at = (name: string) => join(runsRoot(), '..', 'store-test', name);

beforeAll(async () => {
  removeRuns = useTemporaryRuns();
  process.env.PATCHWISE_RUNS = join(process.env.PATCHWISE_RUNS!, 'runs');
  mkdirSync(at('many'), { recursive: true });
  for (let n = 0; n < 6; n++)
    await writeVolume(at(`many/p${n}.nii`), phantom({ shape: [20, 16, 18 + n], seed: n }), {
      dtype: 'int16',
    });
  await writeVolume(at('one.nii'), phantom({ shape: [16, 16, 32], seed: 1 }), { dtype: 'int16' });
  await writeVolume(at('thin.nii'), phantom({ shape: [5, 16, 9], seed: 1 }), { dtype: 'int16' });
  await prepareDataset(at('many'), at('many.store'), { split: [0.5, 0.25, 0.25], seed: 2 });
  for (const name of ['one', 'thin']) await prepareDataset(at(`${name}.nii`), at(`${name}.store`));
});
afterAll(() => removeRuns());

const configOf = (data: string, options: Partial<TrainOptions> = {}) =>
  resolveConfig({ ...tiny, ...options, data: [data] });

async function patchesOf(set: PatchSet): Promise<Float32Array[]> {
  const patches = [];
  for (let i = 0; i < set.count; i++) patches.push(await set.read(i));
  return patches;
}

describe('training from a prepared dataset', { timeout: 180_000 }, () => {
  it.each(['one', 'thin'])('patches of %s are bit-equal to those of the file, padding too', async (name) => {
    const [file, store] = [
      await loadData(configOf(at(`${name}.nii`))),
      await loadData(configOf(at(`${name}.store`))),
    ];
    for (const side of ['train', 'validation'] as const) {
      expect(store[side].count).toBe(file[side].count);
      expect(await patchesOf(store[side])).toEqual(await patchesOf(file[side]));
    }
    expect(Object.values(store.intensities)).toEqual(Object.values(file.intensities));
  });

  it('follows the split of the dataset and never opens a test volume', async () => {
    const data = await loadData(configOf(at('many.store')));
    const { volumes } = openDataset(at('many.store'));
    const names = (keep: (split: string) => boolean) =>
      volumes.filter(({ split }) => keep(split)).map(({ folder }) => folder);
    expect(Object.keys(data.intensities)).toEqual(names((split) => split !== 'test'));
    expect(names((split) => split === 'test').length).toBeGreaterThan(0);
    expect(data.validation.count).toBeGreaterThan(0);
    expect((await loadData(configOf(at('many.store'), { validation: 0 }))).validation.count).toBe(0);
    const lung = await loadData(configOf(at('many.store'), { intensity: 'lung' }));
    expect(new Set(Object.values(lung.intensities).map((i) => i.name))).toEqual(new Set(['lung']));
  });

  it('patches read ahead are those that are read', async () => {
    const { train: set } = await loadData(configOf(at('many.store')));
    const expected = [await set.read(3), await set.read(1)];
    set.prefetch([1, 3, 3]);
    set.prefetch([3]);
    expect([await set.read(3), await set.read(1)]).toEqual(expected);
    // What was read ahead is used up: a patch is not changed by what was made of it before.
    expect([await set.read(3), await set.read(1)]).toEqual(expected);
  });

  it.each(['one.nii', 'many.store'])('a batch of %s is its patches one after the other', async (data) => {
    const { train: set } = await loadData(configOf(at(data)));
    set.prefetch([2]);
    for (const indices of [[2, 0, 1], [1], [0, 2]]) {
      const batch = [...(await set.readBatch(indices))];
      const patches = await Promise.all(indices.map((index) => set.read(index)));
      expect(batch).toEqual(patches.flatMap((patch) => [...patch]));
    }
  });

  it('gives the curve and the weights that the file gives, to the bit, and resumes so', async () => {
    const file = await finished({ data: at('one.nii'), ranks: 2, steps: 12 });
    // However many threads read, and however far ahead.
    const reading = { workers: 3, prefetch: 3 };
    const store = await finished({ data: at('one.store'), ranks: 2, steps: 12, ...reading });
    expect(curve(await store.records())).toEqual(curve(await file.records()));
    expect(await lastState(store)).toEqual(await lastState(file));
    const resumed = await finished({ data: at('one.store'), ranks: 2, steps: 5 });
    await (await resumed.resume({ steps: 12 })).done;
    expect(await lastState(resumed)).toEqual(await lastState(file));
  });

  it('says that files and datasets do not mix, and what is no dataset', async () => {
    const mixed = resolveConfig({ ...tiny, data: [at('many.store'), at('one.nii')] });
    await expect(loadData(mixed)).rejects.toThrow(InvalidConfig);
    await expect(loadData(configOf(at('none.store')))).rejects.toThrow(UnreadableFile);
  });
});
