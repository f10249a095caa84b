import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { backendNames, useBackend } from '../../src/compute/backend';
import { convolutionGradients } from '../../src/compute/backward';
import {
  conv3d,
  conv3dTranspose,
  gatherCodes,
  groupNorm,
  l1Loss,
  mse,
  nearestCode,
  replicatePad,
  residual,
  silu,
  stopGradient,
  straightThrough,
} from '../../src/compute/ops';
import { maxPool } from '../../src/compute/pool';
import { putSlices, takeSlices } from '../../src/compute/slices';
import { InvalidArgument } from '../../src/errors';
import { expectGradients, normal, tensor, worstError } from './tensors';

interface ConvolutionFixture {
  name: string;
  transposed: boolean;
  stride: [number, number, number];
  xShape: number[];
  wShape: number[];
  yShape: number[];
  x: number[];
  w: number[];
  b: number[];
  y: number[];
  dy: number[];
  dx: number[];
  dw: number[];
  db: number[];
}

type ZeroBorderFixture = Omit<ConvolutionFixture, 'transposed'> & { padding: [number, number, number] };

interface MaxPoolFixture {
  name: string;
  xShape: number[];
  yShape: number[];
  x: number[];
  y: number[];
  dy: number[];
  dx: number[];
}

interface GroupNormFixture {
  name: string;
  groups: number;
  silu: boolean;
  xShape: number[];
  x: number[];
  gamma: number[];
  beta: number[];
  y: number[];
  dy: number[];
  dx: number[];
  dgamma: number[];
  dbeta: number[];
}

const fixtures = JSON.parse(readFileSync(join(__dirname, '../fixtures/ops/ops.json'), 'utf8')) as {
  convolutions: ConvolutionFixture[];
  groupNorms: GroupNormFixture[];
  zeroBorders: ZeroBorderFixture[];
  maxPools: MaxPoolFixture[];
};

const required = (process.env.PATCHWISE_REQUIRE_BACKENDS ?? '').split(',').filter(Boolean);

describe('the backends under test', () => {
  it.each(required)('%s is here, as PATCHWISE_REQUIRE_BACKENDS requires', (name) => {
    expect(backendNames).toContain(name);
  });

  it.skipIf(backendNames.includes('libtorch'))('include libtorch', (context) => {
    console.log('skipped: backend libtorch is not built (npx patchwise backend build libtorch)');
    context.skip();
  });
});

