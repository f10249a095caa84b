import { execFile } from 'node:child_process';
import {
  appendFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';
import { compiledFile } from '../../../src/package';
import { phantom } from '../../../src/volume/phantom/phantom';
import { lockStore } from '../../../src/volume/prepare/lock';
import { prepareVolume } from '../../../src/volume/prepare/one-volume';
import { prepareDataset } from '../../../src/volume/prepare/prepare';
import { isDataset, openDataset } from '../../../src/volume/store/dataset';
import { writeVolume } from '../../../src/volume/write';
import { temporaryFolder } from '../folder';

const folder = temporaryFolder();
const input = () => join(folder(), 'in');

beforeAll(async () => {
  mkdirSync(input());
  for (const patient of [1, 2])
    await writeVolume(join(input(), `P${patient}.nii`), phantom({ shape: [16, 16, 16], seed: patient }));
});

describe('a file that somebody still writes', () => {
  it('is left out, because its voxels could pass for those of the whole file', async () => {
    const path = join(folder(), 'growing.nii');
    await writeVolume(path, phantom({ shape: [16, 16, 16] }));
    const output = join(folder(), 'of-growing');
    mkdirSync(output);
    const settings = { format: 1, canonical: false, spacing: null, baseline: null, antialias: true };
    const source = { path, file: 'growing.nii', name: 'growing', patient: 'growing' };
    const preparing = prepareVolume({ source, output, settings, intensity: 'auto' });
    appendFileSync(path, 'more');
    await expect(preparing).rejects.toThrow(/a file that changed; prepare again/);
    expect(readdirSync(output)).toEqual([]);
  });
});

describe('a dataset whose preparation was ended', () => {
  it('is told from a folder without volumes, with the cure', async () => {
    const output = join(folder(), 'ended');
    const controller = new AbortController();
    const onProgress = () => controller.abort();
    await expect(
      prepareDataset(input(), output, { signal: controller.signal, onProgress }),
    ).rejects.toThrow();
    expect(isDataset(output)).toBe(true);
    expect(() => openDataset(output)).toThrow(/prepare it again/);
    await prepareDataset(input(), output);
    expect(openDataset(output).volumes).toHaveLength(2);
    expect(isDataset(join(output, 'P1'))).toBe(false);
  });

  it('is one too while its index waits aside', async () => {
    const output = join(folder(), 'aside');
    await prepareDataset(input(), output);
    rmSync(join(output, 'zarr.json'));
    renameSync(join(output, 'dataset.json'), join(output, '.dataset.json.before'));
    expect(isDataset(output)).toBe(true);
    expect(() => openDataset(output)).toThrow(/prepare it again/);
  });
});

describe('a damaged index', () => {
  const cases: [string, RegExp, string][] = [
    ['a side that is none', /"split": "\w+"/, '"split": "trabn"'],
    ['an image without its shape', /"shape"/, '"shapf"'],
    ['an entry without a patient', /"patient": "P1",/, ''],
    ['a slope that is no number', /"slope": 1/, '"slope": null'],
  ];
  it.each(cases)('with %s is named, with the cure', async (what, part, damaged) => {
    const output = join(folder(), `index-${what}`);
    await prepareDataset(input(), output);
    const path = join(output, 'dataset.json');
    const whole = readFileSync(path, 'utf8');
    expect(whole).toMatch(part);
    writeFileSync(path, whole.replace(part, damaged));
    expect(() => openDataset(output)).toThrow(/to repair it: npx patchwise prepare INPUT/);
    // Without its patients, nobody knows who was held out.
    if (what.includes('patient')) {
      await expect(prepareDataset(input(), output)).rejects.toThrow(
        /remove it and prepare again, to draw a new split/,
      );
      rmSync(path);
    }
    await prepareDataset(input(), output);
    expect(readFileSync(path, 'utf8')).toBe(whole);
  });

  it('with the record of a volume damaged, that volume is prepared again', async () => {
    const output = join(folder(), 'record');
    await prepareDataset(input(), output);
    const path = join(output, 'P1', 'zarr.json');
    const whole = readFileSync(path, 'utf8');
    writeFileSync(path, whole.replace('"range"', '"rangd"'));
    const { written } = await prepareDataset(input(), output);
    expect(written).toEqual(['P1']);
    expect(readFileSync(path, 'utf8')).toBe(whole);
  });
});

describe('the lock', { timeout: 60_000 }, () => {
  it('lets one process in, also if several find the lock of a process that is gone', async () => {
    const output = join(folder(), 'locked');
    mkdirSync(output);
    const script = `
      const { lockStore } = require(${JSON.stringify(compiledFile('src', 'volume', 'prepare', 'lock.js'))});
      const fs = require('node:fs'), gone = require('node:os').hostname() + ' 99999999 long ago';
      const rest = (ms) => new Promise((done) => setTimeout(done, ms));
      process.chdir(${JSON.stringify(output)});
      (async () => {
        for (let round = 0; round < 60; round++) {
          let unlock;
          try { unlock = await lockStore('.'); } catch { continue; }
          fs.mkdirSync('held'); // throws if another is within
          await rest(5);
          fs.rmdirSync('held');
          if (round % 3) fs.writeFileSync('.lock', gone); else unlock();
          await rest(round % 4);
        }
      })();`;
    const run = () => promisify(execFile)(process.execPath, ['-e', script]);
    await Promise.all([run(), run(), run()]);
    expect(readdirSync(output).filter((name) => name !== '.lock')).toEqual([]);
  });

  it('is not taken from a process that has not written its name yet', async () => {
    const output = join(folder(), 'nameless');
    mkdirSync(output);
    const unlock = await lockStore(output);
    const path = join(output, '.lock');
    const holder = readFileSync(path, 'utf8');
    writeFileSync(path, '');
    const second = expect(lockStore(output)).rejects.toThrow(/nobody else prepares/);
    await new Promise((done) => setTimeout(done, 50));
    writeFileSync(path, holder);
    await second;
    unlock();
    expect(readdirSync(output)).toEqual([]);
  });
});
