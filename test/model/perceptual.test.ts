import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { backendNames, useBackend } from '../../src/compute/use-backend';
import { Perceptual } from '../../src/model/perceptual';
import { readForeignSafetensors, type StoredTensor } from '../../src/safetensors';
import { normal } from '../conformance/tensors';
import { pythonWith } from '../python';
import { readGanReference } from './gan-reference';
import { relativeError } from './reference';

/** Convolutions of torchvision's `vgg16().features`: index, inputs, outputs. */
const CONVOLUTIONS = [
  [0, 3, 64],
  [2, 64, 64],
  [5, 64, 128],
  [7, 128, 128],
  [10, 128, 256],
  [12, 256, 256],
  [14, 256, 256],
  [17, 256, 512],
  [19, 512, 512],
  [21, 512, 512],
  [24, 512, 512],
  [26, 512, 512],
  [28, 512, 512],
] as const;

/** The formula of the generator of the fixture, in place of 59 MB of weights. */
function wave(shape: number[], phase: number, scale: number, absolute = false): StoredTensor {
  const data = Float32Array.from({ length: tf.util.sizeFromShape(shape) }, (_, i) => {
    const value = Math.fround(Math.sin(i * 12.9898 + phase));
    return (absolute ? Math.abs(value) : value) * scale;
  });
  return { shape, data };
}

function randomWeights(): { vgg: Map<string, StoredTensor>; heads: Map<string, StoredTensor> } {
  const vgg = new Map<string, StoredTensor>();
  for (const [index, inputs, outputs] of CONVOLUTIONS) {
    vgg.set(`features.${index}.weight`, wave([outputs, inputs, 3, 3], index, Math.sqrt(2 / (9 * inputs))));
    vgg.set(`features.${index}.bias`, wave([outputs], index, 0.1));
  }
  const heads = [64, 128, 256, 512, 512].map(
    (c, i) => [`lin${i}.model.1.weight`, wave([1, c, 1, 1], i, 1, true)] as const,
  );
  return { vgg, heads: new Map(heads) };
}

const reference = readGanReference();
const weights = randomWeights();
const slices = (name: string) => {
  const { data, shape } = reference.array(name);
  return tf.tensor(data, [...shape]) as tf.Tensor as tf.Tensor5D;
};

// Plain JavaScript loops would take a minute for VGG.
describe.each(backendNames.filter((name) => name !== 'cpu'))('LPIPS, backend %s', (name) => {
  let perceptual: Perceptual;
  beforeAll(async () => {
    await useBackend(name);
    perceptual = new Perceptual(weights.vgg, weights.heads);
  });
  afterAll(() => perceptual.dispose());

  test('is PyTorch’s, and so is its gradient', () => {
    const [x, y] = [slices('lpips/x'), slices('lpips/y')];
    const { value, gradient } = perceptual.loss(x, y, 4);
    expect(Math.abs(value / reference.lpips.value - 1)).toBeLessThan(1e-5);
    const wanted = reference.array('lpips/gradient').data.map((g) => 4 * g);
    expect(relativeError(gradient.dataSync(), wanted)).toBeLessThan(1e-4);
    tf.dispose([x, y, gradient]);
  });

  test('has the gradient of finite differences', () => {
    const [x, y] = [slices('lpips/x'), slices('lpips/y')];
    const direction = tf.tensor(normal(4, y.shape), y.shape);
    const at = (step: number) => {
      const moved = tf.tidy(() => tf.add(y, tf.mul(direction, step)) as tf.Tensor5D);
      const { value, gradient } = perceptual.loss(x, moved, 1);
      tf.dispose([moved, gradient]);
      return value;
    };
    const { gradient } = perceptual.loss(x, y, 1);
    const slope = tf.tidy(() => tf.sum(tf.mul(gradient, direction)).dataSync()[0]!);
    expect((at(2e-3) - at(-2e-3)) / 4e-3 / slope).toBeCloseTo(1, 1);
    tf.dispose([x, y, direction, gradient]);
  });

  test('is 0 for equal slices, with a gradient of 0, even where they are black', () => {
    const some = tf.slice(slices('lpips/x'), [0, 0, 0, 0, 0], [1, 1, 16, 16, 1]);
    const x = tf.concat([tf.fill([1, 1, 16, 16, 1], -1), some]) as tf.Tensor5D;
    const { value, gradient } = perceptual.loss(x, tf.clone(x), 1);
    expect(value).toBe(0);
    expect(Math.max(...gradient.dataSync().map(Math.abs))).toBe(0);
  });

  test('leaves no tensor behind', () => {
    const [x, y] = [slices('lpips/x'), slices('lpips/y')];
    perceptual.loss(x, y, 1).gradient.dispose();
    const before = tf.memory().numTensors;
    for (let i = 0; i < 3; i++) perceptual.loss(x, y, 1).gradient.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });

  test('refuses slices that VGG halves to nothing', () => {
    const small = tf.zeros([1, 1, 8, 16, 1]) as tf.Tensor5D;
    expect(() => perceptual.loss(small, small, 1)).toThrow(/slices.*16 x 16/);
  });
});

test('weights that are missing or have another shape are named', () => {
  const { vgg, heads } = weights;
  const without = new Map(vgg);
  without.delete('features.14.bias');
  expect(() => new Perceptual(without, heads)).toThrow(
    /perceptual\.vgg.*features\.14\.bias of shape \[256\].*convert\.py perceptual\.safetensors.*nothing/,
  );
  const other = new Map(heads).set('lin2.model.1.weight', { shape: [1, 9, 1, 1], data: new Float32Array(9) });
  expect(() => new Perceptual(vgg, other)).toThrow(/perceptual\.heads.*lin2\.model\.1\.weight/);
});

const python = pythonWith('torch');
test.skipIf(!python)(
  'weights as torchvision and lpips save them give what PyTorch computes with them',
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'patchwise-perceptual-'));
    try {
      const run = (...args: string[]) =>
        execFileSync(python!, args, { encoding: 'utf8', maxBuffer: 2 ** 26 });
      const out = run(join(__dirname, '../fixtures/perceptual/reference.py'), folder);
      const expected = JSON.parse(out) as Record<'x' | 'y' | 'gradient', number[]> & { value: number };
      const file = join(folder, 'perceptual.safetensors');
      const [vgg, heads] = ['vgg16.pth', 'heads.pth'].map((name) => join(folder, name)) as [string, string];
      const convert = join(__dirname, '../../data/perceptual/convert.py');
      expect(run(convert, file, '--vgg', vgg, '--heads', heads)).toContain('31 arrays');
      await useBackend('wasm');
      const { tensors } = readForeignSafetensors(file);
      const perceptual = new Perceptual(tensors, tensors);
      const [x, y] = [expected.x, expected.y].map((data) => tf.tensor5d(data, [2, 1, 20, 24, 1]));
      const { value, gradient } = perceptual.loss(x!, y!, 1);
      expect(Math.abs(value / expected.value - 1)).toBeLessThan(1e-4);
      expect(relativeError(gradient.dataSync(), expected.gradient)).toBeLessThan(1e-4);
      tf.dispose([x!, y!, gradient]);
      perceptual.dispose();
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
  120_000,
);
