import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { useBackend } from '../../../src/compute/use-backend';
import { compareVolumes } from '../../../src/evaluate/compare';
import { ssim } from '../../../src/fidelity/ssim';
import { alone } from '../../../src/model/peers';
import { patchStart } from '../../../src/patch/grid';
import type { Collective } from '../../../src/train/collective/collective';
import { Star } from '../../../src/train/collective/star';
import { loadData } from '../../../src/train/data/loader';
import { PatchSet } from '../../../src/train/data/patch-set';
import { type Cursor, Sampler } from '../../../src/train/data/sampler';
import { planSplit } from '../../../src/train/data/split';
import { Learner } from '../../../src/train/learn/learner';
import { type Training, trainStep } from '../../../src/train/learn/step';
import { sample, validate } from '../../../src/train/learn/validate';
import { resolveConfig } from '../../../src/train/settings/config';
import { clip, fromModel, resolveIntensity } from '../../../src/volume/intensity';
import { phantom } from '../../../src/volume/phantom/phantom';
import { slabOf } from '../../../src/volume/view';
import { reconstruct } from '../../model/plain';
import { tiny } from '../tiny';

beforeAll(async () => {
  await useBackend('cpu');
});
const goOn = { stop: false, save: false };
const learners: Learner[] = [];
afterEach(() => {
  for (const learner of learners.splice(0)) learner.dispose();
});

async function prepare(options: object = {}) {
  const config = resolveConfig({ ...tiny, data: ['phantom:16x16x32'], ...options });
  const data = await loadData(config);
  const learner = new Learner(config, config.steps!, alone);
  learners.push(learner);
  const collective = new Star(0, 1, 60);
  const training: Training = { learner, collective, config, patches: data.train };
  const sampler = new Sampler({ ...config, patches: data.train.count });
  return { training, data, sampler };
}

describe('training step', () => {
  it('learns, and leaves no tensor behind', async () => {
    const { training, data, sampler } = await prepare({ batch: 2 });
    let cursor: Cursor = { epoch: 0, position: 0 };
    const losses: number[] = [];
    let tensors = 0;
    for (let step = 0; step < 20; step++) {
      const share = sampler.share(cursor, 0);
      losses.push((await trainStep(training, share, step, goOn)).measured.loss);
      cursor = share.next;
      if (step === 1) {
        await validate({ ...training, model: training.learner.model }, data.validation);
        tensors = tf.memory().numTensors;
      }
    }
    await validate({ ...training, model: training.learner.model }, data.validation);
    expect(tf.memory().numTensors).toBe(tensors);
    const mean = (part: readonly number[]) => part.reduce((sum, loss) => sum + loss, 0) / part.length;
    expect(mean(losses.slice(-5))).toBeLessThan(0.7 * mean(losses.slice(0, 5)));
  });

  it('tells all ranks that one wants to stop', async () => {
    const { training, sampler } = await prepare();
    const share = sampler.share({ epoch: 0, position: 0 }, 0);
    const { stop, measured } = await trainStep(training, share, 0, goOn);
    expect([stop, measured.restartedCodes]).toEqual([false, expect.any(Number)]);
    expect((await trainStep(training, share, 1, { stop: true, save: false })).stop).toBe(true);
  });
});

