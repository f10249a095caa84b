import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { backendNames, useBackend } from '../../src/compute/use-backend';
import type { GanConfig } from '../../src/model/discriminators/config';
import { discriminatorWeights } from '../../src/model/discriminators/discriminator';
import { Discriminators } from '../../src/model/discriminators/discriminators';
import { Objective, type ObjectiveLosses, type ObjectiveResult } from '../../src/model/objective';
import { alone, type Peers } from '../../src/model/peers';
import { PRESETS } from '../../src/model/presets';
import { VqGan } from '../../src/model/vqgan';
import { sizeOf, weightState } from '../../src/model/weights';
import { Adam } from '../../src/train/learn/optimiser';
import { readGanReference } from './gan-reference';
import { lossAndGradients } from './plain';
import { relativeError } from './reference';

const reference = readGanReference();
const { config, seed } = reference;

beforeAll(() => useBackend('wasm'));

/** A rank with the reference's weights of a variant. */
function makeRank(key: string, gan: GanConfig = reference.variants[key]!.gan) {
  const model = new VqGan(config, 0);
  const discriminators = new Discriminators(gan, 0);
  const weights = reference.under(`${key}/weights`);
  const start = reference.array(`${key}/codebook/start`);
  model.load(
    new Map([
      ...weights,
      ['codebook.embeddings', start],
      ['codebook.N', { shape: [config.codes], data: new Float32Array(config.codes).fill(1) }],
      ['codebook.z_avg', start],
      ['codebook.initialised', { shape: [1], data: new Float32Array([1]) }],
    ]),
  );
  discriminators.load(weights);
  return { model, discriminators, objective: new Objective(model, { gan, discriminators, seed }) };
}

type Rank = ReturnType<typeof makeRank>;

/** Ranks of one process: a gathering ends when all of them have come. */
function peersOf(count: number): Peers[] {
  let waiting: { values: Float32Array; resolve: (all: Float32Array[]) => void }[] = [];
  let byRank: Float32Array[] = new Array(count);
  return Array.from({ length: count }, (_, rank) => ({
    gather: (values) =>
      new Promise<readonly Float32Array[]>((resolve) => {
        byRank[rank] = values.slice();
        waiting.push({ values, resolve });
        if (waiting.length < count) return;
        const [all, done] = [byRank, waiting];
        [waiting, byRank] = [[], new Array(count)];
        for (const { resolve } of done) resolve(all);
      }),
  }));
}

/** The biases before a batch norm have no gradient but rounding, which Adam makes steps of: they are not compared. */
const hasNoGradient = (name: string, gan: GanConfig) =>
  gan.norm === 'batch' &&
  /discriminator\.model\d+\.0\.bias$/.test(name) &&
  !name.includes('model0.') &&
  !name.includes(`model${gan.layers + 1}.`);

describe.each(backendNames)('against PyTorch, backend %s', (name) => {
  beforeAll(() => useBackend(name));
  afterAll(() => useBackend('wasm'));

  test.each(Object.keys(reference.variants))('%s: every loss and every gradient of a step', async (key) => {
    const { gan, steps } = reference.variants[key]!;
    const { objective, model, discriminators } = makeRank(key);
    const x = reference.batch(0);
    const { losses, gradients, latents, codes } = await objective.lossAndGradients(x, {
      step: 0,
      offset: 0,
      total: 4,
      peers: alone,
    });
    for (const [loss, value] of Object.entries(losses))
      if (loss !== 'perceptual')
        expect(Math.abs(value - steps[0]![loss]!), loss).toBeLessThan(1e-4 * Math.max(1, Math.abs(value)));
    const wanted = reference.under(`${key}/gradients`);
    expect(new Set(Object.keys(gradients))).toEqual(new Set(wanted.keys()));
    const errors = Object.entries(gradients)
      .filter(([name]) => !hasNoGradient(name, gan))
      .map(([name, gradient]) => ({
        name,
        error: relativeError(gradient.dataSync(), wanted.get(name)!.data),
      }));
    expect(errors.filter(({ error }) => !(error < 1e-4))).toEqual([]);
    tf.dispose([x, gradients, latents, codes]);
    model.dispose();
    discriminators.dispose();
  });

  test.each(Object.keys(reference.variants))('%s: five steps of both optimisers', async (key) => {
    const { gan, steps } = reference.variants[key]!;
    const rank = makeRank(key);
    const { model, discriminators } = rank;
    const optimisers = [model.weights, discriminators.weights].map(
      (weights) => new Adam(weights, { betas: [0.5, 0.9] }),
    );
    for (const [step, wanted] of steps.entries()) {
      const x = reference.batch(step);
      const part = { step, offset: 0, total: 4, peers: alone };
      const { losses, gradients, latents, codes } = await rank.objective.lossAndGradients(x, part);
      for (const [loss, value] of Object.entries(losses))
        if (loss !== 'perceptual')
          expect(Math.abs(value - wanted[loss]!), `${loss} of step ${step}`).toBeLessThan(
            1e-4 * Math.max(1, Math.abs(value)),
          );
      const norms = optimisers.map((optimiser) => {
        optimiser.clear();
        for (const name of optimiser.gradients.keys()) optimiser.add(name, gradients[name]!);
        const norm = optimiser.clip(reference.clip);
        optimiser.step(reference.rate);
        return norm;
      });
      expect(Math.abs(norms[0]! / wanted.gradientNorm! - 1)).toBeLessThan(1e-4);
      expect(Math.abs(norms[1]! / wanted.discriminatorNorm! - 1)).toBeLessThan(1e-4);
      const rows = { offset: 0, total: latents.shape[0], seed, step };
      model.quantiser.apply(model.quantiser.statistics(latents, codes, rows));
      tf.dispose([x, gradients, latents, codes]);
    }
    const after = new Map([...model.state(), ...weightState(discriminators.weights)]);
    const errors = [...reference.under(`${key}/after`)]
      .filter(([name]) => !hasNoGradient(name, gan))
      .map(([name, { data }]) => ({ name, error: relativeError(after.get(name)!.data, data) }));
    expect(errors.filter(({ error }) => !(error < 1e-4))).toEqual([]);
    for (const name of ['embeddings', 'N', 'z_avg'])
      expect(
        relativeError(after.get(`codebook.${name}`)!.data, reference.array(`${key}/codebook/${name}`).data),
      ).toBeLessThan(1e-4);
    model.dispose();
    discriminators.dispose();
  });
});

