import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { record } from '../../../src/compute/ops/tape';
import { backendNames, useBackend } from '../../../src/compute/use-backend';
import type { ModelConfig } from '../../../src/model/config';
import type { Quantiser } from '../../../src/model/quantisers/quantiser';
import { createQuantiser, quantiserWeights } from '../../../src/model/quantisers/registry';
import { createWeights, type Weights } from '../../../src/model/weights';
import { relativeError } from '../reference';

interface Packed {
  readonly [name: string]: { readonly shape: [number, number]; readonly data: number[] };
}

interface Case {
  readonly name: string;
  readonly config: Omit<ModelConfig, keyof typeof model> & { readonly cosine?: boolean };
  readonly rate: number;
  readonly losses: number[];
  readonly start: Packed;
  readonly z: Packed;
  readonly dy: Packed;
  readonly first: Packed;
  readonly end: Packed;
}

/** What the quantisers do not depend on. */
const model = {
  hidden: 2,
  downsample: [2, 2, 2],
  groups: 1,
  encoderBlocks: 0,
  decoderBlocks: 0,
  restartBelow: 0,
  reconstruction: 1,
} as const;

/** What PyTorch computed in float64; made by fixtures/quantisers/generate.py. */
const cases = JSON.parse(
  readFileSync(join(__dirname, '../../fixtures/quantisers/quantisers.json'), 'utf8'),
) as Case[];

/** The case's quantiser with the case's start, and its weights. */
function start({ config, start }: Case): { quantiser: Quantiser; weights: Weights } {
  const full = { ...model, ...config };
  const quantiser = createQuantiser(full, 0);
  const weights = createWeights(quantiserWeights(full), 0);
  const state = quantiser.state();
  for (const name of state.keys())
    if (name.endsWith('initialised')) state.set(name, { shape: [1], data: Float32Array.of(1) });
    else if (name.endsWith('.N'))
      state.set(name, { shape: [], data: new Float32Array(config.codes).fill(1) });
  const unit = (rows: number[], width: number) =>
    rows.map((value, i) => {
      const row = rows.slice(i - (i % width), i - (i % width) + width);
      return value / Math.hypot(...row);
    });
  for (const [name, { shape, data }] of Object.entries(start)) {
    const values = Float32Array.from(config.cosine ? unit(data, shape[1]) : data);
    if (weights.has(name)) weights.get(name)!.assign(tf.tensor(values, shape));
    else state.set(name, { shape, data: values });
    if (name.endsWith('embeddings')) state.set(name.replace('embeddings', 'z_avg'), { shape, data: values });
  }
  quantiser.load(state);
  return { quantiser, weights };
}

function step({ quantiser, weights }: { quantiser: Quantiser; weights: Weights }, of: Case, at: number) {
  const tensor = ({ shape, data }: Packed[string]) => tf.tensor2d(Float32Array.from(data), shape);
  const z = tf.variable(tensor(of.z[at]!));
  let codes: tf.Tensor1D | undefined;
  const { outputs, backward } = record(() => {
    const quantised = quantiser.forward(tf.clone(z) as tf.Tensor2D, weights);
    codes = tf.keep(quantised.codes);
    return [quantised.embeddings, quantised.loss];
  }, [z, ...weights.values()]);
  const [dz, ...gradients] = backward([tensor(of.dy[at]!), tf.scalar(1)]);
  const rows = { offset: 0, total: z.shape[0]!, seed: 0, step: at };
  const statistics = quantiser.statistics(z as tf.Tensor as tf.Tensor2D, codes!, rows);
  return {
    codes: codes!,
    out: outputs[0]!,
    loss: outputs[1]!.dataSync()[0]!,
    dz: dz!,
    gradients,
    statistics,
  };
}

describe.each(backendNames)('against PyTorch, backend %s', (backend) => {
  beforeAll(() => useBackend(backend));
  afterAll(() => useBackend('cpu'));

  test.each(cases)('$name: codes, output and gradients', (given) => {
    const made = start(given);
    const { codes, out, dz, gradients } = step(made, given, 0);
    expect([...codes.dataSync()]).toEqual(given.first.codes!.data);
    expect(relativeError(out.dataSync(), given.first.out!.data)).toBeLessThan(1e-5);
    expect(relativeError(dz.dataSync(), given.first.dz!.data)).toBeLessThan(1e-4);
    [...made.weights.keys()].forEach((name, i) => {
      const expected = given.first[`gradient ${name}`]!.data;
      expect(relativeError(gradients[i]!.dataSync(), expected), name).toBeLessThan(1e-4);
    });
    expect(given.config.quantiser === 'simvq').toBe(gradients.length > 0);
  });

  test.each(cases)('$name: losses and state over 5 steps', (given) => {
    const made = start(given);
    const losses = given.losses.map((_, at) => {
      const { loss, gradients, statistics } = step(made, given, at);
      made.quantiser.apply(statistics);
      [...made.weights.values()].forEach((weight, i) => {
        weight.assign(tf.sub(weight, tf.mul(gradients[i]!, given.rate)));
      });
      return loss;
    });
    expect(relativeError(losses, given.losses)).toBeLessThan(1e-4);
    for (const [name, { data }] of Object.entries(given.end)) {
      const found = made.weights.get(name)?.dataSync() ?? made.quantiser.state().get(name)!.data;
      expect(relativeError(found, data), name).toBeLessThan(1e-4);
    }
  });

  test.each(cases)('$name: inference chooses as training does, and its codes give its output', (given) => {
    const { quantiser, weights } = start(given);
    const z = tf.tensor2d(Float32Array.from(given.z[1]!.data), given.z[1]!.shape);
    const [chosen, trained] = [quantiser.quantise(z, weights), quantiser.forward(z, weights)];
    const codes = chosen.codes.dataSync<'int32'>();
    expect([...codes]).toEqual([...trained.codes.dataSync()]);
    expect(Math.max(...codes)).toBeLessThan(quantiser.size);
    expect(chosen.embeddings.dataSync()).toEqual(trained.embeddings.dataSync());
    const embedded = quantiser.embed(codes, weights).dataSync();
    expect(relativeError(embedded, chosen.embeddings.dataSync())).toBeLessThan(1e-6);
  });
});
