import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import { stopGradient } from '../../../src/compute/ops/ops';
import { useBackend } from '../../../src/compute/use-backend';
import { Codebook } from '../../../src/model/codebook';
import type { ModelConfig } from '../../../src/model/config';
import { presetNamed } from '../../../src/model/presets';
import { averageCodeProbabilities, averageEntropy } from '../../../src/model/quantisers/code-probabilities';
import { rotateTo, unitRows } from '../../../src/model/quantisers/estimators';
import { levelsFor } from '../../../src/model/quantisers/finite-scalar';
import type { GlobalBatch, Quantiser } from '../../../src/model/quantisers/quantiser';
import {
  asItWas,
  codeCount,
  createQuantiser,
  fitQuantiser,
  quantiserWeights,
} from '../../../src/model/quantisers/registry';
import { kMeans } from '../../../src/model/quantisers/start';
import { VqGan } from '../../../src/model/vqgan';
import { createWeights, type Weights } from '../../../src/model/weights';
import { resolveConfig } from '../../../src/train/settings/config';
import { expectGradients, normal } from '../../conformance/tensors';
import { relativeError } from '../reference';

beforeAll(() => useBackend('cpu'));

const toy = presetNamed('toy').model;
const settings: Record<string, Partial<ModelConfig>> = {
  ema: { codes: 16 },
  'ema from k-means': { codes: 16, initialisation: 'kmeans' },
  'ema, cosine': { codes: 16, cosine: true, initialisation: 'kmeans' },
  fsq: { quantiser: 'fsq', codes: 64 },
  lfq: { quantiser: 'lfq', codes: 16 },
  'lfq, not spherical': { quantiser: 'lfq', codes: 16, temperature: 0.5, spherical: false },
  simvq: { quantiser: 'simvq', codes: 16 },
  residual: { quantiser: 'residual', codes: 8, codebooks: 3, initialisation: 'kmeans' },
};
const configOf = (name: string) => fitQuantiser({ ...toy, ...settings[name] }, settings[name]);

test.each(['lfq', 'ema', 'residual', 'simvq', 'fsq'] as const)(
  '%s: the loss of validation does not depend on how the training step before was shared out',
  async (quantiser) => {
    const config = fitQuantiser({ ...toy, codes: 16, quantiser }, { quantiser, codes: 16 });
    const rows = { offset: 0, total: 40, seed: 1 };
    const latents = (seed: number) => tf.tensor2d(normal(seed, [40, config.codeDim]), [40, config.codeDim]);
    const weights = createWeights(quantiserWeights(config), 0);
    const losses: number[] = [];
    for (const onePass of [true, false]) {
      const made = createQuantiser(config, 0);
      const sum = async () => {};
      await made.prepare({ latents: async () => latents(1), rows, onePass, weights, sum });
      const { codes } = made.forward(latents(1), weights);
      made.apply(made.statistics(latents(1), codes, { ...rows, step: 0 }));
      losses.push(made.forward(latents(2), weights).loss.dataSync()[0]!);
    }
    expect(losses[1]).toBe(losses[0]);
  },
);

test.each([
  { quantiser: 'ema', searches: 0 },
  { quantiser: 'residual', searches: 2 },
] as const)('$quantiser starts with $searches searches for codes', async ({ quantiser, searches }) => {
  const config = fitQuantiser({ ...toy, codes: 8, codebooks: 3, quantiser }, { quantiser, codes: 8 });
  const made = createQuantiser(config, 0);
  const latents = tf.tensor2d(normal(1, [40, config.codeDim]), [40, config.codeDim]);
  const rows = { offset: 0, total: 40, seed: 1 };
  const search = vi.spyOn(Codebook.prototype, 'quantise');
  await made.prepare({
    latents: async () => latents,
    rows,
    onePass: true,
    weights: createWeights(quantiserWeights(config), 0),
    sum: async () => {},
  });
  expect(search).toHaveBeenCalledTimes(searches);
  search.mockRestore();
});

