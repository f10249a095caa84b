/** Every command that takes volumes uses the same files of a folder, and leaves out the same in the same words. */
import { cpSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inspect } from '../../data/collection';
import { own } from '../../data/own/prepare';
import { useBackend } from '../../src/compute/use-backend';
import { onOneLine } from '../../src/escape';
import { compareRuns } from '../../src/evaluate/compare-runs';
import { prepareRun } from '../../src/train/train';
import type { Oddity } from '../../src/volume/prepare/oddities';
import { readVolume } from '../../src/volume/read';
import { listSeries } from '../../src/volume/series';
import type { DatasetIndex } from '../../src/volume/store/format';
import { untrained } from '../codes/untrained';
import { PatchwiseCommand } from '../command';
import { runHere } from '../command-here';
import { tiny } from '../train/tiny';
import { leftOutOf, type Observed, observed, withoutRoot } from './observed';
import { entries, makeTree, series } from './tree';

let root: string;
let scans: string;
const runs: string[] = [];
const command = new PatchwiseCommand(() => root);
/** The names of the tree's DICOM series. */
const seriesNames: string[] = [];
let expected: { readonly used: readonly string[]; readonly leftOut: Readonly<Record<string, RegExp>> };

beforeAll(async () => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'patchwise-cohort-')));
  process.env.PATCHWISE_RUNS = join(root, 'runs');
  process.env.PATCHWISE_PATIENT_KEY = join(root, 'patient-key');
  await useBackend('cpu');
  scans = await makeTree(root);
  for (const seed of [1, 2]) {
    const run = await prepareRun({ ...tiny, seed, data: ['phantom:16x16x16'] });
    await untrained(run.dir, {});
    runs.push(run.id);
  }
  const listed = (await listSeries(join(scans, 'dicom'))).series;
  const named = series.map(({ number, slices, expected }) => {
    const found = listed.find((one) => one.number === number && one.shape[2] === slices)!;
    return [found.name, expected] as const;
  });
  expect(named).toHaveLength(listed.length);
  seriesNames.push(...named.map(([name]) => name));
  const all = [
    ...Object.entries(entries).map(([name, entry]) => [onOneLine(name), entry.expected] as const),
    ...named,
  ];
  expected = {
    used: all.flatMap(([name, as]) => (as === 'used' ? [name] : [])).sort(),
    leftOut: Object.fromEntries(
      all.flatMap(([name, as]) => (typeof as === 'object' ? [[name, as.because]] : [])),
    ),
  };
}, 120_000);
afterAll(() => {
  delete process.env.PATCHWISE_RUNS;
  delete process.env.PATCHWISE_PATIENT_KEY;
  rmSync(root, { recursive: true, force: true });
});

/** What `prepare` answered: every other command must answer the same. */
let first: Observed | undefined;

function expectTable(found: Observed): void {
  expect(found.used).toEqual(expected.used);
  expect(Object.keys(found.leftOut).sort()).toEqual(Object.keys(expected.leftOut).sort());
  for (const [name, reason] of Object.entries(found.leftOut))
    expect(reason, name).toMatch(expected.leftOut[name]!);
  first ??= found;
  expect(found.leftOut).toEqual(first.leftOut);
}

/** The copies that a call finds and does not measure. */
function copiesIn(notes: readonly string[]): string[] {
  const [, copies] = notes.map((note) => /^copies of .* once: (\S+) \(of \S+\)$/.exec(note)).find(Boolean)!;
  expect(copies).toMatch(/(p001_a|p016_copy)\.nii\.gz$/); // whichever came second
  return [copies!];
}

