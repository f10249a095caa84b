import { expect, it } from 'vitest';
import { presetNamed } from '../../../src/index';
import { stepWork } from '../../../src/internal';

const { model } = presetNamed('guide');

it('counts a step as PyTorch does, but for the codes and the border of transposed convolutions', () => {
  // PyTorch's FlopCounterMode counts 166 GFLOP with them.
  const work = stepWork(presetNamed('upstream').model, [64, 64, 32]);
  expect(work / 1e9).toBeGreaterThan(166 * 0.95);
  expect(work / 1e9).toBeLessThan(166);
});

it('grows with voxels and patches, and with the square of channels but for the first and last layer', () => {
  const work = stepWork(model, [32, 32, 16]);
  expect(stepWork(model, [64, 32, 16])).toBe(2 * work);
  expect(stepWork(model, [32, 32, 16], 3)).toBe(3 * work);
  const wider = stepWork({ ...model, hidden: 128 }, [32, 32, 16]) / work;
  expect(wider).toBeGreaterThan(3.9);
  expect(wider).toBeLessThan(4);
});

it('equals a count by hand for a model of three convolutions', () => {
  const small = { ...model, hidden: 2, groups: 1, codeDim: 3, encoderBlocks: 0, decoderBlocks: 0, codes: 4 };
  const patch = [4, 4, 4] as const;
  const config = { ...small, downsample: [2, 2, 2] as const };
  const first = 27 * 2 * 64;
  const down = 64 * 2 * 4 * 8;
  const codes = 2 * 4 * 3 * 8;
  const up = 64 * 4 * 4 * 8;
  const last = 27 * 4 * 64;
  expect(stepWork(config, patch)).toBe(2 * (2 * first + 3 * (down + codes + up + last)));
});
