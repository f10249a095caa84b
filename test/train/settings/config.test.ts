import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, describe, expect, it } from 'vitest';
import { InvalidConfig } from '../../../src/errors';
import { PRESETS } from '../../../src/model/presets';
import { resolveConfig, type TrainOptions } from '../../../src/train/settings/config';
import { readConfig } from '../../../src/train/settings/config-file';

const folder = mkdtempSync(join(tmpdir(), 'patchwise-config-'));
afterAll(() => rmSync(folder, { recursive: true }));

const data = ['phantom:32x32x32'];

/** Resolves settings that the types would not let through. */
function problemsOf(options: Record<string, unknown>): InvalidConfig['problems'] {
  try {
    resolveConfig({ data, ...options } as TrainOptions & { data: string[] });
  } catch (error) {
    expect(error).toBeInstanceOf(InvalidConfig);
    return (error as InvalidConfig).problems;
  }
  return [];
}

describe('config', () => {
  it.each(Object.keys(PRESETS) as (keyof typeof PRESETS)[])('every preset resolves: %s', (preset) => {
    const config = resolveConfig({ preset, data });
    expect(config.model).toEqual(PRESETS[preset].model);
    expect(config).toMatchObject({
      patch: PRESETS[preset].patch,
      steps: PRESETS[preset].steps,
      betas: [0.5, 0.9],
    });
  });

  it('lays options over the preset, those of the discriminators too', () => {
    const config = resolveConfig({ preset: 'upstream', data, gan: { start: 5 }, perceptual: { weight: 0 } });
    expect(config.gan).toEqual({ ...PRESETS.upstream.gan, start: 5 });
    expect(config.perceptual).toEqual({ weight: 0 });
    expect(resolveConfig({ preset: 'toy', data }).gan).toMatchObject({ slice: 0, patch: 0 });
  });

  it('lays options over the preset, the model setting by setting', () => {
    const config = resolveConfig({ preset: 'guide', data, model: { codes: 1024 }, ranks: 4 });
    expect(config.model).toEqual({ ...PRESETS.guide.model, codes: 1024 });
    expect(config.ranks).toBe(4);
  });

  it('takes one number for a size of three, and gives three', () => {
    const model = { downsample: 2 };
    const view = { shape: 24, how: 'crop' } as const;
    expect(resolveConfig({ data, patch: 16, model, view })).toMatchObject({
      patch: [16, 16, 16],
      stride: [12, 12, 12],
      model: { downsample: [2, 2, 2] },
      view: { shape: [24, 24, 24], how: 'crop' },
    });
    expect(resolveConfig({ data, patch: [16, 16, 8], stride: 8 }).stride).toEqual([8, 8, 8]);
  });

  it('refuses an option that belongs to another quantiser', () => {
    expect(problemsOf({ model: { quantiser: 'fsq', cosine: true } })).toMatchObject([
      { key: 'model.cosine', expected: 'nothing: only ema has it' },
    ]);
  });

  it('epochs take the place of the steps of the preset, not of one asked for', () => {
    expect(resolveConfig({ data, epochs: 3 })).toMatchObject({ epochs: 3 });
    expect(resolveConfig({ data, epochs: 3 }).steps).toBeUndefined();
    expect(problemsOf({ epochs: 3, steps: 10 })[0]).toMatchObject({ key: 'steps' });
  });

  it('says all that is wrong: key, expected, received, allowed', () => {
    const problems = problemsOf({
      ranks: 0,
      tail: 'cut',
      modle: { codes: 2 },
      model: { codes: 1.5, code: 3 },
      patch: [32, 32],
    });
    const byKey = Object.fromEntries(problems.map((problem) => [problem.key, problem]));
    expect(Object.keys(byKey).sort()).toEqual([
      'model.code',
      'model.codes',
      'modle',
      'patch',
      'ranks',
      'tail',
    ]);
    expect(byKey.ranks).toMatchObject({ expected: 'a whole number above 0', received: 0 });
    expect(byKey.tail).toMatchObject({ received: 'cut', allowed: ['pad', 'drop', 'uneven'] });
    expect(byKey['model.codes']).toMatchObject({ received: 1.5 });
    expect(byKey['model.code']?.allowed).toContain('codes');
    expect(byKey.modle?.allowed).toContain('model');
  });

  it.each<[string, Record<string, unknown>]>([
    ['preset', { preset: 'huge' }],
    ['data', { data: [] }],
    ['intensity', { intensity: [500, -200] }],
    ['intensity', { intensity: 'brain' }],
    ['stride', { stride: [40, 32, 16] }],
    ['patch', { patch: [31, 32, 16] }],
    ['model', { model: 'guide' }],
    ['gan', { gan: true }],
    ['gan.loss', { gan: { loss: 'wasserstein' } }],
    ['gan.axes', { gan: { axes: ['z', 'w'] } }],
    ['gan.layers', { gan: { patch: 1, layers: 5 } }],
    ['perceptual.weight', { perceptual: { weight: -1 } }],
    ['perceptual.vgg', { perceptual: { weight: 1, heads: 'lpips.safetensors' } }],
    ['optimiser', { optimiser: 'sgd' }],
    ['average', { average: 1 }],
    ['use', { use: 'average' }],
    ['warmup', { warmup: 1.5 }],
    ['divergence', { divergence: -1 }],
    ['model.groups', { model: { hidden: 6, groups: 5 } }],
    ['validation', { validation: 1 }],
    ['learningRate', { learningRate: Number.NaN }],
    ['steps', { steps: '100' }],
  ])('refuses a wrong %s', (key, options) => {
    expect(problemsOf(options).map((problem) => problem.key)).toEqual([key]);
  });
});

