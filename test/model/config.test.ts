import { describe, expect, test } from 'vitest';
import { checkModelConfig, stages } from '../../src/model/config';
import { forecastMemory } from '../../src/model/forecast/forecast';
import { PRESETS, type PresetName, presetNamed } from '../../src/model/presets';
import { parameterCount, weightShapes } from '../../src/model/weight-shapes';
import type { Vec3 } from '../../src/vec3';

const guide = PRESETS.guide.model;

describe('parameter counts', () => {
  test('of the guide are the 22.23 million of the PyTorch model', () => {
    expect(parameterCount(guide)).toBe(22_230_977);
  });

  test('of one ResBlock more follow from its shapes', () => {
    const more = parameterCount({ ...guide, encoderBlocks: 2 }) - parameterCount(guide);
    const block = (c: number) => 2 * (27 * c * c + c) + 4 * c;
    expect(more).toBe(block(128) + block(256));
  });
});

test('weights have the PyTorch model’s names', () => {
  const names = weightShapes(guide).map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  for (const name of [
    'encoder.conv_first.conv.weight',
    'encoder.conv_blocks.1.down.conv.bias',
    'encoder.conv_blocks.0.res.norm1.weight',
    'encoder.final_block.0.bias',
    'pre_vq_conv.conv.weight',
    'post_vq_conv.conv.weight',
    'decoder.conv_blocks.0.up.convt.weight',
    'decoder.conv_blocks.1.res2.conv2.conv.weight',
    'decoder.conv_last.conv.bias',
  ])
    expect(names).toContain(name);
});

test('each axis is halved until its own factor is reached', () => {
  const strides = stages({ ...guide, downsample: [8, 1, 2] }).map(({ stride }) => stride);
  expect(strides).toEqual([
    [2, 1, 2], // z, y, x
    [1, 1, 2],
    [1, 1, 2],
  ]);
});

test('the guide’s forecast grows with the patch and has its order of magnitude', () => {
  const activationsOf = (patch: Vec3) => forecastMemory(guide, patch, { device: 'wasm' }).activations;
  const [small, full] = [activationsOf([128, 128, 128]), activationsOf([256, 256, 128])];
  expect(full / small).toBeCloseTo(4, 5);
  // At full resolution: conv_first's 64 channels, and 5 tensors of 128 around the last stage's two ResBlocks.
  expect(full).toBeGreaterThan(256 * 256 * 128 * 4 * (64 + 5 * 128));
  expect(full).toBeLessThan(256 * 256 * 128 * 4 * (64 + 5 * 128) * 1.35);
  const { weights, gradients, optimiser, activations, total } = forecastMemory(guide, [256, 256, 128], {
    batch: 2,
  });
  expect(weights).toBe(4 * 22_230_977);
  // Borders make it a little more than the activations alone; gradients on their way back come on top.
  expect(activations / (2 * full)).toBeGreaterThan(1);
  expect(activations / (2 * full)).toBeLessThan(1.02);
  expect(total).toBeGreaterThan(activations + weights + gradients + optimiser);
  expect(total).toBeLessThan(1.5 * activations);
});

describe('a config is refused with the field named:', () => {
  test.each([
    [{ hidden: 0 }, /model\.hidden/],
    [{ codes: 1.5 }, /model\.codes/],
    [{ decay: 1 }, /model\.decay.*\[0, 1\)/],
    [{ commitment: Number.NaN }, /model\.commitment/],
    [{ downsample: [4, 3, 4] }, /model\.downsample.*powers of two/],
    [{ downsample: [4, 4] }, /model\.downsample/],
    [{ downsample: [1, 1, 1] }, /model\.downsample/],
    [{ hidden: 24, groups: 32 }, /model\.groups.*48/],
  ])('%j', (change, message) => {
    expect(() => checkModelConfig({ ...guide, ...(change as object) })).toThrow(message);
  });
});

test.each(Object.keys(PRESETS) as PresetName[])('preset %s is a valid model whose patches divide', (name) => {
  const { model, patch, stride } = PRESETS[name];
  expect(checkModelConfig(model)).toEqual(model);
  expect(forecastMemory(model, patch).activations).toBeGreaterThan(0);
  for (const axis of [0, 1, 2]) expect(stride[axis]).toBeLessThanOrEqual(patch[axis]!);
});

test('an unknown preset is refused with the known ones', () => {
  expect(() => presetNamed('large')).toThrow(/guide, upstream, baseline, toy/);
  expect(() => presetNamed('constructor')).toThrow(/preset/);
});
