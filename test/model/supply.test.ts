import { expect, test } from 'vitest';
import { presetNamed } from '../../src/model/presets';
import { fitQuantiser } from '../../src/model/quantisers/registry';
import { fewLatents, latentsOf } from '../../src/model/supply';

const upstream = presetNamed('upstream').model;

test('a patch has a latent for every block of voxels', () => {
  expect(latentsOf(upstream, [128, 128, 128])).toBe(32 ** 3);
  expect(latentsOf({ ...upstream, downsample: [4, 2, 1] }, [8, 8, 3])).toBe(2 * 4 * 3);
});

test('reports more codes than latents in a step, if codes are learnt from latents', () => {
  expect(fewLatents(upstream, [128, 128, 128], 2)).toBeUndefined();
  expect(fewLatents(upstream, [64, 64, 64], 4)).toBeUndefined();
  expect(fewLatents(upstream, [64, 64, 64], 1)).toMatch(/4,096 latents for 16,384 codes.*model\.codes/);
  const fsq = fitQuantiser({ ...upstream, quantiser: 'fsq' }, { quantiser: 'fsq' });
  expect(fewLatents(fsq, [64, 64, 64], 1)).toBeUndefined();
});