describe.each(backendNames)('backend %s', (name) => {
  beforeAll(async () => {
    expect((await useBackend(name)).missing).toEqual([]);
  });

  describe('agrees with PyTorch, gradients included', () => {
    it.each(fixtures.convolutions)('convolution: $name', (f) => {
      const op = f.transposed ? conv3dTranspose : conv3d;
      const inputs = [tf.tensor(f.x, f.xShape), tf.tensor(f.w, f.wShape), tf.tensor(f.b)];
      const run = (x: tf.Tensor, w: tf.Tensor, b: tf.Tensor) =>
        op(x as tf.Tensor5D, w as tf.Tensor5D, b as tf.Tensor1D, { stride: f.stride });
      const y = run(inputs[0]!, inputs[1]!, inputs[2]!);
      expect(y.shape).toEqual(f.yShape);
      expect(worstError(y.dataSync(), f.y)).toBeLessThan(2e-6);
      const gradients = tf.grads(run as (...args: tf.Tensor[]) => tf.Tensor)(
        inputs,
        tf.tensor(f.dy, f.yShape),
      );
      [f.dx, f.dw, f.db].forEach((expected, i) => {
        expect(worstError(gradients[i]!.dataSync(), expected), ['dx', 'dw', 'db'][i]).toBeLessThan(2e-6);
      });
      tf.dispose([inputs, y, gradients]);
    });

    it.each(fixtures.zeroBorders)('convolution with a border of zeros: $name', (f) => {
      const options = { stride: f.stride, padding: f.padding };
      const inputs = [tf.tensor(f.x, f.xShape), tf.tensor(f.w, f.wShape), tf.tensor(f.b)];
      const run = (x: tf.Tensor, w: tf.Tensor, b: tf.Tensor) =>
        conv3d(x as tf.Tensor5D, w as tf.Tensor5D, b as tf.Tensor1D, options);
      const y = run(inputs[0]!, inputs[1]!, inputs[2]!);
      expect(y.shape).toEqual(f.yShape);
      expect(worstError(y.dataSync(), f.y)).toBeLessThan(2e-6);
      const dy = tf.tensor(f.dy, f.yShape) as tf.Tensor as tf.Tensor5D;
      const gradients = tf.grads(run as (...args: tf.Tensor[]) => tf.Tensor)(inputs, dy);
      const [x, w] = inputs as unknown as [tf.Tensor5D, tf.Tensor5D];
      const byHand = convolutionGradients(x, w, dy, options, { input: true, weights: true });
      [f.dx, f.dw, f.db].forEach((expected, i) => {
        expect(worstError(gradients[i]!.dataSync(), expected), ['dx', 'dw', 'db'][i]).toBeLessThan(2e-6);
        const explicit = [byHand.dx, byHand.dw, byHand.dbias][i]!;
        expect(worstError(explicit.dataSync(), expected), 'by hand').toBeLessThan(2e-6);
      });
      tf.dispose([inputs, y, dy, gradients, Object.values(byHand)]);
    });

    it.each(fixtures.maxPools)('max pooling: $name', (f) => {
      const x = tf.tensor(f.x, f.xShape);
      const y = maxPool(x as tf.Tensor as tf.Tensor5D);
      expect(y.shape).toEqual(f.yShape);
      expect([...y.dataSync()]).toEqual(f.y);
      const dx = tf.grad((x: tf.Tensor) => maxPool(x as tf.Tensor5D))(x, tf.tensor(f.dy, f.yShape));
      expect(worstError(dx.dataSync(), f.dx)).toBeLessThan(1e-6);
      tf.dispose([x, y, dx]);
    });

    it.each(fixtures.groupNorms)('group norm: $name', (f) => {
      const inputs = [tf.tensor(f.x, f.xShape), tf.tensor(f.gamma), tf.tensor(f.beta)];
      const run = (x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor) =>
        groupNorm(x as tf.Tensor5D, gamma as tf.Tensor1D, beta as tf.Tensor1D, {
          groups: f.groups,
          silu: f.silu,
        });
      const y = run(inputs[0]!, inputs[1]!, inputs[2]!);
      expect(worstError(y.dataSync(), f.y)).toBeLessThan(3e-6);
      const gradients = tf.grads(run as (...args: tf.Tensor[]) => tf.Tensor)(
        inputs,
        tf.tensor(f.dy, f.xShape),
      );
      [f.dx, f.dgamma, f.dbeta].forEach((expected, i) => {
        expect(worstError(gradients[i]!.dataSync(), expected), `gradient ${i}`).toBeLessThan(3e-6);
      });
      tf.dispose([inputs, y, gradients]);
    });
  });

  describe('gradients agree with finite differences', () => {
    it.each([
      { x: [1, 4, 5, 9, 8], w: [3, 3, 3, 8, 8], stride: 1, op: conv3d },
      { x: [2, 3, 4, 5, 3], w: [2, 5, 1, 3, 6], stride: 1, op: conv3d },
      { x: [1, 4, 6, 10, 4], w: [4, 4, 4, 4, 12], stride: 2, op: conv3d },
      { x: [1, 5, 3, 7, 2], w: [3, 3, 3, 2, 7], stride: 2, op: conv3d },
      { x: [1, 2, 3, 5, 4], w: [4, 4, 4, 4, 8], stride: 2, op: conv3dTranspose },
      { x: [2, 2, 3, 4, 3], w: [3, 3, 3, 3, 2], stride: 1, op: conv3dTranspose },
      { x: [1, 4, 5, 6, 4], w: [4, 4, 4, 4, 8], stride: 2, padding: [2, 2, 2] as const, op: conv3d },
      { x: [2, 1, 6, 7, 2], w: [1, 4, 4, 2, 1], stride: 1, padding: [0, 2, 2] as const, op: conv3d },
    ])('$op.name $x * $w / $stride, zeros $padding', ({ x, w, stride, padding, op }) => {
      const options = { stride, ...(padding && { padding }) };
      expectGradients(
        (a, b, c) => op(a as tf.Tensor5D, b as tf.Tensor5D, c as tf.Tensor1D, options),
        [x, w, [w[4]!]],
        { step: 0.5, tolerance: 1e-4 },
      );
    });

    it.each([true, false])('group norm, SiLU %s', (withSilu) => {
      expectGradients(
        (x, gamma, beta) =>
          groupNorm(x as tf.Tensor5D, gamma as tf.Tensor1D, beta as tf.Tensor1D, {
            groups: 4,
            silu: withSilu,
          }),
        [[2, 3, 4, 3, 8], [8], [8]],
      );
    });

    it('replication pad', () => {
      expectGradients((x) => replicatePad(x as tf.Tensor5D, [2, 0, 1], [1, 3, 0]), [[2, 2, 1, 3, 2]], {
        step: 0.5,
        tolerance: 1e-4,
      });
    });

    it('max pooling', () => {
      expectGradients((x) => maxPool(x as tf.Tensor5D), [[2, 2, 4, 5, 3]], { step: 1e-3 });
    });

    it('slices across every axis, and back', () => {
      const shape = [2, 3, 4, 5, 2] as const;
      for (const axis of [0, 1, 2] as const) {
        const take = tf.customGrad((...inputs) => ({
          value: takeSlices(inputs[0] as tf.Tensor5D, axis, [2, 1]),
          gradFunc: (dy: tf.Tensor) => putSlices(dy as tf.Tensor5D, [...shape], axis, [2, 1]),
        }));
        expectGradients(take, [shape], { step: 0.5, tolerance: 1e-4, probes: 40 });
      }
      const x = tf.tensor5d([...Array(24).keys()], [2, 2, 2, 3, 1]);
      expect([...takeSlices(x, 0, [1, 0]).dataSync()]).toEqual([6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17]);
      expect([...takeSlices(x, 2, [0, 2]).dataSync()]).toEqual([0, 3, 6, 9, 14, 17, 20, 23]);
    });

    it('SiLU, residual and losses', () => {
      expectGradients((x) => silu(x), [[3, 4]]);
      expectGradients(
        (a, b) => residual(a, silu(b)),
        [
          [3, 4],
          [3, 4],
        ],
      );
      expectGradients(
        (a, b) => mse(a, b),
        [
          [3, 4],
          [3, 4],
        ],
      );
      expectGradients((a, b) => l1Loss(a, b), [[40], [40]], { step: 1e-3 });
    });

    it('the stock ops that models use', () => {
      expectGradients((a, b) => tf.div(tf.sub(a, b), tf.add(tf.exp(b), 1)), [[2, 3], [3]]);
      expectGradients(
        (a, b) => tf.matMul(a, b, false, true),
        [
          [2, 3],
          [4, 3],
        ],
      );
      expectGradients(
        (a, b) => tf.matMul(a, b, true, false),
        [
          [3, 2],
          [3, 4],
        ],
      );
      expectGradients((a) => tf.mean(tf.square(tf.transpose(a, [1, 0, 2])), [0, 2]), [[2, 3, 4]]);
      expectGradients((a) => tf.tanh(tf.sigmoid(tf.reshape(a, [6]))), [[2, 3]]);
      expectGradients((a) => tf.sqrt(tf.add(tf.sum(tf.square(a), 1), 1)), [[2, 3]]);
      expectGradients(
        (a, b) => tf.squaredDifference(a, b),
        [
          [2, 3],
          [2, 1],
        ],
      );
      expectGradients((a) => tf.leakyRelu(a, 0.2), [[20]], { step: 1e-3 });
      expectGradients((a, b) => tf.maximum(a, tf.neg(b)), [[20], [20]], { step: 1e-3 });
    });
  });

  it('passes a residual block gradient on, twice used', () => {
    expectGradients(
      (x, w) => {
        const inner = conv3d(silu(x) as tf.Tensor5D, w as tf.Tensor5D);
        return residual(residual(x, inner), x);
      },
      [
        [1, 2, 3, 4, 4],
        [3, 3, 3, 4, 4],
      ],
    );
  });

  it('repeats the border voxels', () => {
    const padded = replicatePad(tf.tensor5d([1, 2, 3, 4], [1, 1, 2, 2, 1]), [1, 0, 2], [0, 1, 1]);
    expect(padded.shape).toEqual([1, 2, 3, 5, 1]);
    const plane = [1, 1, 1, 2, 2, 3, 3, 3, 4, 4, 3, 3, 3, 4, 4];
    expect([...padded.dataSync()]).toEqual([...plane, ...plane]);
  });

  describe('codes', () => {
    it.each([
      [37, 5, 3],
      [64, 64, 8],
      [101, 130, 16],
    ])('the nearest of %i latents among %i codes of width %i', (m, k, d) => {
      const [z, codebook] = [normal(1, [m, d]), normal(2, [k, d])];
      const codes = nearestCode(tf.tensor2d(z, [m, d]), tf.tensor2d(codebook, [k, d]));
      expect(codes.dtype).toBe('int32');
      const distance = (row: number, code: number) => {
        let sum = 0;
        for (let i = 0; i < d; i++) sum += (z[row * d + i]! - codebook[code * d + i]!) ** 2;
        return sum;
      };
      codes.dataSync().forEach((code, row) => {
        const least = Math.min(...Array.from({ length: k }, (_, other) => distance(row, other)));
        expect(distance(row, code)).toBeLessThanOrEqual(least * (1 + 1e-5) + 1e-6);
      });
    });

    it('takes the lower of two equal codes', () => {
      const codebook = tf.tensor2d([9, 9, 1, 1, 1, 1, 1, 1, 5, 5, 1, 1], [6, 2]);
      expect([...nearestCode(tf.tensor2d([1, 1, 5, 5, 0, 0], [3, 2]), codebook).dataSync()]).toEqual([
        1, 4, 1,
      ]);
    });

    it('gives the decoder the code and the encoder the gradient', () => {
      const z = tensor<tf.Tensor2D>(3, [10, 4]);
      const codebook = tensor<tf.Tensor2D>(4, [6, 4]);
      const quantise = (latents: tf.Tensor2D) => {
        const q = gatherCodes(codebook, nearestCode(latents, codebook));
        return straightThrough(latents, q);
      };
      const direction = tensor<tf.Tensor2D>(5, [10, 4]);
      const { value, grad } = tf.valueAndGrad((x: tf.Tensor) =>
        tf.sum(tf.mul(quantise(x as tf.Tensor2D), direction)),
      )(z);
      expect(worstError(grad.dataSync(), direction.dataSync())).toBe(0);
      const rows = nearestCode(z, codebook).dataSync();
      const codes = codebook.dataSync();
      let expected = 0;
      direction.dataSync().forEach((weight, i) => {
        expected += weight * codes[rows[Math.floor(i / 4)]! * 4 + (i % 4)]!;
      });
      expect(value.dataSync()[0]).toBeCloseTo(expected, 3);
      const still = tf.grad((x: tf.Tensor) => tf.sum(tf.mul(x, stopGradient(x))))(z);
      expect(worstError(still.dataSync(), z.dataSync())).toBe(0);
    });
  });

  it('computes only the gradients that are asked for', () => {
    const [x, w] = [tensor<tf.Tensor5D>(1, [1, 2, 2, 2, 3]), tensor<tf.Tensor5D>(2, [3, 3, 3, 3, 2])];
    const variable = tf.variable(w);
    const run = tf
      .engine()
      .profile(() =>
        tf.tidy(() => tf.variableGrads(() => tf.sum(conv3d(x, variable)) as tf.Scalar, [variable]).grads),
      );
    return run.then((profile) => {
      expect(profile.kernelNames).toContain('PatchwiseConvolveWeight');
      expect(profile.kernelNames).not.toContain('PatchwiseConvolveInput');
      variable.dispose();
    });
  });

  it('keeps no tensor and no memory over many steps', () => {
    const x = tensor<tf.Tensor5D>(1, [1, 4, 4, 8, 4]);
    const names = ['first', 'second', 'up', 'gamma', 'beta'].map((n) => `leak ${name} ${n}`);
    const shapes = [[3, 3, 3, 4, 4], [4, 4, 4, 4, 8], [4, 4, 4, 8, 4], [4], [4]];
    const [first, second, up, gamma, beta] = shapes.map((shape, i) =>
      tf.variable(tensor(i, shape), true, names[i]),
    ) as [tf.Variable, tf.Variable, tf.Variable, tf.Variable, tf.Variable];
    const codebook = tensor<tf.Tensor2D>(9, [16, 8]);
    const step = () => {
      const { value, grads } = tf.variableGrads(() => {
        const h = groupNorm(
          conv3d(x, first as unknown as tf.Tensor5D),
          gamma as unknown as tf.Tensor1D,
          beta as unknown as tf.Tensor1D,
          { groups: 2, silu: true },
        );
        const z = conv3d(residual(h, x), second as unknown as tf.Tensor5D, null, { stride: 2 });
        const flat = tf.reshape(z, [-1, 8]) as tf.Tensor2D;
        const q = tf.reshape(gatherCodes(codebook, nearestCode(flat, codebook)), z.shape) as tf.Tensor5D;
        const y = conv3dTranspose(straightThrough(z, q), up as unknown as tf.Tensor5D);
        return tf.add(l1Loss(y, x), mse(z, stopGradient(q))) as tf.Scalar;
      });
      const gradients = Object.values(grads).map((g) => g.dataSync().some((v) => v !== 0));
      tf.dispose([value, grads]);
      return gradients;
    };
    expect(step()).toEqual([true, true, true, true, true]);
    const before = tf.memory();
    const held = tf.backend().numDataIds();
    for (let i = 0; i < 20; i++) step();
    expect(tf.memory().numTensors).toBe(before.numTensors);
    expect(tf.memory().numDataBuffers).toBe(before.numDataBuffers);
    expect(tf.backend().numDataIds()).toBe(held);
    tf.dispose([first, second, up, gamma, beta, codebook]);
  });

  it('keeps nothing over 1,000 ops, each left on its own', { timeout: 180_000 }, () => {
    const [x, w] = [tensor<tf.Tensor5D>(1, [1, 4, 4, 6, 4]), tensor<tf.Tensor5D>(2, [3, 3, 3, 4, 4])];
    const down = tensor<tf.Tensor5D>(3, [4, 4, 4, 4, 4]);
    const [gamma, beta] = [tensor<tf.Tensor1D>(4, [4]), tensor<tf.Tensor1D>(5, [4])];
    const rows = tensor<tf.Tensor2D>(6, [96, 4]);
    const codebook = tensor<tf.Tensor2D>(7, [9, 4]);
    const norm = (y: tf.Tensor) => groupNorm(y as tf.Tensor5D, gamma, beta, { groups: 2, silu: true });
    const slope = (f: (y: tf.Tensor5D) => tf.Tensor) => () => tf.grad((y) => f(y as tf.Tensor5D))(x);
    const ops: (() => tf.Tensor)[] = [
      () => conv3d(x, w),
      () => conv3d(x, down, beta, { stride: 2 }),
      () => conv3d(x, down, null, { stride: 2, padding: [2, 2, 2] }),
      () => conv3dTranspose(x, down),
      () => norm(x),
      () => silu(x),
      () => residual(x, x),
      () => replicatePad(x, [1, 0, 1], [0, 1, 1]),
      () => maxPool(x),
      () => takeSlices(x, 1, [2]),
      () => nearestCode(rows, codebook),
      () => gatherCodes(codebook, nearestCode(rows, codebook)),
      () => mse(x, silu(x)),
      () => l1Loss(x, silu(x)),
      slope((y) => conv3d(y, w)),
      slope((y) => conv3dTranspose(y, down)),
      slope(norm),
      slope((y) => replicatePad(y, [1, 1, 1])),
      slope((y) => maxPool(y)),
      slope((y) => l1Loss(silu(y), x)),
      () => tf.matMul(rows, codebook, false, true),
      () => tf.sum(tf.square(x), [0, 2]),
      () => tf.concat([tf.slice(x, [0, 1, 0, 0, 0], [1, 2, 4, 6, 4]), x], 1),
      () => tf.where(tf.greater(rows, 0), rows, tf.zerosLike(rows)),
      () => tf.clipByValue(tf.exp(tf.transpose(rows)), 0, 2),
    ];
    const figures = () => {
      const { numTensors, numDataBuffers, numBytes } = tf.memory();
      // Of backends that know it, what their allocators hold in tensors.
      const { live, handles } = tf.memory() as { live?: number; handles?: number };
      return { numTensors, numDataBuffers, numBytes, live, handles, ids: tf.backend().numDataIds() };
    };
    const round = () => {
      for (const op of ops) {
        const before = tf.memory().numTensors;
        const y = tf.tidy(op);
        expect(y.dataSync().every(Number.isFinite)).toBe(true);
        expect(tf.memory().numTensors).toBe(before + 1);
        y.dispose();
      }
    };
    round();
    const before = figures();
    const resident = process.memoryUsage.rss();
    for (let i = 0; i < 1000 / ops.length; i++) round();
    expect(figures()).toEqual(before);
    expect(process.memoryUsage.rss() - resident).toBeLessThan(200e6);
    // What is not disposed of is counted, so that the above can fail.
    const kept = tf.neg(x);
    expect(figures()).not.toEqual(before);
    tf.dispose([kept, x, w, down, gamma, beta, rows, codebook]);
  });

  describe('refuses', () => {
    const x = () => tf.zeros([1, 4, 4, 4, 2]) as tf.Tensor5D;
    const w = (...shape: number[]) => tf.zeros(shape as never) as tf.Tensor as tf.Tensor5D;
    const vector = (size: number) => tf.zeros([size]) as tf.Tensor1D;
    it.each<[string, () => unknown, string]>([
      ['other channels', () => conv3d(x(), w(3, 3, 3, 3, 4)), 'w'],
      [
        'another rank of x',
        () => conv3d(tf.zeros([4, 4, 4, 2]) as tf.Tensor as tf.Tensor5D, w(3, 3, 3, 2, 4)),
        'x',
      ],
      ['another rank of w', () => conv3d(x(), w(3, 3, 2, 4)), 'w'],
      ['a bias of another size', () => conv3d(x(), w(3, 3, 3, 2, 4), vector(3)), 'bias'],
      ['stride 3', () => conv3d(x(), w(3, 3, 3, 2, 4), null, { stride: 3 }), 'stride'],
      ['a kernel under the stride', () => conv3d(x(), w(1, 1, 1, 2, 4), null, { stride: 2 }), 'w'],
      [
        'zeros around a transposed one',
        () => conv3dTranspose(x(), w(4, 4, 4, 2, 4), null, { padding: [1, 1, 1] }),
        'padding',
      ],
      [
        'more zeros than kernel',
        () => conv3d(x(), w(3, 3, 3, 2, 4), null, { padding: [0, 3, 0] }),
        'padding',
      ],
      ['a slice that is not there', () => takeSlices(x(), 1, [4]), 'indices'],
      ['kernel 3 of transposed stride 2', () => conv3dTranspose(x(), w(3, 3, 3, 2, 4)), 'w'],
      ['int32 input', () => conv3d(tf.cast(x(), 'int32'), w(3, 3, 3, 2, 4)), 'x'],
      ['groups that do not divide', () => groupNorm(x(), vector(2), vector(2), { groups: 3 }), 'groups'],
      ['gamma of another size', () => groupNorm(x(), vector(3), vector(2), { groups: 1 }), 'gamma'],
      ['negative pads', () => replicatePad(x(), [0, -1, 0]), 'before'],
      ['codes of another width', () => nearestCode(tf.zeros([3, 2]), tf.zeros([5, 4])), 'codebook'],
      ['losses of two shapes', () => l1Loss(tf.zeros([3]), tf.zeros([1, 3])), 'target'],
    ])('%s', (_case, run, argument) => {
      let caught: unknown;
      tf.tidy(() => {
        try {
          run();
        } catch (error) {
          caught = error;
        }
      });
      expect(caught).toBeInstanceOf(InvalidArgument);
      expect((caught as InvalidArgument).argument).toBe(argument);
    });
  });
});
