import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { PRESETS, type PresetName } from '../../../src/model/presets';
import { quantiserNames } from '../../../src/model/quantisers/registry';
import { resolveConfig, type TrainOptions } from '../../../src/train/settings/config';
import { readConfig } from '../../../src/train/settings/config-file';
import { listSettings, settingsYaml } from '../../../src/train/settings/reference';

const folder = mkdtempSync(join(tmpdir(), 'patchwise-reference-'));
afterAll(() => rmSync(folder, { recursive: true }));

const presets = Object.keys(PRESETS) as PresetName[];
const data = ['phantom:32x32x32'];

it.each(presets)('the YAML of %s gives the same config as the preset', async (preset) => {
  const file = join(folder, `${preset}.yaml`);
  writeFileSync(file, settingsYaml(preset));
  const options = await readConfig(file, { data });
  expect(resolveConfig(options as TrainOptions & { data: string[] })).toEqual(
    resolveConfig({ preset, data }),
  );
});

it('an uncommented line of the YAML sets its value', async () => {
  const file = join(folder, 'fsq.yaml');
  const yaml = settingsYaml('toy')
    .replace('# quantiser: "ema"', 'quantiser: "fsq"')
    .replace(/ # gain: 3/, ' gain: 2');
  writeFileSync(
    file,
    yaml
      .replace(/^ {2}codeDim: 4$/m, '')
      .replace(/^ {2}codes: 256$/m, '')
      .replace(/^# threads:/m, 'threads: 2'),
  );
  const config = resolveConfig((await readConfig(file, { data })) as TrainOptions & { data: string[] });
  expect(config).toMatchObject({ threads: 2, model: { quantiser: 'fsq', gain: 2 } });
});

it('lists every setting once, with a sentence and the value of the preset', () => {
  const entries = listSettings('guide');
  const names = entries.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  for (const { name, meaning, type } of entries) {
    expect(meaning, name).toMatch(/^[`A-Z].*\.$/);
    expect(type, name).not.toBe('');
  }
  const byName = Object.fromEntries(entries.map((entry) => [entry.name, entry]));
  expect(byName.patch).toMatchObject({ value: [256, 256, 128], unit: 'voxels' });
  expect(byName.tail).toMatchObject({ value: 'pad', default: 'pad', allowed: ['pad', 'drop', 'uneven'] });
  expect(byName['model.quantiser']).toMatchObject({ default: 'ema', allowed: [...quantiserNames] });
  expect(byName['model.estimator']).toMatchObject({ quantisers: ['ema', 'simvq', 'residual'] });
  expect(byName['model.gain']).toMatchObject({ default: 3, quantisers: ['fsq'] });
  expect(byName['perceptual.weight']).toMatchObject({ value: 0 });
  expect(names).toEqual(
    expect.arrayContaining(
      Object.keys(resolveConfig({ data })).filter((key) => !/^(model|gan|perceptual)$/.test(key)),
    ),
  );
});

it('docs/settings.md is what `npm run docs` writes', () => {
  const root = resolve(__dirname, '../../..');
  const made = join(folder, 'settings.md');
  execFileSync(process.execPath, [join(root, 'docs/make-settings.mjs'), made]);
  expect(readFileSync(join(root, 'docs/settings.md'), 'utf8')).toBe(readFileSync(made, 'utf8'));
});