describe('of a folder with everything in it, the same files are used, and left out in the same words', () => {
  it('by prepare', async () => {
    const { leftOut, written, oddities } = await command.json('prepare', 'scans', 'dataset');
    const noted = (note: RegExp) =>
      (oddities as Oddity[]).filter((one) => note.test(one.note)).flatMap(({ files }) => files);
    expect(noted(/scaled twice/)).toEqual(['odd/p011_scaled-twice.nii']);
    expect(noted(/padding/)).toEqual(expect.arrayContaining(['odd/p013_padding.nii']));
    expect(noted(/padding far below air/)).not.toContain('odd/p011_scaled-twice.nii');
    const index = JSON.parse(readFileSync(join(root, 'dataset', 'dataset.json'), 'utf8')) as DatasetIndex;
    const files = index.volumes.map(({ source }) => source.file);
    expect(written).toHaveLength(files.length);
    expectTable(observed(root, files, leftOut));
  });

  it('by encode', async () => {
    const { rows, leftOut } = await command.json(
      'encode',
      runs[0]!,
      'scans',
      '-o',
      'codes',
      '--workers',
      '1',
    );
    expectTable(
      observed(
        root,
        rows.map(({ file }: { file: string }) => file),
        leftOut,
      ),
    );
  });

  it('by evaluate', async () => {
    const options = ['--window', 'linear', '--overlap', '0', '--workers', '1', '--json'];
    const { code, stdout, stderr } = await command.run(['evaluate', runs[0]!, 'scans', ...options]);
    const { rows, leftOut, notes } = JSON.parse(stdout);
    expect(code).toBe(0);
    expect(observed(root, [], leftOutOf(stderr))).toEqual(observed(root, [], leftOut));
    const measured = rows.map(({ file }: { file: string }) => file);
    expectTable(observed(root, [...measured, ...copiesIn(notes)], leftOut));
  });

  it('by compare', async () => {
    // The command's own call, with one thread: small volumes do not repay more.
    const { rows, leftOut, notes } = await compareRuns(runs, { volumes: [scans], overlap: 0, workers: 1 });
    const names = new Set(rows.map(({ volume }) => volume));
    expectTable(observed(root, [...names, ...copiesIn(notes)], leftOut));

    for (const name of ['P002.NII.GZ', 'bad/p038_empty.nii.gz'])
      cpSync(join(scans, name), join(root, 'two', basename(name)));
    const { code, stderr } = await runHere(root, ['compare', ...runs, '--volumes', 'two', '--overlap', '0']);
    expect([code, leftOutOf(stderr)]).toEqual([
      0,
      [{ file: 'two/p038_empty.nii.gz', reason: expect.stringContaining('empty') }],
    ]);
  });

  it('by train, before its ranks start', async () => {
    const settings = ['--preset', 'toy', '--set', 'patch=8,8,2', 'stride=8,8,2'];
    const { code, stdout, stderr } = await command.run([
      'train',
      '--prepare',
      '--data',
      'scans',
      ...settings,
      '--json',
    ]);
    expect(code, stderr).toBe(0);
    const { data } = JSON.parse(readFileSync(join(JSON.parse(stdout).dir, 'config.json'), 'utf8'));
    // Of a patient's DICOM, the series with the most slices: several could land on both sides.
    const names = (data as string[]).map((path) => path.replace(/^.*\/data\/(P\d{12}_.*)\.nii$/, '$1'));
    const onePerPatient = expected.used.filter((name) => !seriesNames.includes(name) || names.includes(name));
    expect(names.filter((name) => seriesNames.includes(name))).toHaveLength(2);
    const found = observed(root, names, leftOutOf(stderr));
    expect(found.used).toEqual(onePerPatient);
    expectTable({ ...found, used: expected.used });
    for (const [name, { odd }] of Object.entries(entries))
      if (odd) expect(stderr, name).toMatch(new RegExp(`${odd.source}.* scans/${name}\\b`));
  });

  it('by train, which --strict makes end before there is a run', async () => {
    const before = readdirSync(join(root, 'runs'));
    const settings = ['--preset', 'toy', '--set', 'patch=8,8,2', 'stride=8,8,2'];
    const { code, stderr } = await runHere(root, ['train', '--data', 'scans', '--strict', ...settings]);
    expect(code).not.toBe(0);
    for (const [name, { odd }] of Object.entries(entries)) if (odd) expect(stderr).toContain(name);
    expect(readdirSync(join(root, 'runs'))).toEqual(before);
  });

  it('by the check of data/own', async () => {
    const { volumes, problems } = await inspect(scans, { ...own, fewestSlices: 1 });
    const found = observed(root, volumes, problems);
    // A check reads the headers only: prepare leaves out what is damaged behind them.
    const damaged = 'bad/p031_cut.nii.gz';
    expect(found.used).toContain(damaged);
    const used = found.used.filter((name) => name !== damaged);
    expectTable({ used, leftOut: { ...found.leftOut, [damaged]: first!.leftOut[damaged]! } });
  });

  it('by convert, of its DICOM', async () => {
    const answer = await command.json('convert', 'scans', 'nifti');
    const rows = answer.series as { name: string; file?: string; reason?: string }[];
    const used = rows.flatMap(({ name, file }) => (file ? [name] : []));
    expect(used.sort()).toEqual(expected.used.filter((name) => seriesNames.includes(name)));
    for (const { name, reason } of rows) if (reason) expect(reason).toMatch(expected.leftOut[name]!);
  });
}, 300_000);

