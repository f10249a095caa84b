import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { useBackend } from '../../../src/compute/use-backend';
import { WeightAverage } from '../../../src/train/learn/average';
import { DivergenceWatch } from '../../../src/train/learn/divergence';
import { usedModel } from '../../../src/train/record/choose-checkpoint';
import { resolveConfig } from '../../../src/train/settings/config';
import { tiny } from '../tiny';

beforeAll(async () => {
  await useBackend('cpu');
});

function weightsOf(value: number) {
  const weight = tf.variable(tf.tensor1d([value, 2 * value]));
  return { weight, weights: new Map([['w', weight]]) };
}

const set = (weight: tf.Variable, values: number[]) => tf.tidy(() => weight.assign(tf.tensor1d(values)));

describe('the average of weights', () => {
  it('follows them, fast at first and by its decay later', () => {
    const { weight, weights } = weightsOf(0);
    const average = new WeightAverage(weights, 0.9);
    set(weight, [1, 10]);
    average.update(0); // decay (1 + 0) / (10 + 0)
    expect(average.state().get('average.w')!.data[0]).toBeCloseTo(0.9, 6);
    set(weight, [0, 0]);
    average.update(1000);
    for (const [i, wanted] of [0.81, 8.1].entries())
      expect(average.state().get('average.w')!.data[i]! / wanted).toBeCloseTo(1, 6);
  });

  it('stands in for them while something is measured, also where that fails', async () => {
    const { weight, weights } = weightsOf(1);
    const average = new WeightAverage(weights, 0.5);
    set(weight, [5, 6]);
    const tensors = tf.memory().numTensors;
    expect(await average.during(async () => [...weight.dataSync()])).toEqual([1, 2]);
    expect([...weight.dataSync()]).toEqual([5, 6]);
    const failing = average.during(async () => {
      throw new Error('broken');
    });
    await expect(failing).rejects.toThrow('broken');
    expect([...weight.dataSync()]).toEqual([5, 6]);
    expect(tf.memory().numTensors).toBe(tensors);
  });

  it('goes on from its state, and names what is missing', () => {
    const average = new WeightAverage(weightsOf(3).weights, 0.5);
    const other = new WeightAverage(weightsOf(0).weights, 0.5);
    other.load(average.state());
    expect(other.state()).toEqual(average.state());
    expect(() => other.load(new Map())).toThrow('average.w');
  });

  it('is what a checkpoint is used with where its config or the caller says so', () => {
    const state = (use: 'trained' | 'average') =>
      ({ config: { ...resolveConfig({ ...tiny, data: ['x.nii'], average: 0.9 }), use } }) as never;
    const tensor = (value: number) => ({ shape: [1], data: Float32Array.of(value) });
    const model = new Map([
      ['w', tensor(1)],
      ['average.w', tensor(2)],
    ]);
    const value = (...args: Parameters<typeof usedModel>) => usedModel(...args).get('w')!.data[0];
    expect(value({ model, state: state('trained') })).toBe(1);
    expect(value({ model, state: state('average') })).toBe(2);
    expect(value({ model, state: state('average') }, 'trained')).toBe(1);
    expect(() =>
      usedModel({ model: new Map([['w', tensor(1)]]), state: state('trained') }, 'average'),
    ).toThrow(/kept no average/);
  });
});

describe('divergence', () => {
  it('is told when the smoothed loss is many times its lowest, and not of a single spike', () => {
    const watch = new DivergenceWatch(5);
    for (let i = 0; i < 200; i++) expect(watch.see(i === 100 ? 10 : 0.1)).toBeUndefined();
    const said = Array.from({ length: 200 }, () => watch.see(5)).filter(Boolean);
    expect(said.length).toBeGreaterThan(100);
    expect(said[0]).toMatch(/reconstruction loss.*times its lowest/);
  });

  it('goes on from its state', () => {
    const [one, other] = [new DivergenceWatch(2), new DivergenceWatch(2)];
    for (let i = 0; i < 10; i++) one.see(1);
    other.load(JSON.parse(JSON.stringify(one.state)));
    for (let i = 0; i < 200; i++) expect(other.see(i / 20)).toEqual(one.see(i / 20));
  });

  it('of factor 0 lets everything pass', () => {
    const watch = new DivergenceWatch(0);
    for (let i = 0; i < 300; i++) expect(watch.see(2 ** (i / 10))).toBeUndefined();
  });
});
