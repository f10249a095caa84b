import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { backendNames, useBackend } from '../../../src/compute/use-backend';
import { Star } from '../../../src/train/collective/star';
import { Adam, BackendAdam, type Optimiser } from '../../../src/train/learn/optimiser';

beforeAll(async () => {
  await useBackend('cpu');
});

/** One step at a learning rate of 0.1. */
function move(optimiser: Optimiser, gradient: readonly number[]): void {
  const g = tf.tensor1d([...gradient]);
  optimiser.clear();
  optimiser.add('w', g);
  optimiser.step(0.1);
  g.dispose();
}

describe('Adam', () => {
  it('moves weights as torch.optim.Adam(lr=0.1, betas=(0.5, 0.9)) does', () => {
    const weights = new Map([['w', tf.variable(tf.tensor1d([1, -2, 0.5]))]]);
    const adam = new Adam(weights, { betas: [0.5, 0.9] });
    for (const g of torchGradients) move(adam, g);
    [...weights.get('w')!.dataSync()].forEach((w, i) => {
      expect(w).toBeCloseTo(torchWeights[i]!, 6);
    });
  });

  it.each([
    [true, [0.23079165608207505, -0.9382313465181652, 1.7627494456295167]],
    [false, [0.23296016222139698, -0.8690958508885557, 1.7454961747864257]],
  ])('decays weights of 0.1 as AdamW (decoupled: %s) or Adam of PyTorch do', (decoupled, wanted) => {
    const weights = new Map([['w', tf.variable(tf.tensor1d([0.5, -1, 2]))]]);
    const adam = new Adam(weights, { betas: [0.5, 0.9], weightDecay: 0.1, decoupled });
    for (const g of [
      [0.1, -0.2, 0.3],
      [0.3, 0.1, -0.05],
      [0, 0.2, 0.1],
    ])
      move(adam, g);
    [...weights.get('w')!.dataSync()].forEach((w, i) => {
      expect(w).toBeCloseTo(wanted[i]!, 6);
    });
  });

  it('goes on to the bit from its state', () => {
    const start = () => new Map([['w', tf.variable(tf.tensor1d([1, -2, 0.5]))]]);
    const [whole, first] = [start(), start()];
    const options = { betas: [0.5, 0.9] as const };
    const adam = new Adam(whole, options);
    const before = new Adam(first, options);
    for (const g of torchGradients) move(adam, g);
    move(before, torchGradients[0]!);
    const after = new Adam(first, options);
    after.load(before.state(), before.steps);
    for (const g of torchGradients.slice(1)) move(after, g);
    expect(first.get('w')!.dataSync()).toEqual(whole.get('w')!.dataSync());
    expect(() => after.load(new Map(), 1)).toThrow('optimiser state exp_avg.w');
  });
});

describe('clipping', () => {
  it('scales to the limit over all arrays, and leaves smaller gradients alone', () => {
    const weights = new Map([
      ['a', tf.variable(tf.tensor1d([0]))],
      ['b', tf.variable(tf.tensor1d([0, 0]))],
    ]);
    const adam = new Adam(weights, { betas: [0.5, 0.9] });
    adam.add('a', tf.tensor1d([3]));
    adam.add('b', tf.tensor1d([0, 4]));
    expect(adam.clip(10)).toBe(5);
    expect([...adam.gradients.values()]).toEqual([Float32Array.of(3), Float32Array.of(0, 4)]);
    expect(adam.clip(0)).toBe(5);
    expect(adam.clip(1)).toBe(5);
    expect(adam.gradients.get('a')![0]).toBeCloseTo(0.6, 5);
    expect(adam.gradients.get('b')![1]).toBeCloseTo(0.8, 5);
  });
});

const torchGradients = [
  [0.3, -1.2, 0],
  [0.1, 0.4, 2],
  [-0.7, 0.05, 1e-4],
];

/** PyTorch 2.13.0+cpu, after these three steps. */
const torchWeights = [0.89536828, -1.8806639, 0.35852265];

const hasLibtorch = backendNames.includes('libtorch');
if (!hasLibtorch)
  console.log('skipped: backend libtorch is not built (npx patchwise backend build libtorch)');

describe.skipIf(!hasLibtorch)('Adam on the backend', () => {
  beforeAll(async () => {
    await useBackend('libtorch');
  });
  afterAll(async () => {
    await useBackend('cpu');
  });

  const options = { betas: [0.5, 0.9] as const };

  it('moves weights as torch.optim.Adam does, and goes on from its state', () => {
    const weights = new Map([['w', tf.variable(tf.tensor1d([1, -2, 0.5]))]]);
    const before = new BackendAdam(weights, options);
    move(before, torchGradients[0]!);
    const after = new BackendAdam(weights, options);
    after.load(before.state(), before.steps);
    for (const g of torchGradients.slice(1)) move(after, g);
    [...weights.get('w')!.dataSync()].forEach((w, i) => {
      expect(w).toBeCloseTo(torchWeights[i]!, 6);
    });
    expect(() => after.load(new Map(), 1)).toThrow('exp_avg.w');
  });

  it('sums over ranks whose collective has arrays alone, zeros where a rank has no gradient', async () => {
    const weights = new Map<string, tf.Variable>([
      ['a', tf.variable(tf.tensor2d([[0, 0]]))],
      ['b', tf.variable(tf.tensor1d([0]))],
    ]);
    const adam = new BackendAdam(weights, options);
    const given = tf.tensor2d([[3, 4]]);
    adam.add('a', given);
    /** Another rank whose gradients are all 2. */
    const collective = Object.assign(new Star(0, 2, 60), {
      allReduce: async ([array]: readonly Float32Array[]) =>
        void array!.set(array!.map((value) => value + 2)),
    });
    await adam.sum(['b', 'a'], collective, 'gradients');
    expect(adam.clip(0)).toBeCloseTo(Math.hypot(2, 5, 6), 6);
    expect([...given.dataSync()]).toEqual([3, 4]);
    adam.step(0.1);
    expect([...adam.state().get('exp_avg.a')!.data]).toEqual([2.5, 3]);
    const alive = tf.memory().numTensors;
    adam.dispose();
    expect(alive - tf.memory().numTensors).toBe(6);
  });

  it('clips as in arrays, and keeps no tensor', () => {
    const weights = new Map([['w', tf.variable(tf.tensor1d([1, -2, 0.5]))]]);
    const adam = new BackendAdam(weights, options);
    const inArrays = new Adam(new Map([['w', tf.variable(tf.tensor1d([1, -2, 0.5]))]]), options);
    const g = tf.tensor1d([3, 0, 4]);
    for (const limit of [10, 0, 1]) {
      for (const each of [adam, inArrays]) {
        each.clear();
        each.add('w', g);
        expect(each.clip(limit)).toBe(5);
        each.step(0.1);
      }
      expect(adam.state().get('exp_avg.w')!.data).toEqual(inArrays.state().get('exp_avg.w')!.data);
    }
    adam.clear();
    const alive = tf.memory().numTensors;
    for (let i = 0; i < 5; i++) move(adam, [3, 0, 4]);
    adam.clear();
    expect(tf.memory().numTensors).toBe(alive);
  });
});