describe('gradients agree with finite differences', () => {
  test('of unit rows', () => expectGradients((x) => unitRows(x as tf.Tensor2D), [[5, 3]]));

  test('of the average probabilities of codes', () =>
    expectGradients((x) => averageCodeProbabilities(x as tf.Tensor2D, 0.7), [[6, 3]], { step: 0.01 }));

  test('of the average entropy', () =>
    expectGradients((x) => averageEntropy(x as tf.Tensor2D, 0.7), [[6, 3]], { step: 0.01 }));

  test.each([true, false])('of all that lookup-free quantisation minimises, spherical %s', (spherical) => {
    const config = { ...toy, quantiser: 'lfq', codes: 8, codeDim: 3, entropy: 0.7, spherical } as const;
    const lookupFree = createQuantiser(config, 0);
    // Latents well away from 0, where a step changes no sign.
    expectGradients(
      (x) => {
        const z = tf.add(x, stopGradient(tf.mul(tf.sign(x), 0.3))) as tf.Tensor2D;
        return lookupFree.forward(z, new Map()).loss;
      },
      [[6, 3]],
      { step: 0.01 },
    );
  });

  test('of the rotation trick, which is that of the rotation held still', () => {
    const [z, q, dy] = [1, 2, 3].map((seed) => tf.tensor2d(normal(seed, [4, 3]), [4, 3])) as [
      tf.Tensor2D,
      tf.Tensor2D,
      tf.Tensor2D,
    ];
    const dz = tf
      .grad((x) => tf.sum(tf.mul(rotateTo(x as tf.Tensor2D, q), dy)))(z)
      .arraySync() as number[][];
    const rows = [z, q, dy].map((t) => t.arraySync() as number[][]);
    for (let row = 0; row < 4; row++) {
      const [from, to, slope] = rows.map((r) => r[row]!) as [number[], number[], number[]];
      for (let channel = 0; channel < 3; channel++) {
        const moved = (by: number) =>
          rotated(
            from,
            to,
            from.map((value, i) => value + (i === channel ? by : 0)),
          ).reduce((sum, value, i) => sum + value * slope[i]!, 0);
        expect(dz[row]![channel]).toBeCloseTo((moved(0.01) - moved(-0.01)) / 0.02, 4);
      }
    }
  });
});

/** x under the rotation in the plane of z and q that takes z's direction to q's, times |q| / |z|. */
function rotated(z: number[], q: number[], x: number[]): number[] {
  const dot = (a: number[], b: number[]) => a.reduce((sum, value, i) => sum + value * b[i]!, 0);
  const unit = (a: number[]) => a.map((value) => value / Math.sqrt(dot(a, a)));
  const [u, v] = [unit(z), unit(q)];
  const cosine = dot(u, v);
  const side = unit(v.map((value, i) => value - cosine * u[i]!));
  const sine = dot(v, side);
  const [along, across] = [dot(x, u), dot(x, side)];
  const scale = Math.sqrt(dot(q, q) / dot(z, z));
  return x.map(
    (value, i) =>
      scale *
      (value +
        (along * (cosine - 1) - across * sine) * u[i]! +
        (along * sine + across * (cosine - 1)) * side[i]!),
  );
}

describe.each(Object.keys(settings))('%s', (name) => {
  test('starts and steps the same on 1 rank and on 3, one of them without patches', async () => {
    const one = await steps(name, [24]);
    const three = await steps(name, [9, 0, 15]);
    expect(three.losses.length).toBe(3);
    for (const [step, loss] of one.losses.entries()) expect(three.losses[step]).toBeCloseTo(loss, 5);
    expect(relativeError(three.gradient, one.gradient)).toBeLessThan(1e-4);
    for (const [key, { data }] of one.state)
      expect(relativeError(three.state.get(key)!.data, data), key).toBeLessThan(1e-4);
    expect(three.counts).toEqual(one.counts);
    expect(three.differing).toEqual([]);
  });

  test('100 steps leave no tensor behind', async () => {
    const config = configOf(name);
    const quantiser = createQuantiser(config, 3);
    const weights = createWeights(quantiserWeights(config), 3);
    const z = tf.tensor2d(normal(6, [20, config.codeDim]), [20, config.codeDim]);
    const rows = { offset: 0, total: 20, seed: 1 };
    const step = async (at: number) => {
      // Not in one pass: what is collected of the batch beforehand is collected.
      const collecting = { latents: async () => tf.clone(z), rows, onePass: false, weights };
      await quantiser.prepare({ ...collecting, sum: async () => {} });
      const loss = (x: tf.Tensor) => quantiser.forward(x as tf.Tensor2D, weights).loss;
      const outside = (x: tf.Tensor) => tf.sum(quantiser.forward(x as tf.Tensor2D, weights).embeddings);
      tf.tidy(() => {
        tf.grad((x) => tf.add(loss(x), outside(x)))(z);
      });
      const chosen = tf.tidy(() => quantiser.quantise(z, weights));
      quantiser.apply(quantiser.statistics(z, chosen.codes, { ...rows, step: at }));
      tf.dispose([chosen.codes, chosen.embeddings]);
    };
    for (let at = 0; at < 2; at++) await step(at);
    const before = tf.memory().numTensors;
    for (let at = 2; at < 102; at++) await step(at);
    expect(tf.memory().numTensors).toBe(before);
    quantiser.dispose();
  });

  test('a loaded state and weights quantise alike, bit for bit', async () => {
    const model = new VqGan(configOf(name), 1);
    const z = tf.tensor2d(normal(4, [30, model.config.codeDim]), [30, model.config.codeDim]);
    await model.quantiser.prepare({
      latents: async () => tf.clone(z),
      rows: { offset: 0, total: 30, seed: 2 },
      onePass: true,
      weights: model.weights,
      sum: async () => {},
    });
    const other = new VqGan(configOf(name), 9);
    other.load(model.state());
    expect(other.quantiser.initialised).toBe(true);
    const [a, b] = [model, other].map((m) => m.quantiser.quantise(z, m.weights));
    expect(b!.codes.dataSync()).toEqual(a!.codes.dataSync());
    expect(b!.embeddings.dataSync()).toEqual(a!.embeddings.dataSync());
    expect(model.quantiser.size).toBe(codeCount(model.config));
  });
});

