import { createServer } from 'node:net';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { backendNames, useBackend } from '../../../src/compute/use-backend';
import type { Peers } from '../../../src/model/peers';
import { builtC10d } from '../../../src/train/collective/c10d/addon';
import { connectC10d } from '../../../src/train/collective/c10d/c10d';
import type { Collective } from '../../../src/train/collective/collective';
import { loadData } from '../../../src/train/data/loader';
import { Sampler } from '../../../src/train/data/sampler';
import { Learner } from '../../../src/train/learn/learner';
import { trainStep } from '../../../src/train/learn/step';
import { resolveConfig } from '../../../src/train/settings/config';
import { tiny } from '../tiny';

const isBuilt = backendNames.includes('libtorch') && builtC10d();
if (!isBuilt)
  console.error('skipped: libtorch and c10d are not built (npx patchwise backend build libtorch)');

const goOn = { stop: false, save: false };

/** Two ranks in this process, on one backend: what one waits for, the other computes meanwhile. */
async function connect(): Promise<Collective[]> {
  const port = await new Promise<number>((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
  const place = {
    worldSize: 2,
    address: '127.0.0.1',
    port,
    storeIsServed: false,
    session: 'test',
    timeout: 20,
  };
  return Promise.all([0, 1].map((rank) => connectC10d({ ...place, rank })));
}

/** The same collective without what reaches tensors: gradients go through JavaScript. */
function throughArrays(collective: Collective): Collective {
  const { rank, worldSize, overlaps } = collective;
  return {
    ...{ rank, worldSize, overlaps },
    allReduce: (arrays, name) => collective.allReduce(arrays, name),
    allGather: (array, name) => collective.allGather(array, name),
    broadcast: (arrays, root, name) => collective.broadcast(arrays, root, name),
    barrier: (name) => collective.barrier(name),
    close: () => collective.close(),
  };
}

describe.skipIf(!isBuilt)('a step of two ranks on libtorch', { timeout: 120_000 }, () => {
  beforeAll(async () => {
    await useBackend('libtorch');
  });
  afterAll(async () => {
    await useBackend('cpu');
  });
  const ends: (() => unknown)[] = [];
  afterEach(async () => {
    vi.restoreAllMocks();
    await Promise.all(ends.splice(0).map((end) => end()));
  });

  async function prepare(options: object, through: (collective: Collective) => Collective = (same) => same) {
    const connected = await connect();
    const model = { hidden: 16, codes: 16, groups: 2, restartBelow: 0.1 };
    const config = resolveConfig({
      ...tiny,
      data: ['phantom:16x16x32'],
      model,
      average: 0.9,
      batch: 2,
      ...options,
    });
    const ranks = await Promise.all(
      connected.map(async (each) => {
        const collective = through(each);
        const peers: Peers = { gather: (values) => collective.allGather(values, 'discriminators') };
        const learner = new Learner(config, 10, peers);
        const data = await loadData(config);
        ends.push(() => learner.dispose());
        return { learner, collective, config, patches: data.train };
      }),
    );
    ends.push(() => Promise.all(connected.map((each) => each.close())));
    const sampler = new Sampler({ ...config, patches: ranks[0]!.patches.count, ranks: 2 });
    let cursor = { epoch: 0, position: 0 };
    let done = 0;
    /** One step of both. */
    const step = async () => {
      const shares = ranks.map((_, rank) => sampler.share(cursor, rank));
      const results = await Promise.all(ranks.map((rank, r) => trainStep(rank, shares[r]!, done, goOn)));
      cursor = shares[0]!.next;
      done++;
      return results;
    };
    return { learners: ranks.map(({ learner }) => learner), step };
  }

  it('keeps weights, gradients, moments and averages out of JavaScript', async () => {
    const { learners, step } = await prepare({});
    await step(); // starts the codebook
    const weights = [...learners[0]!.model.weights.values()].reduce((sum, { size }) => sum + size, 0);
    const backend = tf.backend();
    const reads = vi.spyOn(backend, 'readSync');
    const writes = vi.spyOn(backend, 'write');
    await step();
    const read = reads.mock.results.map(({ value }) => (value as ArrayLike<number>).length);
    const written = writes.mock.calls.map(([values]) => (values as ArrayLike<number>).length);
    expect(read.length).toBeGreaterThan(0);
    expect(written).toContain(2 * 8 ** 3); // the patches
    const sum = (lengths: readonly number[]) => lengths.reduce((total, length) => total + length, 0);
    expect(sum(read) / 2).toBeLessThan(weights / 20);
    expect(sum(written) / 2 - 2 * 8 ** 3).toBeLessThan(weights / 20);
  });

  it.each([
    ['a generator', {}],
    ['discriminators too', { gan: { slice: 1, patch: 1, start: 1, ramp: 1, channels: 4, norm: 'batch' } }],
  ])(
    'moves the weights of %s as sums in JavaScript do, alike to the bit on both ranks',
    async (_, options) => {
      const whole = await prepare(options);
      const arrays = await prepare(options, throughArrays);
      for (let i = 0; i < 4; i++) {
        const [mine, theirs] = [await whole.step(), await arrays.step()];
        for (const [r, { measured }] of mine.entries())
          expect(measured.loss).toBeCloseTo(theirs[r]!.measured.loss, 5);
      }
      const [one, other] = whole.learners.map((learner) => learner.state());
      const expected = arrays.learners[0]!.state();
      for (const part of ['model', 'optimiser'] as const)
        for (const [name, { data }] of one![part]) {
          expect(other![part].get(name)!.data, name).toEqual(data);
          expect(expected[part].get(name)!.data, name).toEqual(data);
        }
    },
  );

  it('leaves no tensor behind', async () => {
    const { step } = await prepare({});
    await step();
    await step();
    const alive = tf.memory().numTensors;
    await step();
    expect(tf.memory().numTensors).toBe(alive);
  });
});