describe.each([
  [2, [2, 2]],
  [4, [1, 1, 1, 1]],
  [3, [1, 0, 3]],
] as const)('%i ranks with %j of four patches', (count, shares) => {
  test.each(Object.keys(reference.variants))('%s: equal one rank with all of them', async (key) => {
    const x = reference.batch(0);
    const whole = makeRank(key);
    const one = await whole.objective.lossAndGradients(x, { step: 1, offset: 0, total: 4, peers: alone });
    const peers = peersOf(count);
    const ranks = shares.map(() => makeRank(key));
    let before = 0;
    const parts = await Promise.all(
      shares.map(async (share, r) => {
        const offset = before;
        before += share;
        const part = { step: 1, offset, total: 4, peers: peers[r]! };
        if (share === 0) return ranks[r]!.objective.emptyPass(part);
        return ranks[r]!.objective.lossAndGradients(tf.slice(x, offset, share) as tf.Tensor5D, part);
      }),
    );
    const given = parts.filter((part): part is ObjectiveResult => part !== undefined);
    for (const name of Object.keys(one.losses) as (keyof ObjectiveLosses)[]) {
      const sum = given.reduce((total, { losses }) => total + losses[name], 0);
      expect(Math.abs(sum - one.losses[name]), name).toBeLessThan(
        1e-5 * Math.max(1, Math.abs(one.losses[name])),
      );
    }
    const { gan } = reference.variants[key]!;
    // A gradient that is the small rest of large ones is as exact as those.
    const largest = Math.max(
      ...Object.values(one.gradients).map((g) => Math.max(...g.dataSync().map(Math.abs))),
    );
    const errors = Object.entries(one.gradients)
      .filter(([name]) => !hasNoGradient(name, gan))
      .map(([name, wanted]) => {
        const sum = tf.tidy(() => tf.addN(given.map(({ gradients }) => gradients[name]!)).dataSync());
        return { name, error: relativeError(sum, wanted.dataSync(), 0.01 * largest) };
      });
    expect(errors.filter(({ error }) => !(error < 1e-5))).toEqual([]);
    for (const rank of [whole, ...ranks]) dispose(rank);
  });
});

function dispose({ model, discriminators }: Rank): void {
  model.dispose();
  discriminators.dispose();
}

describe('the discriminators', () => {
  const parameters = (kind: 'image' | 'video') =>
    discriminatorWeights(kind, PRESETS.guide.gan).reduce((sum, { shape }) => sum + sizeOf(shape), 0);

  test('of the guide have the 2.76 and 11.05 million parameters of the PyTorch models', () => {
    expect(parameters('image')).toBe(2_764_481);
    expect(parameters('video')).toBe(11_049_665);
  });

  test('have the PyTorch models’ names', () => {
    const names = discriminatorWeights('video', PRESETS.guide.gan).map(({ name }) => name);
    expect(names).toContain('video_discriminator.model0.0.weight');
    expect(names).toContain('video_discriminator.model3.1.bias');
    expect(names).toContain('video_discriminator.model4.0.bias');
    expect(names.filter((name) => name.includes('.1.'))).toHaveLength(6);
  });
});

test('discriminators that have not joined cost nothing and change nothing', async () => {
  const key = 'hinge';
  const gan = { ...reference.variants[key]!.gan, start: 3 };
  const rank = makeRank(key, gan);
  const x = reference.batch(0);
  const part = { step: 2, offset: 0, total: 4, peers: alone };
  const { losses, gradients } = await rank.objective.lossAndGradients(x, part);
  const plain = await lossAndGradients(rank.model, x);
  expect(losses.loss).toBeCloseTo(plain.losses.loss, 6);
  expect(Object.keys(gradients)).toEqual(Object.keys(plain.gradients));
  for (const [name, gradient] of Object.entries(gradients))
    expect([...gradient.dataSync()]).toEqual([...plain.gradients[name]!.dataSync()]);
  dispose(rank);
});

test('steps leave no tensor behind', async () => {
  const rank = makeRank('adaptive');
  const x = tf.slice(reference.batch(0), 0, 1) as tf.Tensor5D;
  const step = async (at: number) => {
    const part = { step: at, offset: 0, total: 1, peers: alone };
    const { gradients, latents, codes } = await rank.objective.lossAndGradients(x, part);
    tf.dispose([gradients, latents, codes]);
  };
  await step(0);
  const before = { ...tf.memory() };
  const held = tf.backend().numDataIds();
  for (let i = 1; i <= 20; i++) await step(i);
  expect(tf.memory().numTensors).toBe(before.numTensors);
  expect(tf.memory().numDataBuffers).toBe(before.numDataBuffers);
  expect(tf.backend().numDataIds()).toBe(held);
  dispose(rank);
});
