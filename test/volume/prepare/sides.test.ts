import { cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { Random } from '../../../src/random';
import { phantom } from '../../../src/volume/phantom/phantom';
import { type Preparation, prepareDataset } from '../../../src/volume/prepare/prepare';
import type { Source } from '../../../src/volume/prepare/sources';
import { writeIndex } from '../../../src/volume/prepare/write-index';
import { writeDatasetVolume } from '../../../src/volume/prepare/write-volume';
import { openDataset } from '../../../src/volume/store/dataset';
import { indexBefore } from '../../../src/volume/store/dataset-index';
import type { SplitName, VolumeRecord } from '../../../src/volume/store/format';
import { writeVolume } from '../../../src/volume/write';
import { temporaryFolder } from '../folder';

const folder = temporaryFolder();
const volume = (patient: string) => join(folder(), `${patient}.nii`);

/** Files of these patients in a folder. */
function give(input: string, ...patients: string[]): void {
  mkdirSync(input, { recursive: true });
  for (const patient of patients)
    cpSync(volume(patient), join(input, `${patient}.nii`), { preserveTimestamps: true });
}

const sidesOf = (output: string) =>
  new Map(openDataset(output).volumes.map(({ patient, split }) => [patient, split]));

beforeAll(async () => {
  for (let n = 1; n <= 10; n++)
    await writeVolume(volume(`P${n}`), phantom({ shape: [12, 12, 12], seed: n }), { dtype: 'int16' });
});

describe('a patient stays on one side', { timeout: 120_000 }, () => {
  it.each(['unreadable for one call', 'away for one call'])('whose file is %s', async (what) => {
    const [input, output] = [join(folder(), what), join(folder(), `${what}-out`)];
    give(input, 'P1', 'P2', 'P3', 'P4', 'P5', 'P6');
    await prepareDataset(input, output);
    const before = sidesOf(output);
    const held = [...before].filter(([, side]) => side !== 'train').map(([patient]) => patient);
    expect(held).toHaveLength(2);
    for (const patient of held) {
      const path = join(input, `${patient}.nii`);
      if (what.startsWith('away')) rmSync(path);
      else writeFileSync(path, '');
    }
    give(input, 'P7', 'P8', 'P9', 'P10');
    await prepareDataset(input, output);
    for (const patient of held) expect(sidesOf(output).has(patient)).toBe(false);
    give(input, ...held);
    const { notes } = await prepareDataset(input, output);
    const after = sidesOf(output);
    expect(after.size).toBe(10);
    for (const [patient, side] of before) expect([patient, after.get(patient)]).toEqual([patient, side]);
    expect(notes).toEqual([]);
  });

  it('or a note says that the index was lost and the split is new', async () => {
    const [input, output] = [join(folder(), 'lost'), join(folder(), 'lost-out')];
    give(input, 'P1', 'P2', 'P3');
    expect((await prepareDataset(input, output)).notes).toEqual([]);
    rmSync(join(output, 'dataset.json'));
    const volume = phantom({ shape: [12, 12, 12] });
    const added = writeDatasetVolume(output, volume, [{ z: 0, depth: 12, data: volume.data }], { name: 'x' });
    await expect(added).rejects.toThrow(/dataset\.json; prepare it again/);
    const { kept, notes } = await prepareDataset(input, output);
    expect(kept).toEqual(['P1', 'P2', 'P3']);
    expect(notes).toEqual([expect.stringMatching(/no index .*This is a new split/)]);
    expect((await prepareDataset(input, output)).notes).toEqual([]);
  });

  it('in whatever order files come, go and come back', () => {
    for (let history = 0; history < 60; history++) {
      const output = join(folder(), `history-${history}`);
      mkdirSync(output);
      const random = new Random(history, 'history');
      const first = new Map<string, SplitName>();
      for (let call = 0; call < 8; call++) {
        const present = Array.from({ length: 12 }, (_, n) => `P${n}`).filter(() => random.next() < 0.6);
        const sources = present.map((name): Source => ({ path: name, file: name, name }));
        const plan = {
          owners: new Map(sources.map((source) => [source, { patient: source.name }])),
          ...{ sources, fractions: [0.6, 0.2, 0.2], seed: history },
        } as unknown as Preparation;
        const readable = sources.filter(() => random.next() < 0.8);
        const records = new Map(readable.map((source) => [source, {} as VolumeRecord]));
        const outcome = { records, kept: new Set<string>(), leftOut: [] };
        const { volumes } = writeIndex(output, plan, outcome, indexBefore(output));
        for (const { patient, split } of volumes) {
          const known = first.get(patient);
          if (known) expect([history, patient, split]).toEqual([history, patient, known]);
          first.set(patient, split);
        }
      }
    }
  });

  it('also one that was put in by itself, whatever is drawn or a table says', async () => {
    const [input, output] = [join(folder(), 'given'), join(folder(), 'given-out')];
    const place = phantom({ shape: [12, 12, 12], seed: 1 });
    const slab = { z: 0, depth: 12, data: place.data };
    for (const name of ['P1', 'P2', 'P3'])
      await writeDatasetVolume(output, place, [slab], { name: `own-${name}`, patient: name, split: 'test' });
    give(input, 'P1', 'P2', 'P3', 'P4');
    await prepareDataset(input, output, { split: [1, 0, 0] });
    const sides = () => openDataset(output).volumes.map(({ name, split }) => [name, split]);
    expect(sides().filter(([, side]) => side === 'train')).toEqual([['P4', 'train']]);
    const csv = join(folder(), 'given.csv');
    writeFileSync(csv, 'P1,P1,train\nP2,P2,\n');
    const { notes } = await prepareDataset(input, output, { csv, split: [1, 0, 0] });
    expect(sides()).toEqual([
      ['P1', 'train'],
      ['P2', 'test'],
      ['own-P1', 'train'],
      ['own-P2', 'test'],
      ['own-P3', 'test'],
    ]);
    expect(notes.join()).toContain('P1 (test to train), own-P1 (test to train)');
  });
});

it('a pattern that makes all files one patient is noted', async () => {
  const input = join(folder(), 'one');
  give(input, 'P1', 'P2');
  const { notes } = await prepareDataset(input, join(folder(), 'one-out'), { patient: 'P' });
  expect(notes.join()).toMatch(/by the pattern all files are of patient P, so nothing is held out/);
});
