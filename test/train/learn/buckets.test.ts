import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { useBackend } from '../../../src/compute/use-backend';
import { VqGan } from '../../../src/model/vqgan';
import { Star } from '../../../src/train/collective/star';
import { GradientBuckets } from '../../../src/train/learn/buckets';
import { Adam } from '../../../src/train/learn/optimiser';
import { resolveConfig } from '../../../src/train/settings/config';
import { codebookOf } from '../../model/plain';
import { tiny } from '../tiny';

beforeAll(async () => {
  await useBackend('cpu');
});

/** Remembers what it was asked to sum, and is done when it is told. */
class Recorder extends Star {
  override readonly overlaps = true;
  readonly asked: { readonly name: string; readonly lengths: number[] }[] = [];
  private readonly waiting: { resolve: () => void; reject: (error: Error) => void }[] = [];

  constructor() {
    super(0, 1, 60);
  }

  override allReduce(arrays: readonly Float32Array[] = [], name = ''): Promise<void> {
    this.asked.push({ name, lengths: arrays.map(({ length }) => length) });
    return new Promise((resolve, reject) => this.waiting.push({ resolve, reject }));
  }

  end(error?: Error): void {
    for (const { resolve, reject } of this.waiting) error ? reject(error) : resolve();
  }
}

const sizes = { first: 4, second: 3, third: 2, last: 1 };
const optimisers = () => {
  const weights = Object.entries(sizes).map(([name, n]) => [name, tf.variable(tf.zeros([n]))] as const);
  return [new Adam(new Map(weights), { betas: [0.5, 0.9] })];
};

describe('buckets of gradients', () => {
  it('are sent while others are missing, in one order whatever order the gradients come in', async () => {
    const orders = [
      ['last', 'third', 'second', 'first'],
      ['second', 'first', 'last', 'third'],
      ['third', 'last', 'first', 'second'],
    ];
    const asked = orders.map((order) => {
      const collective = new Recorder();
      const buckets = new GradientBuckets(optimisers(), collective, 12);
      const counts = order.map((name) => {
        buckets.ready(name);
        return collective.asked.length;
      });
      void buckets.finish();
      return { asked: collective.asked, counts };
    });
    expect(asked[0]!.asked.map(({ lengths }) => lengths)).toEqual([[1, 2], [3], [4]]);
    for (const other of asked) expect(other.asked).toEqual(asked[0]!.asked);
    expect(asked[0]!.counts).toEqual([0, 1, 2, 3]);
    // What comes early waits for the last layer's.
    expect(asked[1]!.counts).toEqual([0, 0, 0, 3]);
  });

  it('of a rank without patches are sent at the end, in the same order', async () => {
    const collective = new Recorder();
    const buckets = new GradientBuckets(optimisers(), collective, 12);
    const done = buckets.finish();
    expect(collective.asked.map(({ lengths }) => lengths)).toEqual([[1, 2], [3], [4]]);
    collective.end();
    await done;
  });

  it('fail together with their sum', async () => {
    const collective = new Recorder();
    const buckets = new GradientBuckets(optimisers(), collective);
    const done = buckets.finish();
    collective.end(new Error('rank 1 died'));
    await expect(done).rejects.toThrow('rank 1 died');
  });
});

it('a model tells of each gradient once, whole, the decoder’s end first', () => {
  const { model: config } = resolveConfig({ ...tiny, data: ['phantom:16x16x32'] });
  const model = new VqGan(config, 1);
  codebookOf(model).initialise(new Float32Array(config.codes * config.codeDim).map((_, i) => Math.sin(i)));
  const x = tf.randomUniform([1, 8, 8, 8, 1], -1, 1, 'float32', 3) as tf.Tensor5D;
  const pass = model.forward(x);
  const told = new Map<string, Float32Array>();
  const early = (name: string, gradient: tf.Tensor) => {
    expect(told.has(name)).toBe(false);
    told.set(name, gradient.dataSync<'float32'>().slice());
  };
  const gradients = pass.gradients(tf.ones(pass.y.shape) as tf.Tensor5D, 1, early);
  expect([...told.keys()].sort()).toEqual(Object.keys(gradients).sort());
  for (const [name, gradient] of Object.entries(gradients))
    expect([...told.get(name)!], name).toEqual([...gradient.dataSync()]);
  const order = [...told.keys()];
  expect(order[0]).toMatch(/^decoder\.conv_last/);
  expect(order.at(-1)).toMatch(/^encoder\.conv_first/);
  model.dispose();
});