/** Three steps of ranks that hold so many rows each of the same global batches, their sums made by hand. */
async function steps(name: string, shares: readonly number[]) {
  const config = configOf(name);
  const width = config.codeDim;
  const total = shares.reduce((sum, share) => sum + share, 0);
  const ranks: { quantiser: Quantiser; weights: Weights }[] = shares.map(() => ({
    quantiser: createQuantiser(config, 3),
    weights: createWeights(quantiserWeights(config), 3),
  }));
  const losses: number[] = [];
  let gradient = new Float32Array(0);
  let counts: number[] = [];
  for (let step = 0; step < 3; step++) {
    const all = tf.tensor2d(normal(40 + step, [total, width]), [total, width]);
    const parts = shares.map((share, rank) => {
      const offset = shares.slice(0, rank).reduce((sum, n) => sum + n, 0);
      return { offset, z: share > 0 ? tf.slice(all, [offset, 0], [share, width]) : undefined };
    });
    const sum = summing(shares.length);
    const batch = (rank: number): GlobalBatch => {
      const { offset, z } = parts[rank]!;
      return {
        latents: z && (async () => tf.clone(z)),
        rows: { offset, total, seed: 8 },
        onePass: shares.length === 1,
        weights: ranks[rank]!.weights,
        sum,
      };
    };
    await Promise.all(ranks.map(({ quantiser }, rank) => quantiser.prepare(batch(rank))));
    let loss = 0;
    const statistics = ranks[0]!.quantiser.noStatistics();
    const pieces: Float32Array[] = [];
    for (const [rank, { quantiser, weights }] of ranks.entries()) {
      const { z } = parts[rank]!;
      if (!z) continue;
      const share = z.shape[0] / total;
      const { codes } = quantiser.quantise(z, weights);
      const lossOf = (x: tf.Tensor) => tf.mul(quantiser.forward(x as tf.Tensor2D, weights).loss, share);
      // A quantiser without a loss of its own still has its estimator.
      const outOf = (x: tf.Tensor) => tf.sum(quantiser.forward(x as tf.Tensor2D, weights).embeddings);
      loss += lossOf(z).dataSync()[0]!;
      pieces.push(
        tf
          .grad((x) => tf.add(lossOf(x), outOf(x)))(z)
          .dataSync<'float32'>(),
      );
      const own = quantiser.statistics(z, codes, { ...batch(rank).rows, step });
      for (const [key, array] of Object.entries(statistics))
        array.forEach((value, i) => {
          array[i] = value + own[key]![i]!;
        });
    }
    for (const { quantiser } of ranks) quantiser.apply(statistics);
    losses.push(loss);
    gradient = Float32Array.from(pieces.flatMap((piece) => [...piece]));
    counts = [...statistics.counts];
  }
  const states = ranks.map(
    ({ quantiser, weights }) =>
      new Map([
        ...quantiser.state(),
        ...[...weights].map(([key, w]) => [key, { shape: w.shape, data: w.dataSync<'float32'>() }] as const),
      ]),
  );
  const differing = [...states[0]!].filter(([key, { data }]) =>
    states.some((state) => !state.get(key)!.data.every((value, i) => value === data[i])),
  );
  return { losses, gradient, counts, state: states[0]!, differing };
}

