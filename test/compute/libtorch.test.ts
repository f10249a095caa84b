import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { setPrecision } from '../../src/compute/contract/registry';
import { findLibtorch } from '../../src/compute/libtorch/locate';
import type { LibtorchTensors } from '../../src/compute/libtorch/tensors';
import { conv3d, conv3dTranspose, groupNorm, nearestCode, normSiluConv3d } from '../../src/compute/ops/ops';
import { backendNames, useBackend } from '../../src/compute/use-backend';
import { InvalidArgument, OutOfMemory } from '../../src/errors';
import { presetNamed } from '../../src/model/presets';
import { VqGan } from '../../src/model/vqgan';
import { tensor, worstError } from '../conformance/tensors';
import { codebookOf, lossAndGradients } from '../model/plain';

const built = backendNames.includes('libtorch');
if (!built) console.log('skipped: backend libtorch is not built (npx patchwise backend build libtorch)');

const likeCuda = !!process.env.PATCHWISE_LIKE_CUDA;

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

describe('finding libtorch', () => {
  it('refuses a folder without it, by name', async () => {
    const empty = mkdtempSync(join(tmpdir(), 'patchwise-libtorch-'));
    await expect(findLibtorch(empty)).rejects.toThrow(InvalidArgument);
    await expect(findLibtorch(empty)).rejects.toThrow(/include\/ATen/);
    rmSync(empty, { recursive: true });
  });
});

/** The bfloat16 nearest a float; of two the even one. */
function roundToHalf(value: number): number {
  const bits = new Uint32Array(Float32Array.of(value).buffer);
  bits[0] = (bits[0]! + 0x7fff + ((bits[0]! >>> 16) & 1)) & 0xffff0000;
  return new Float32Array(bits.buffer)[0]!;
}

