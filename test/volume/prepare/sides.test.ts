import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { Random } from '../../../src/random';
import { phantom } from '../../../src/volume/phantom/phantom';
import { type Preparation, prepareDataset } from '../../../src/volume/prepare/prepare';
import { planSides } from '../../../src/volume/prepare/sides';
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
        const sources = present.map((name): Source => ({ path: name, file: name, name, patient: name }));
        const owners = new Map(sources.map((source) => [source, { patient: source.name }]));
        const request = { owners, fractions: [0.6, 0.2, 0.2], seed: history, resplit: false } as const;
        const sides = planSides(request, indexBefore(output));
        const plan = { owners, sources, sides } as unknown as Preparation;
        const readable = sources.filter(() => random.next() < 0.8);
        const records = new Map(readable.map((source) => [source, {} as VolumeRecord]));
        const outcome = { records, kept: new Set<string>(), leftOut: [], notes: [] };
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
    await expect(prepareDataset(input, output, { csv })).rejects.toThrow(/patient P1 \(test to train\)/);
    const { notes } = await prepareDataset(input, output, { csv, resplit: true });
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

describe('another split', { timeout: 120_000 }, () => {
  const snapshot = (output: string) => readFileSync(join(output, 'dataset.json'), 'utf8');

  it('is none if a call gives no split: it uses the settings of the dataset', async () => {
    const [input, output] = [join(folder(), 'settings'), join(folder(), 'settings-out')];
    give(input, 'P1', 'P2', 'P3', 'P4', 'P5');
    const options = {
      split: [0.4, 0.2, 0.4],
      seed: 3,
      spacing: 2,
      antialias: false,
      canonical: true,
    } as const;
    await prepareDataset(input, output, { ...options, intensity: 'lung' });
    const before = snapshot(output);
    expect((await prepareDataset(input, output)).written).toEqual([]);
    expect(snapshot(output)).toBe(before);
    give(input, 'P6');
    expect((await prepareDataset(input, output)).written).toEqual(['P6']);
    const added = openDataset(output).volumes.find(({ name }) => name === 'P6');
    expect(added).toMatchObject({ spacing: [2, 2, 2], intensity: { name: 'lung' } });
    for (const [patient, side] of Object.entries(JSON.parse(before).sides))
      expect([patient, sidesOf(output).get(patient)]).toEqual([patient, side]);
  });

  it.each([
    ['other fractions', { split: [0.5, 0.25, 0.25] as const }],
    ['another seed', { seed: 1 }],
  ])('by %s is refused before anything is written, until the call asks for it', async (what, other) => {
    const [input, output] = [join(folder(), what), join(folder(), `${what}-out`)];
    give(input, 'P1', 'P2', 'P3', 'P4', 'P5', 'P6', 'P7', 'P8');
    await prepareDataset(input, output);
    const before = snapshot(output);
    give(input, 'P9');
    const call = prepareDataset(input, output, other);
    await expect(call).rejects.toThrow(
      /split: expected the dataset's own, 0.8,0.1,0.1 drawn by seed 0 .*`resplit`/,
    );
    expect(readdirSync(output)).not.toContain('P9');
    expect(snapshot(output)).toBe(before);
    const { notes } = await prepareDataset(input, output, { ...other, resplit: true });
    expect(notes.join()).toMatch(/moved to another side, as resplit asks: P\d \(/);
    const after = snapshot(output);
    expect((await prepareDataset(input, output)).notes).toEqual([]);
    expect(snapshot(output)).toBe(after);
  });

  it('does not come from other names of the patients, unless volumes of two sides are of one', async () => {
    const [input, output] = [join(folder(), 'renamed'), join(folder(), 'renamed-out')];
    give(input, 'P1', 'P2', 'P3', 'P4', 'P5', 'P6', 'P7', 'P8', 'P9', 'P10');
    await prepareDataset(input, output);
    const sides = () => new Map(openDataset(output).volumes.map(({ name, split }) => [name, split]));
    const before = sides();
    await prepareDataset(input, output, { patient: '\\d+' });
    expect(openDataset(output).volumes.map(({ patient }) => patient)).toContain('10');
    expect(sides()).toEqual(before);
    // Without a pattern the patients of the dataset stay.
    const { notes } = await prepareDataset(input, output);
    expect(notes.join()).toMatch(/patients are those of an earlier table or pattern for 10 files/);
    expect(openDataset(output).volumes.map(({ patient }) => patient)).toContain('10');
    const together = { patient: 'P' };
    await expect(prepareDataset(input, output, together)).rejects.toThrow(
      /P\d+ \(test to one side with the others\)/,
    );
    expect(sides()).toEqual(before);
    await prepareDataset(input, output, { ...together, resplit: true });
    expect(new Set(sides().values()).size).toBe(1);
  });

  it('of a patient who is away cannot come from a volume that is added alone', async () => {
    const [input, output] = [join(folder(), 'added'), join(folder(), 'added-out')];
    give(input, 'P1', 'P2', 'P3');
    await prepareDataset(input, output);
    const [away] = [...sidesOf(output)].find(([, side]) => side === 'test')!;
    rmSync(join(input, `${away}.nii`));
    await prepareDataset(input, output);
    const place = phantom({ shape: [12, 12, 12] });
    const add = (split?: SplitName) =>
      writeDatasetVolume(output, place, [{ z: 0, depth: 12, data: place.data }], {
        ...{ name: 'own', patient: away, split },
      });
    await expect(add('train')).rejects.toThrow(`split: expected test, the side of patient ${away}`);
    await add();
    expect(sidesOf(output).get(away)).toBe('test');
  });
});

it('a pattern that makes all files one patient is noted', async () => {
  const input = join(folder(), 'one');
  give(input, 'P1', 'P2');
  const { notes } = await prepareDataset(input, join(folder(), 'one-out'), { patient: 'P' });
  expect(notes.join()).toMatch(/by the pattern all files are of patient P, so nothing is held out/);
});