describe('one file that is no volume is refused in the words that a folder has for it', () => {
  const bad = Object.entries(entries).filter(([, entry]) => typeof entry.expected === 'object');

  it.each(bad)('by readVolume: %s', async (name, entry) => {
    const reading = readVolume(join(scans, name)).then(
      () => 'read',
      (error: Error) => error.message,
    );
    const { because } = entry.expected as { because: RegExp };
    const told = withoutRoot(root, await reading);
    expect(told).toMatch(because);
    expect(told).toContain(first!.leftOut[onOneLine(name)]);
  });

  it('by readVolume: a folder of several files and DICOM, unless a series is chosen', async () => {
    const mixed = await readVolume(scans).catch((error: Error) => error.message);
    expect(mixed).toMatch(/expected one volume, found \d+: .*; give one of the files, or choose a series/);
    expect(mixed).toMatch(/\.nii/);
    const series = seriesNames.find((name) => expected.used.includes(name))!;
    expect((await readVolume(scans, { series })).source).toBe(series);
  });

  it('by train beside others, which ends with 1 as every command does for a path that was given', async () => {
    const given = ['P002.NII.GZ', 'p003.hdr', 'bad/p038_empty.nii.gz'].map((name) => join('scans', name));
    const settings = ['--preset', 'toy', '--set', 'patch=8,8,2', 'stride=8,8,2'];
    const train = ['train', '--prepare', ...settings, '--data'];
    const { code, stderr } = await runHere(root, [...train, ...given]);
    expect(leftOutOf(stderr)).toEqual([{ file: given[2], reason: expect.stringContaining('empty') }]);
    expect(code).toBe(1);
    expect((await runHere(root, [...train, ...given.slice(0, 2)])).code).toBe(0);
  });

  it('by plan, reconstruct, encode, evaluate and train', async () => {
    const [name] = ['bad/p036_page.nii.gz'];
    const file = join('scans', name);
    const calls = [
      ['plan', '--volume', file],
      ['reconstruct', runs[0]!, file, 'out.nii'],
      ['encode', runs[0]!, file, '-o', 'codes'],
      ['evaluate', runs[0]!, file],
      ['prepare', file, 'other'],
      ['train', '--preset', 'toy', '--data', file],
    ];
    for (const call of calls) {
      const { code, stdout, stderr } = await runHere(root, call);
      expect([call[0], code === 0, stdout]).toEqual([
        call[0],
        false,
        call[0] === 'encode' ? 'nothing was encoded\n' : '',
      ]);
      expect(stderr).toMatch(/found a web page; the download failed; download it again/);
    }
  });
}, 120_000);