describe.skipIf(!built)('the native part of libtorch', () => {
  let backend: LibtorchTensors;
  beforeAll(async () => {
    await useBackend('libtorch');
    backend = tf.backend() as LibtorchTensors;
  });
  afterAll(() => backend.addon.ownLoops(true));

  it('frees at once on dispose', () => {
    const before = backend.memory();
    const x = tf.zeros([64, 64, 64, 16]);
    expect(backend.memory().live - before.live).toBe(x.size * 4);
    const view = tf.reshape(x, [64, -1]);
    x.dispose();
    expect(backend.memory().live - before.live).toBe(x.size * 4);
    view.dispose();
    expect(backend.memory()).toMatchObject({ live: before.live, handles: before.handles });
  });

  it('takes back the memory of tensors that were forgotten, and of no others', async () => {
    const values = Float32Array.from({ length: 1 << 18 }, (_, i) => i);
    await useBackend('cpu');
    const guest = tf.tensor1d(values);
    await useBackend('libtorch');
    const [kept, number] = [tf.tensor1d(values), tf.scalar(3)];
    const moved = tf.tidy(() => tf.add(guest, tf.mul(kept, 0)));
    backend.handle(number);
    const before = backend.memory();
    (() => {
      for (let i = 0; i < 20; i++) tf.mul(kept, i);
    })();
    expect(backend.memory().handles).toBe(before.handles + 20);
    const deadline = Date.now() + 30_000;
    while (backend.memory().handles > before.handles && Date.now() < deadline) {
      collectGarbage();
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    const after = backend.memory();
    expect(after).toMatchObject({ live: before.live, handles: before.handles });
    expect(after.reclaimed - before.reclaimed).toBe(20);
    for (const tensor of [kept, moved, guest]) expect(tensor.dataSync()).toEqual(values);
    expect(tf.add(number, 1).dataSync()[0]).toBe(4);
    tf.dispose([kept, number, moved, guest]);
    expect(backend.memory().reclaimed).toBe(after.reclaimed);
  });

  it('turns bad shapes, freed handles and lack of memory into errors, and goes on', () => {
    const [a, b] = [tf.ones([2, 3]), tf.ones([4])];
    expect(() => tf.engine().runKernel('Add', { a, b })).toThrow(/Add: The size of tensor/);
    expect(() => tf.gather(a, tf.tensor1d([7], 'int32'))).toThrow(/gather/);
    const handle = backend.handle(b);
    b.dispose();
    const other = tf.ones([5]);
    expect(() => backend.addon.unary.Neg!(handle)).toThrow(/freed tensor/);
    expect(() => backend.addon.unary.Neg!(1e6)).toThrow(/no such tensor handle/);
    expect(() => backend.addon.unary.Neg!(-1)).toThrow(/no such tensor handle: -1/);
    expect(() => backend.native.unary.Neg!(null as never)).toThrow(/argument 0: number expected/);
    const before = backend.memory();
    expect(() => tf.fill([1 << 20, 1 << 20], 1)).toThrow(OutOfMemory);
    expect(backend.memory().live).toBe(before.live);
    expect([...tf.add(a, 1).dataSync()]).toEqual([2, 2, 2, 2, 2, 2]);
    tf.dispose([a, other]);
  });

  it('gives the same results with ATen alone, as on devices without our loops', () => {
    const x = tensor<tf.Tensor5D>(1, [2, 4, 6, 5, 16]);
    const [thin, wide] = [tensor<tf.Tensor5D>(2, [3, 3, 3, 16, 1]), tensor<tf.Tensor5D>(3, [4, 4, 4, 16, 8])];
    const [gamma, beta] = [tensor<tf.Tensor1D>(4, [16]), tensor<tf.Tensor1D>(5, [16])];
    const z = tensor<tf.Tensor2D>(6, [33, 4]);
    const [square, bias] = [tensor<tf.Tensor5D>(8, [3, 3, 3, 16, 16]), tensor<tf.Tensor1D>(9, [16])];
    const compute = () =>
      [
        ...tf.grads((...[y, g, b, w, v]: tf.Tensor[]) =>
          normSiluConv3d(
            ...([y, g, b, w, v] as [tf.Tensor5D, tf.Tensor1D, tf.Tensor1D, tf.Tensor5D, tf.Tensor1D]),
            { groups: 4 },
          ),
        )([x, gamma, beta, square, bias]),
        ...tf.grads((...[y, g, b, w, v]: tf.Tensor[]) => {
          const norm = groupNorm(y as tf.Tensor5D, g as tf.Tensor1D, b as tf.Tensor1D, {
            groups: 4,
            silu: true,
          });
          const up = conv3dTranspose(norm, v as tf.Tensor5D);
          return tf.add(tf.sum(tf.square(conv3d(norm, w as tf.Tensor5D))), tf.sum(tf.square(up)));
        })([x, gamma, beta, thin, wide]),
        nearestCode(z, tensor<tf.Tensor2D>(7, [50, 4])),
      ].map((y) => y.dataSync());
    const ours = compute();
    backend.addon.ownLoops(false);
    const theirs = compute();
    backend.addon.ownLoops(true);
    ours.forEach((values, i) => {
      expect(worstError(values, theirs[i]!)).toBeLessThan(1e-5);
    });
  });

  it.each(['float32', 'bf16'] as const)('computes volumes by parts with ATen alone, in %s', (precision) => {
    // 20 planes in parts of 7, 7 and 6; the output in parts of 2.
    const x = tensor<tf.Tensor5D>(1, [2, 20, 18, 16, 16]);
    const [gamma, beta] = [tensor<tf.Tensor1D>(4, [16]), tensor<tf.Tensor1D>(5, [16])];
    const [wide, thin] = [
      tensor<tf.Tensor5D>(2, [3, 3, 3, 16, 16]),
      tensor<tf.Tensor5D>(3, [3, 3, 3, 16, 1]),
    ];
    const net = (...[y, g, b, w, v]: tf.Tensor[]) => {
      const norm = { groups: 4, silu: true };
      const first = conv3d(y as tf.Tensor5D, w as tf.Tensor5D);
      return conv3d(groupNorm(first, g as tf.Tensor1D, b as tf.Tensor1D, norm), v as tf.Tensor5D);
    };
    const inputs = [x, gamma, beta, wide, thin];
    const compute = () => [net(...inputs), ...tf.grads(net)(inputs)].map((y) => y.dataSync<'float32'>());
    const ours = compute();
    setPrecision(precision);
    backend.addon.ownLoops(false);
    const theirs = compute();
    backend.addon.ownLoops(true);
    setPrecision('float32');
    ours.forEach((values, i) => {
      expect(worstError(values, theirs[i]!)).toBeLessThan(precision === 'bf16' ? 0.03 : 1e-5);
    });
  });

  it.for([
    ['float32', 4, 0.3],
    ['bf16', 2, 0.8],
  ] as const)(
    'needs little beside what it stores with ATen alone, in %s',
    ([precision, bytes, spare], { skip }) => {
      skip(
        backend.addon.version.startsWith('1.'),
        'libtorch 1 unfolds transposed convolutions, and no GPU needs it',
      );
      setPrecision(precision);
      backend.addon.ownLoops(false);
      const { native, addon } = backend;
      const plan = [false, [1, 1, 1], [1, 1, 1], [1, 1, 1]] as const;
      const [given, w] = [tensor(1, [1, 48, 24, 24, 32]), tensor(2, [3, 3, 3, 32, 32])];
      const [gamma, beta] = [tensor(3, [32]), tensor(4, [32])];
      const volume = bytes * given.size;
      /** What a call keeps and what it needs beside that, in stored volumes. */
      const measured = <Result>(run: () => Result) => {
        const { live } = addon.memory();
        addon.resetPeak();
        const made = run();
        const after = addon.memory();
        return { made, kept: (after.live - live) / volume, beside: (after.peak - after.live) / volume };
      };
      const border = (50 * 26 * 26) / (48 * 24 * 24);
      const x = native.convolve(given, w, -1, ...plan);
      const norm = measured(() => native.groupNorm(x, gamma, beta, 8, 1e-6, true));
      const [y, mean, scale] = norm.made as [tf.TensorInfo, tf.TensorInfo, tf.TensorInfo];
      const input = measured(() => native.convolveInput(x, w, ...plan, [48, 24, 24]));
      const back = measured(() => native.groupNormGradient(input.made, x, gamma, beta, mean, scale, 8, true));
      addon.ownLoops(true);
      setPrecision('float32');
      expect(norm.kept).toBeCloseTo(border, 2);
      expect(norm.beside).toBeLessThan(spare);
      expect(input.kept).toBeCloseTo(border, 1);
      expect(input.beside).toBeLessThan(0.15);
      expect(back.kept).toBeCloseTo(1, 2);
      expect(back.beside).toBeLessThan(spare);
      for (const { dataId } of [x, y, mean, scale, input.made, ...back.made]) backend.disposeData(dataId);
    },
  );

  it.each([
    [1, 4, 6, 8, 16, 32],
    [2, 3, 5, 7, 32, 16],
    [1, 5, 4, 37, 80, 144],
    [1, 1, 1, 1, 16, 16],
  ])('convolves wide channels as ATen does: %i x %i x %i x %i, %i to %i', (n, d, h, w, from, to) => {
    const [x, weights] = [tensor(1, [n, d, h, w, from]), tensor(2, [3, 3, 3, from, to])];
    const [bias, dy] = [tensor(3, [to]), tensor(4, [n, d, h, w, to])];
    const convolve = (...[input, kernel, start]: tf.Tensor[]) =>
      conv3d(input as tf.Tensor5D, kernel as tf.Tensor5D, start as tf.Tensor1D);
    const compute = () =>
      [convolve(x, weights, bias), ...tf.grads(convolve)([x, weights, bias], dy)].map((y) => y.dataSync());
    const ours = compute();
    backend.addon.ownLoops(false);
    const theirs = compute();
    backend.addon.ownLoops(true);
    ours.forEach((values, i) => {
      expect(worstError(values, theirs[i]!)).toBeLessThan(4e-6);
    });
  });

  // ATen rounds gradients of weights to bfloat16 too.
  it.skipIf(likeCuda).each([
    ['conv3d', 1, [1, 4, 6, 8], [3, 3, 3, 16, 32]],
    ['conv3d', 1, [2, 3, 5, 7], [3, 3, 3, 32, 16]],
    ['conv3d', 1, [1, 5, 4, 37], [3, 3, 3, 80, 144]],
    ['conv3d', 1, [1, 1, 1, 1], [3, 3, 3, 16, 16]],
    ['conv3d', 1, [1, 2, 70, 80], [3, 3, 3, 16, 16]],
    ['conv3d', 2, [1, 4, 8, 16], [4, 4, 4, 32, 64]],
    ['conv3d', [1, 2, 2], [2, 6, 10, 12], [4, 4, 4, 48, 16]],
    ['conv3d', [2, 1, 2], [2, 6, 10, 14], [4, 3, 4, 48, 16]],
    ['conv3dTranspose', 2, [1, 4, 8, 8], [4, 4, 4, 32, 64]],
    ['conv3dTranspose', [1, 2, 2], [2, 3, 2, 5], [4, 4, 4, 16, 48]],
    ['conv3dTranspose', [2, 1, 2], [2, 3, 6, 5], [4, 3, 4, 16, 48]],
    ['conv3dTranspose', 2, [1, 1, 1, 1], [4, 4, 4, 16, 16]],
    ['conv3dTranspose', 2, [2, 6, 24, 40], [4, 4, 4, 32, 32]], // gradients of weights by some planes at a time
  ] as const)(
    'multiplies bfloat16 exactly and adds up in floats: %s of stride %j, %j by %j',
    (name, stride, shape, w) => {
      // Small whole numbers, whose products and sums every way of computing has exactly.
      const whole = (seed: number, of: readonly number[]) => tf.round(tf.mul(tensor(seed, [...of]), 2));
      const inputs = [whole(1, [...shape, w[3]]), whole(2, w), whole(3, [w[4]])];
      const convolve = (...[x, weights, bias]: tf.Tensor[]) =>
        (name === 'conv3d' ? conv3d : conv3dTranspose)(
          x as tf.Tensor5D,
          weights as tf.Tensor5D,
          bias as tf.Tensor1D,
          { stride },
        );
      setPrecision('bf16');
      const dy = whole(4, convolve(...inputs).shape);
      const compute = () =>
        [convolve(...inputs), ...tf.grads(convolve)(inputs, dy)].map((y) => y.dataSync<'float32'>());
      const ours = compute();
      setPrecision('float32');
      backend.addon.ownLoops(false);
      const theirs = compute();
      backend.addon.ownLoops(true);
      ours.forEach((values, i) => {
        // y is rounded as it is stored; the gradient of x before its border is folded, and after.
        if (i === 1) expect(worstError(values, theirs[i]!)).toBeLessThan(2 ** -7);
        else expect(worstError(values, i === 0 ? theirs[i]!.map(roundToHalf) : theirs[i]!)).toBe(0);
      });
      expect(theirs[0]!.some((value) => value !== 0)).toBe(true);
    },
  );

  it.each([
    ['conv3d', 2, [1, 8, 8, 8], [4, 4, 4, 32, 32]],
    ['conv3d', [1, 2, 2], [2, 5, 9, 70], [3, 2, 4, 48, 48]],
    ['conv3d', 2, [2, 23, 25, 41], [4, 4, 4, 64, 64]], // an odd number of planes, some at a time
    ['conv3dTranspose', 2, [2, 6, 24, 40], [4, 4, 4, 32, 32]],
  ] as const)(
    'multiplies floats to all of their 24 bits: %s of stride %j, %j by %j',
    (name, stride, shape, w) => {
      // One product in every sum: a tap of as many inputs as outputs, and one voxel of gradients.
      const channels = w[3];
      const tap = tf.oneHot(tf.tensor1d([(w[0] * w[1] * w[2]) >> 1], 'int32'), w[0] * w[1] * w[2]);
      const weights = tf.mul(
        tf.mul(tf.reshape(tap, [w[0], w[1], w[2], 1, 1]), tf.eye(channels)),
        tensor(1, [1, 1, 1, 1, channels]),
      ) as tf.Tensor5D;
      const x = tensor<tf.Tensor5D>(2, [...shape, channels]);
      const convolve = (x: tf.Tensor5D, weights: tf.Tensor5D) =>
        (name === 'conv3d' ? conv3d : conv3dTranspose)(x, weights, null, { stride });
      const y = convolve(x, weights);
      const voxels = y.size / channels;
      const third = (3 * y.shape[2] + 3) * y.shape[3] + 3; // one that the tap reaches
      const hot = tf.oneHot(tf.tensor1d([third], 'int32'), voxels);
      const voxel = tf.reshape(hot, [...y.shape.slice(0, 4), 1]);
      const dy = tf.mul(voxel, tensor(3, [1, 1, 1, 1, channels])) as tf.Tensor5D;
      const compute = () =>
        [convolve(x, weights), ...tf.grads(convolve as never)([x, weights], dy)].map((y) =>
          y.dataSync<'float32'>(),
        );
      const ours = compute();
      backend.addon.ownLoops(false);
      const theirs = compute();
      backend.addon.ownLoops(true);
      for (const [i, values] of ours.entries()) {
        const worst = values.reduce((worst, value, j) => {
          const right = theirs[i]![j]!;
          return Math.max(worst, right === 0 ? Math.abs(value) : Math.abs(value / right - 1));
        }, 0);
        expect(worst).toBeLessThan(2 ** -22);
        expect(theirs[i]!.some((value) => value !== 0)).toBe(true);
      }
    },
  );

  it.each(['float32', 'bf16'] as const)(
    'in %s a bias has the same gradient, asked for alone or with that of its weights',
    (precision) => {
      setPrecision(precision);
      const [x, bias] = [tensor<tf.Tensor5D>(1, [2, 9, 10, 70, 16]), tensor<tf.Tensor1D>(2, [48])];
      const [w, next] = [
        tensor<tf.Tensor5D>(3, [4, 4, 4, 16, 48]),
        tensor<tf.Tensor5D>(4, [3, 3, 3, 48, 32]),
      ];
      const y = (w: tf.Tensor, b: tf.Tensor) =>
        tf.sum(tf.square(conv3d(conv3d(x, w as tf.Tensor5D, b as tf.Tensor1D, { stride: 2 }), next)));
      const [, both] = tf.grads(y)([w, bias]) as [tf.Tensor, tf.Tensor];
      const alone = tf.grad((b) => y(w, b))(bias);
      setPrecision('float32');
      expect(worstError(both.dataSync(), alone.dataSync())).toBeLessThan(1e-5);
    },
  );

  it('stores activations as bfloat16: near the same gradients, half the memory, floats to the reader', async () => {
    const config = {
      ...presetNamed('toy').model,
      hidden: 16,
      encoderBlocks: 1,
      decoderBlocks: 1,
      restartBelow: 0,
    };
    const x = tensor<tf.Tensor5D>(1, [1, 32, 32, 32, 1]);
    const compute = async (precision: 'float32' | 'bf16') => {
      setPrecision(precision);
      const model = new VqGan({ ...config, codes: 4 }, 3);
      codebookOf(model).initialise(Float32Array.from({ length: 4 * config.codeDim }, (_, i) => (i % 5) - 2));
      backend.addon.resetPeak();
      const { live } = backend.memory();
      const { losses, gradients, latents, codes } = await lossAndGradients(model, x);
      const peak = backend.memory().peak - live;
      const values = Object.values(gradients).map((gradient) => gradient.dataSync<'float32'>());
      tf.dispose([gradients, latents, codes]);
      model.dispose();
      return { losses, peak, values };
    };
    const [full, half] = [await compute('float32'), await compute('bf16')];
    setPrecision('float32');
    expect(half.losses.loss / full.losses.loss).toBeCloseTo(1, 2);
    // Through ATen alone oneDNN copies halves to floats, as cuDNN does not.
    if (!likeCuda) expect(half.peak / full.peak).toBeLessThan(0.7);
    const dot = (a: Float32Array[], b: Float32Array[]) =>
      a.reduce((sum, values, i) => sum + values.reduce((part, v, j) => part + v * b[i]![j]!, 0), 0);
    const { values: f } = full;
    const { values: h } = half;
    expect(dot(f, h) / Math.sqrt(dot(f, f) * dot(h, h))).toBeGreaterThan(0.99);
  });
});