describe('validation', () => {
  it('gives lookup-free codes the same loss, in however many passes the step before came', async () => {
    const model = { hidden: 4, groups: 2, quantiser: 'lfq', codes: 16, entropy: 1 };
    const losses: number[] = [];
    for (const passes of [{ batch: 4 }, { batch: 1, accumulate: 4 }]) {
      const { training, data, sampler } = await prepare({ ...passes, model });
      const { measured } = await trainStep(training, sampler.share({ epoch: 0, position: 0 }, 0), 0, goOn);
      expect(measured.restartedCodes).toBeUndefined(); // its codes cannot die
      losses.push((await validate({ ...training, model: training.learner.model }, data.validation)).loss);
    }
    expect(losses[1]).toBeCloseTo(losses[0]!, 4);
  });

  it('is the mean over voxels of what the model makes of them', async () => {
    const { training, data, sampler } = await prepare();
    await trainStep(training, sampler.share({ epoch: 0, position: 0 }, 0), 0, goOn);
    const measured = await validate({ ...training, model: training.learner.model }, data.validation);
    let [squared, absolute, voxels] = [0, 0, 0];
    for (let i = 0; i < data.validation.count; i++) {
      const patch = await data.validation.read(i);
      const decoded = tf.tidy(() =>
        reconstruct(training.learner.model, tf.tensor5d(patch, [1, 8, 8, 8, 1])).dataSync(),
      );
      // The grid of 16 x 16 x 8 voxels in patches of 8 x 8 x 8 has no overlap.
      for (const [v, value] of patch.entries()) {
        squared += (decoded[v]! - value) ** 2;
        absolute += Math.abs(decoded[v]! - value);
        voxels++;
      }
    }
    expect(voxels).toBe(16 * 16 * 8);
    expect(measured.patches).toBe(4);
    expect(measured.mae).toBeCloseTo(absolute / voxels, 5);
    expect(measured.psnr).toBeCloseTo(10 * Math.log10(4 / (squared / voxels)), 4);
    expect(measured.usage).toBeGreaterThan(0);
    expect(measured.perplexity).toBeLessThanOrEqual(16);
  });

  it.each([1, 2])('shows the patch in which there is most to see, with %d rank(s)', async (ranks) => {
    const { training, data, sampler } = await prepare();
    await trainStep(training, sampler.share({ epoch: 0, position: 0 }, 0), 0, goOn);
    // Air but for two: in number 1 two values, in number 2 many.
    const patches = [0, 1, 2, 3].map((number) =>
      Float32Array.from({ length: 512 }, (_, voxel) =>
        number === 2 ? ((voxel * 37) % 200) / 100 - 1 : number === 1 ? (voxel % 2) - 1 : -1,
      ),
    );
    const set: PatchSet = Object.create(data.validation);
    set.readTruth = async (index) => ({ patch: patches[index]!, truth: patches[index]! });
    set.prefetch = () => {};
    const [shown, gathered]: Float32Array[][] = [[], []];
    const validateOn = (rank: number) => {
      const collective: Collective = Object.assign(new Star(0, 1, 60), {
        rank,
        worldSize: ranks,
        allReduce: async () => {},
        allGather: async (own: Float32Array) => {
          gathered!.push(own);
          while (gathered!.length < ranks) await new Promise((resolve) => setTimeout(resolve, 5));
          return [...gathered!];
        },
      });
      return validate({ ...training, collective, model: training.learner.model }, set, (patch) =>
        shown!.push(patch),
      );
    };
    await Promise.all(Array.from({ length: ranks }, (_, rank) => validateOn(rank)));
    expect(shown).toEqual([patches[2]]);
  });

  it('has the SSIM of the parts of patches that count, weighted by their windows', async () => {
    const size = { patch: [12, 12, 12], stride: [8, 8, 8], data: ['phantom:24x20x64'] };
    const { training, data, sampler } = await prepare(size);
    await trainStep(training, sampler.share({ epoch: 0, position: 0 }, 0), 0, goOn);
    const measured = await validate({ ...training, model: training.learner.model }, data.validation);
    let [sum, windows] = [0, 0];
    for (let i = 0; i < data.validation.count; i++) {
      const { from, to } = data.validation.own(i);
      const shape = [to[0] - from[0], to[1] - from[1], to[2] - from[2]] as const;
      if (shape.some((n) => n < 11)) continue;
      const patch = await data.validation.read(i);
      const x = tf.tensor5d(patch, [1, 12, 12, 12, 1]);
      const decoded = tf.tidy(() => reconstruct(training.learner.model, x).dataSync<'float32'>());
      const part = (values: Float32Array) => {
        const voxels: number[] = [];
        for (let z = from[2]; z < to[2]; z++)
          for (let y = from[1]; y < to[1]; y++)
            for (let x = from[0]; x < to[0]; x++) voxels.push(values[(z * 12 + y) * 12 + x]!);
        return Float32Array.from(voxels);
      };
      const count = shape.reduce((product, n) => product * (n - 10), 1);
      const [a, b] = [part(patch), clip(part(decoded), { low: -1, high: 1 })];
      sum += count * ssim(a, b, { shape, dataRange: 2, low: -1 });
      windows += count;
    }
    expect(windows).toBeGreaterThan(0);
    expect(measured.ssim).toBeCloseTo(sum / windows, 6);
  });

  it('leaves out voxels that are NaN in the volume, as a comparison does that ignores them', async () => {
    const size = { patch: [12, 12, 12], stride: [12, 12, 12], data: ['phantom:24x24x24'] } as const;
    const { training, sampler, data: whole } = await prepare({ ...size });
    await trainStep(training, sampler.share({ epoch: 0, position: 0 }, 0), 0, goOn);
    const volume = phantom({ shape: [24, 24, 24] });
    const intensity = resolveIntensity('ctpa', volume);
    for (const place of [13_000, 13_001, 10_000]) volume.data[place] = Number.NaN;
    const { validation } = planSplit([volume.shape], training.config);
    const set = new PatchSet(validation, [volume], [intensity]);
    const { model } = training.learner;
    const measured = await validate({ ...training, model }, set);
    const held = slabOf(volume, validation[0]!.from, validation[0]!.to);
    expect(held.data.filter(Number.isNaN)).toHaveLength(3);
    const made = new Float32Array(held.data.length);
    for (let i = 0; i < set.count; i++) {
      const { grid } = validation[0]!;
      const patch = await set.read(i);
      const decoded = tf.tidy(() => reconstruct(model, tf.tensor5d(patch, [1, 12, 12, 12, 1])).dataSync());
      const [x0, y0, z0] = patchStart(grid, i);
      for (let v = 0; v < patch.length; v++) {
        const [x, y, z] = [x0 + (v % 12), y0 + (Math.floor(v / 12) % 12), z0 + Math.floor(v / 144)];
        made[(z * 24 + y) * 24 + x] = decoded[v]!;
      }
    }
    const [row] = compareVolumes(
      held,
      { made: held.with(fromModel(made, intensity)) },
      { intensity: [intensity.low, intensity.high], ignoreNaN: true },
    ).metrics;
    expect(measured.psnr).toBeCloseTo(row!.psnr, 3);
    expect((measured.mae * (intensity.high - intensity.low)) / 2).toBeCloseTo(row!.mae, 2);
    expect(Number.isFinite(measured.ssim) && Number.isFinite(measured.loss)).toBe(true);
    // The same place with a value is measured: the figures are others.
    expect((await validate({ ...training, model }, whole.validation)).psnr).not.toBe(measured.psnr);
  });

  it('has no SSIM where no part of a patch has room for a window', async () => {
    const { training, data, sampler } = await prepare();
    await trainStep(training, sampler.share({ epoch: 0, position: 0 }, 0), 0, goOn);
    const measured = await validate({ ...training, model: training.learner.model }, data.validation);
    expect(measured).not.toHaveProperty('ssim');
  });

  it('draws patches from all over where there are more than it may measure, the same every time', () => {
    expect(sample(3, 10, 1)).toEqual([0, 1, 2]);
    expect(sample(0, 4, 1)).toEqual([]);
    const drawn = sample(128, 16, 1);
    expect(sample(128, 16, 1)).toEqual(drawn);
    expect(new Set(drawn).size).toBe(16);
    // A grid of 8 x 8 x 2: equal steps of 8 would only ever measure its first column.
    expect(new Set(drawn.map((patch) => patch % 8)).size).toBeGreaterThan(4);
  });
});