describe('config file', () => {
  it('reads YAML, with overrides on top', async () => {
    const file = join(folder, 'run.yaml');
    writeFileSync(
      file,
      'preset: guide\nranks: 2\nmodel:\n  codes: 256\n  decay: 0.95\nintensity: [-200, 500]\n',
    );
    const options = await readConfig(file, {
      overrides: [
        'model.codes=1024',
        'patch=64,64,32',
        'stride=[48, 48, 24]',
        'backend=cpu',
        'learningRate=1e-4',
      ],
      data: ['ct.nii.gz'],
    });
    expect(options).toEqual({
      preset: 'guide',
      ranks: 2,
      model: { codes: 1024, decay: 0.95 },
      intensity: [-200, 500],
      patch: [64, 64, 32],
      stride: [48, 48, 24],
      backend: 'cpu',
      learningRate: 1e-4,
      data: ['ct.nii.gz'],
    });
  });

  it.each([
    ['patients=[A, A, B]', ['A', 'A', 'B']],
    ['patients=1,1,2', ['1', '1', '2']],
  ])('takes patients by name or number: %s', async (override, patients) => {
    const config = await readConfig(undefined, { overrides: [override] });
    expect(resolveConfig({ ...config, data: ['a.nii', 'b.nii', 'c.nii'] }).patients).toEqual(patients);
  });

  it('says what is wrong with a file or an override', async () => {
    await expect(readConfig(undefined, { overrides: ['codes'] })).rejects.toThrow(InvalidConfig);
    await expect(readConfig(undefined, { overrides: ['__proto__.x=1'] })).rejects.toThrow(InvalidConfig);
    await expect(readConfig(join(folder, 'none.yaml'))).rejects.toMatchObject({
      code: 'ENOENT',
      path: join(folder, 'none.yaml'),
    });
    const list = join(folder, 'list.yaml');
    writeFileSync(list, '- 1\n- 2\n');
    await expect(readConfig(list)).rejects.toThrow('a mapping of settings');
    const volume = join(folder, 'ct.nii.gz');
    writeFileSync(volume, gzipSync('voxels\n'.repeat(3)));
    await expect(readConfig(volume)).rejects.toThrow(
      /volumes are given as data, found a file that is no text$/,
    );
    writeFileSync(volume, 'a: 1\nb: [1,\nc: 3\n');
    await expect(readConfig(volume)).rejects.toThrow(/found [^\n]*at line \d[^\n]*$/);
  });
});
