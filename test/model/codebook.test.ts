import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { useBackend } from '../../src/compute/use-backend';
import { Codebook, perplexity, usage } from '../../src/model/codebook';
import { presetNamed } from '../../src/model/presets';
import { drawRows } from '../../src/model/rows';
import { Random } from '../../src/random';

beforeAll(() => useBackend('cpu'));

const OPTIONS = { codes: 4, codeDim: 2, decay: 0.9, restartBelow: 0.04 };
const none = { offset: 0, total: 1, seed: 0 };

/** Four codes at the corners of a square. */
function corners(options = OPTIONS): Codebook {
  const codebook = new Codebook(options);
  codebook.initialise(Float32Array.of(0, 0, 0, 1, 1, 0, 1, 1));
  return codebook;
}

const embedding = (codebook: Codebook) => [...codebook.state().get('codebook.embeddings')!.data];
const counts = (codebook: Codebook) => [...codebook.state().get('codebook.N')!.data];

/** Statistics of latents all of which chose one code. */
function chosen(code: number, count: number, at: [number, number], candidate: [number, number]) {
  const statistics = {
    counts: new Float32Array(4),
    sums: new Float32Array(8),
    candidates: Float32Array.from({ length: 8 }, (_, i) => candidate[i % 2]!),
  };
  statistics.counts[code] = count;
  statistics.sums.set([count * at[0], count * at[1]], 2 * code);
  return statistics;
}

test('a latent takes its nearest code and that code’s embedding', () => {
  const { codes, embeddings } = corners().quantise(tf.tensor2d([0.9, 0.2, 0.1, 0.8, 0.6, 0.7], [3, 2]));
  expect([...codes.dataSync()]).toEqual([2, 1, 3]);
  expect([...embeddings.dataSync()]).toEqual([1, 0, 0, 1, 1, 1]);
});

test('a code moves to the average of the latents that keep choosing it', () => {
  const codebook = corners({ ...OPTIONS, restartBelow: 0 });
  for (let step = 0; step < 100; step++) codebook.apply(chosen(2, 50, [3, -2], [9, 9]));
  expect(embedding(codebook)[4]).toBeCloseTo(3, 2);
  expect(embedding(codebook)[5]).toBeCloseTo(-2, 2);
  expect(counts(codebook)[2]).toBeCloseTo(50, 1);
});

test('quantise sees what apply changed', () => {
  const codebook = corners({ ...OPTIONS, decay: 0 });
  const latent = tf.tensor2d([0.9, 0.9], [1, 2]);
  expect([...codebook.quantise(latent).codes.dataSync()]).toEqual([3]);
  codebook.apply(chosen(1, 5, [0.9, 0.9], [-7, -7]));
  expect([...codebook.quantise(latent).codes.dataSync()]).toEqual([1]);
});

describe('dead codes', () => {
  test('restart from the candidate, with count and sum', () => {
    const codebook = corners();
    codebook.apply(chosen(0, 100, [0, 0], [5, 6]));
    expect(embedding(codebook).slice(2)).toEqual([5, 6, 5, 6, 5, 6]);
    expect(counts(codebook).slice(1)).toEqual([2, 2, 2]);
    expect([...codebook.state().get('codebook.z_avg')!.data].slice(2)).toEqual([10, 12, 10, 12, 10, 12]);
  });

  test('stay where they restarted once latents choose them, and do not restart for ever', () => {
    const codebook = corners();
    codebook.apply(chosen(0, 100, [0, 0], [5, 6]));
    const statistics = chosen(0, 100, [0, 0], [-8, -8]);
    statistics.counts.fill(10, 1);
    statistics.sums.set([50, 60, 50, 60, 50, 60], 2);
    codebook.apply(statistics);
    for (const [i, value] of embedding(codebook).slice(2).entries())
      expect(value).toBeCloseTo(5 + (i % 2), 4);
  });

  test('are never restarted below a threshold of 0', () => {
    const codebook = corners({ ...OPTIONS, restartBelow: 0 });
    for (let step = 0; step < 50; step++) codebook.apply(chosen(0, 100, [0, 0], [5, 6]));
    for (const [i, value] of embedding(codebook).entries())
      expect(value).toBeCloseTo([0, 0, 0, 1, 1, 0, 1, 1][i]!, 3);
  });

  test('are those below a share of the mean use of a code, for any size of step', () => {
    const upstream = {
      codes: 16384,
      codeDim: 1,
      decay: 0.99,
      restartBelow: presetNamed('upstream').model.restartBelow,
    };
    expect(new Codebook(upstream).threshold(2 * 32 ** 3)).toBe(1); // the original's, at its own patch and batch
    expect(new Codebook(upstream).threshold(16 ** 3)).toBe(1 / 16);
    // Each code but the first gets 3 of 100 latents, or 30 of 1,000, where 25 or 250 are its even share.
    for (const latents of [100, 1000])
      for (const [restartBelow, restarted] of [
        [0.15, 3],
        [0.1, 0],
      ] as const) {
        const codebook = corners({ ...OPTIONS, decay: 0, restartBelow });
        const statistics = chosen(0, 0.91 * latents, [0, 0], [5, 6]);
        statistics.counts.fill(0.03 * latents, 1);
        expect(codebook.apply(statistics), `${restartBelow} of ${latents}`).toBe(restarted);
      }
  });

  test('survive half a half-life of the averages after a restart, even if nothing chooses them', () => {
    for (const latents of [4, 100, 10_000]) {
      const codebook = corners();
      const restarted = Array.from({ length: 8 }, () => codebook.apply(chosen(0, latents, [0, 0], [5, 6])));
      const first = restarted.findIndex((count) => count > 0);
      if (first < 0) continue; // few latents: one is count enough for longer than this
      expect(restarted.slice(first, first + 7), `${latents}`).toEqual(
        [3, 0, 0, 0, 0, 0, 0].slice(0, 8 - first),
      );
    }
  });

  test('restart in few steps where a step has few latents', () => {
    // A quarter of a latent a code and step: with a threshold of 1 most codes were dead in each step.
    const [codes, latents, steps] = [400, 100, 300];
    const codebook = new Codebook({ codes, codeDim: 1, decay: 0.99, restartBelow: 0.25 });
    const random = new Random(1);
    codebook.initialise(Float32Array.from({ length: codes }, () => random.next()));
    let restarted = 0;
    for (let step = 0; step < steps; step++) {
      const z = tf.tensor2d(
        Float32Array.from({ length: latents }, () => random.next()),
        [latents, 1],
      );
      const { codes: numbers, embeddings } = codebook.quantise(z);
      const count = codebook.apply(codebook.statistics(z, numbers, { ...none, total: latents, step }));
      if (step >= steps - 100) restarted += count;
      tf.dispose([z, numbers, embeddings]);
    }
    expect(restarted / (100 * codes)).toBeLessThan(0.02);
  });
});