/** An all-reduce between calls of one process. */
function summing(ranks: number): (arrays: Float32Array[]) => Promise<void> {
  let waiting: { arrays: Float32Array[]; done: () => void }[] = [];
  return (arrays) =>
    new Promise((done) => {
      waiting.push({ arrays, done });
      if (waiting.length < ranks) return;
      const sums = arrays.map((array, a) =>
        array.map((_, i) => waiting.reduce((sum, call) => sum + call.arrays[a]![i]!, 0)),
      );
      for (const call of waiting) {
        call.arrays.forEach((array, a) => {
          array.set(sums[a]!);
        });
        call.done();
      }
      waiting = [];
    });
}

test('k-means finds clusters that are there', async () => {
  const centres = [0, 10, 20, 30];
  const noise = normal(1, [80]);
  const z = tf.tensor2d(
    noise.map((value, i) => centres[i % 4]! + 0.1 * value),
    [80, 1],
  );
  const found = await kMeans(z, Float32Array.of(1, 12, 17, 26), 1, async () => {});
  expect([...found.counts]).toEqual([20, 20, 20, 20]);
  found.centres.forEach((centre, i) => {
    expect(centre).toBeCloseTo(centres[i]!, 0);
  });
});

test('levels have about as many combinations as codes are asked for', () => {
  expect(levelsFor(512)).toEqual([8, 8, 8]);
  expect(levelsFor(1000)).toEqual([8, 5, 5, 5]);
  for (const codes of [16, 100, 256, 4096, 16384, 65536]) {
    const product = levelsFor(codes).reduce((all, levels) => all * levels, 1);
    expect(product / codes).toBeGreaterThan(0.9);
    expect(product / codes).toBeLessThan(1.1);
  }
});

describe('a configuration', () => {
  const config = (model: Partial<ModelConfig>) => resolveConfig({ data: ['x.nii'], model }).model;

  test('fits what the quantiser dictates', () => {
    expect(config({ quantiser: 'fsq', codes: 512 })).toMatchObject({
      levels: [8, 8, 8],
      codeDim: 3,
      gain: 3,
    });
    expect(config({ quantiser: 'fsq', levels: [5, 5, 4] })).toMatchObject({ codes: 100, codeDim: 3 });
    expect(config({ quantiser: 'lfq', codes: 1024 })).toMatchObject({ codeDim: 10, spherical: true });
    const plain = { quantiser: 'lfq', codes: 16, spherical: false } as const;
    expect(config(plain)).toMatchObject(plain);
    expect(config({ quantiser: 'simvq' })).toMatchObject({ codes: 256, codeDim: 4 });
  });

  test('of an existing model keeps its meaning', () => {
    const old: ModelConfig = { ...toy, quantiser: 'fsq', levels: [8, 8], codes: 64, codeDim: 2 };
    expect(fitQuantiser(asItWas(old))).toMatchObject({ levels: [8, 8], gain: 1 });
    expect(fitQuantiser(asItWas({ ...old, gain: 2 })).gain).toBe(2);
  });

  test.each([
    [{ quantiser: 'lfq', codes: 500 }, 'model.codes'],
    [{ quantiser: 'fsq', levels: [8, 8], codeDim: 3 }, 'model.levels'],
    [{ quantiser: 'fsq', levels: [8, 8], codes: 63 }, 'model.codes'],
    [{ quantiser: 'fsq', levels: [8, 1] }, 'model.levels'],
    [{ quantiser: 'vq' }, 'model.quantiser'],
    [{ quantiser: 'fsq', cosine: true }, 'model.cosine'],
    [{ codebooks: 2 }, 'model.codebooks'],
    [{ estimator: 'none' }, 'model.estimator'],
    [{ quantiser: 'lfq', temperature: 0, codes: 16 }, 'model.temperature'],
    [{ quantiser: 'fsq', gain: 0 }, 'model.gain'],
    [{ gain: 3 }, 'model.gain'],
  ] as [Partial<ModelConfig>, string][])('%j is refused by %s', (model, key) => {
    expect(() => config(model)).toThrow(key);
  });
});