test('statistics are plain sums over the latents of each code', () => {
  const codebook = corners();
  const latents = tf.tensor2d([1, 2, 3, 4, 5, 6], [3, 2]);
  const { counts, sums } = codebook.statistics(latents, tf.tensor1d([3, 0, 3], 'int32'), {
    ...none,
    total: 3,
    step: 0,
  });
  expect([...counts]).toEqual([1, 0, 0, 2]);
  expect([...sums]).toEqual([3, 4, 0, 0, 0, 0, 6, 8]);
});

describe('initialisation', () => {
  const sequence = Array.from({ length: 40 }, (_, i) => i + 1);

  test('takes distinct rows of the global batch, whatever the number of ranks', () => {
    const codebook = new Codebook(OPTIONS);
    const rows = tf.tensor2d(sequence, [20, 2]);
    const whole = codebook.initialisation(rows, { offset: 0, total: 20, seed: 1 });
    const parts = [0, 1, 2, 3].map((rank) =>
      codebook.initialisation(tf.slice(rows, [rank * 5, 0], [5, 2]), {
        offset: rank * 5,
        total: 20,
        seed: 1,
      }),
    );
    const summed = whole.map((_, i) => parts.reduce((sum, part) => sum + part[i]!, 0));
    expect([...summed]).toEqual([...whole]);
    const firsts = [0, 2, 4, 6].map((i) => whole[i]!);
    expect(new Set(firsts).size).toBe(4);
    expect(firsts.every((value) => value % 2 === 1 && value <= 39)).toBe(true);
    expect([1, 3, 5, 7].map((i) => whole[i])).toEqual(firsts.map((value) => value + 1));
    expect([...codebook.initialisation(rows, { offset: 0, total: 20, seed: 2 })]).not.toEqual([...whole]);
  });

  test('of more codes than latents repeats them with a little noise', () => {
    const drawn = drawRows(tf.tensor2d([[10], [20]]), 6, { offset: 0, total: 2, seed: 0 }, new Random(0));
    expect(new Set(drawn).size).toBe(6);
    expect([...drawn].map((value) => Math.round(value / 10)).sort()).toEqual([1, 1, 1, 2, 2, 2]);
    for (const value of drawn) expect(Math.abs(value - 10 * Math.round(value / 10))).toBeLessThan(0.1);
  });

  test('draws every row equally often', () => {
    const hits = new Float64Array(10);
    const all = tf.tensor2d(
      Float32Array.from({ length: 10 }, (_, i) => i),
      [10, 1],
    );
    for (let trial = 0; trial < 2000; trial++)
      for (const row of drawRows(all, 3, { offset: 0, total: 10, seed: 0 }, new Random(trial))) hits[row]!++;
    for (const count of hits) expect(Math.abs(count - 600)).toBeLessThan(100); // 5 standard deviations
  });
});

test('perplexity is the number of codes in even use, usage the fraction used at all', () => {
  expect(perplexity([5, 5, 5, 5])).toBeCloseTo(4, 10);
  expect(perplexity([0, 7, 0, 0])).toBeCloseTo(1, 10);
  expect(perplexity([3, 1, 0, 0])).toBeCloseTo(Math.exp(0.75 * Math.log(4 / 3) + 0.25 * Math.log(4)), 10);
  expect(usage([5, 0, 1, 0])).toBe(0.5);
});
