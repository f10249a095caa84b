import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { setPrecision } from '../../../src/compute/contract/registry';
import { LibtorchTensors } from '../../../src/compute/libtorch/tensors';
import { backendNames, useBackend } from '../../../src/compute/use-backend';
import { fitMemory, memoryRemedies } from '../../../src/model/forecast/fit';
import {
  type ForecastOptions,
  forecastMemory,
  forecastReconstruction,
  processBytes,
} from '../../../src/model/forecast/forecast';
import { PRESETS } from '../../../src/model/presets';
import { VqGan } from '../../../src/model/vqgan';
import { Learner } from '../../../src/train/learn/learner';
import { resolveConfig, type TrainOptions } from '../../../src/train/settings/config';
import { codebookOf, reconstruct } from '../plain';

type Patch = readonly [number, number, number];
interface Case extends Pick<ForecastOptions, 'batch' | 'checkpointing' | 'precision'> {
  readonly preset: 'toy' | 'upstream' | 'guide';
  readonly patch: Patch;
  readonly gan?: TrainOptions['gan'];
  /** Of the preset's channels: the guide's own take long on a processor. */
  readonly hidden?: number;
}

const both = { slice: 1, patch: 1, start: 0 };
const cases: Case[] = [
  { preset: 'toy', patch: [32, 32, 16] },
  { preset: 'toy', patch: [32, 16, 32], batch: 3 },
  { preset: 'toy', patch: [32, 32, 32], gan: both },
  { preset: 'toy', patch: [32, 32, 16], gan: { ...both, slice: 0, norm: 'batch' } },
  { preset: 'upstream', patch: [32, 32, 16] },
  { preset: 'upstream', patch: [32, 32, 32], checkpointing: 'blocks' },
  { preset: 'upstream', patch: [32, 32, 16], gan: { ...both, channels: 16, layers: 2 } },
  { preset: 'guide', patch: [16, 16, 16], hidden: 32, batch: 2 },
  { preset: 'guide', patch: [32, 16, 16], hidden: 32, checkpointing: 'blocks' },
  // The discriminators' weights are most of it.
  { preset: 'toy', patch: [32, 32, 32], gan: { ...both, channels: 32, layers: 3 } },
  { preset: 'upstream', patch: [32, 32, 32], precision: 'bf16' },
];
const label = ({ preset, patch, ...rest }: Case) => `${preset} ${patch.join(' x ')} ${JSON.stringify(rest)}`;

const likeGpu = { preset: 'upstream', patch: [32, 32, 32], batch: 2 } as const;

/** On a processor ATen alone unfolds small convolutions, as it does not on a GPU. */
const likeCuda = !!process.env.PATCHWISE_LIKE_CUDA;

describe.each(['libtorch', 'wasm'] as const)(
  'a step on %s takes what the forecast says, to 15 percent:',
  (name) => {
    const here = backendNames.includes(name) && !likeCuda;
    let meter: Meter;
    beforeAll(async () => {
      if (!here) return console.error(`skipped: backend ${name} is not built`);
      await useBackend(name);
      meter = name === 'libtorch' ? allocatorOfLibtorch() : allocatorOfWasm();
    });
    afterAll(() => meter?.end());

    const runnable = cases.filter(({ precision }) => name === 'libtorch' || precision !== 'bf16');
    test.skipIf(!here).each(runnable.map((c) => [label(c), c] as const))(
      '%s',
      async (_, c) => {
        const { forecast, standing } = forecastOf(c, name);
        const measured = await measure(c, meter);
        // Adam's moments and the sums of gradients are JavaScript's where the backend does not move weights itself.
        const expected = forecast.total - (name === 'wasm' ? standing : 0);
        expect(expected / measured).toBeGreaterThan(0.85);
        expect(expected / measured).toBeLessThan(1.15);
      },
      120_000,
    );

    const passes = runnable.filter(
      ({ batch = 1, gan, checkpointing }) => batch === 1 && !gan && !checkpointing,
    );
    test.skipIf(!here).each(passes.map((c) => [label(c), c] as const))(
      'a patch on its way through the trained model too: %s',
      (_, c) => {
        const config = configOf(c);
        const { model, patch, precision } = config;
        if (name === 'libtorch') setPrecision(precision);
        const vqgan = new VqGan(model, 1);
        codebookOf(vqgan).initialise(new Float32Array(model.codes * model.codeDim).fill(0.1));
        const size = [1, patch[2], patch[1], patch[0], 1] as const;
        const pass = () => tf.tidy(() => reconstruct(vqgan, tf.zeros([...size])).dataSync());
        pass();
        meter.reset();
        pass();
        const ratio = forecastReconstruction(model, patch, { device: name, precision }) / meter.peak();
        vqgan.dispose();
        expect(ratio).toBeGreaterThan(0.85);
        expect(ratio).toBeLessThan(1.15);
      },
    );
  },
);

describe.skipIf(!likeCuda || !backendNames.includes('libtorch'))(
  'a step with the kernels of a GPU takes what the forecast says, to 5 percent:',
  () => {
    let meter: Meter;
    beforeAll(async () => {
      await useBackend('libtorch');
      meter = allocatorOfLibtorch();
    });
    afterAll(() => meter?.end());

    // Of one patch alone ATen unfolds thin convolutions; of bf16 oneDNN copies more than cuDNN.
    const { preset, patch, batch } = likeGpu;
    const both: Case[] = (['none', 'blocks'] as const).map((checkpointing) => ({
      ...{ preset, patch, batch, checkpointing },
    }));
    test.each(both.map((c) => [label(c), c] as const))(
      '%s',
      async (_, c) => {
        const config = configOf(c);
        const { total } = forecastMemory(config.model, config.patch, { ...config, device: 'gpu' });
        const measured = await measure(c, meter);
        expect(total / measured).toBeGreaterThan(0.95);
        expect(total / measured).toBeLessThan(1.05);
      },
      300_000,
    );
  },
);

test('a process takes what ranks were measured at, to 10 percent', () => {
  const MiB = 2 ** 20;
  const off = { slice: 0, patch: 0 };
  // Largest resident memory of a rank of 3 steps, MiB.
  const measured = [
    [2739, 'libtorch', { preset: 'toy', patch: [256, 256, 128], model: { downsample: [4, 4, 4] } }],
    [
      5751,
      'libtorch',
      { preset: 'upstream', patch: [256, 256, 128], precision: 'bf16', checkpointing: 'blocks', gan: off },
    ],
    [661, 'libtorch', { preset: 'upstream', patch: [64, 64, 64], gan: off }],
    [522, 'libtorch', { preset: 'toy', patch: [96, 96, 96], model: { downsample: [4, 4, 4] } }],
    [515, 'libtorch', { preset: 'toy', patch: [96, 96, 96] }],
    [208, 'wasm', { preset: 'toy', patch: [64, 64, 64] }],
  ] as const;
  for (const [peak, device, options] of measured) {
    const { patch } = options;
    const config = resolveConfig({ ...options, batch: 1, data: ['phantom:32x32x32'], stride: patch });
    const memory = forecastMemory(config.model, patch, { ...config, device });
    const ratio = (memory.total + processBytes(memory, device)) / MiB / peak;
    expect(ratio, JSON.stringify(options)).toBeGreaterThan(0.9);
    expect(ratio, JSON.stringify(options)).toBeLessThan(1.1);
  }
});

test.each([
  [101.3, 'none'],
  [96.1, 'blocks'],
] as const)('ATen takes %d MiB, checkpointing %s', (peak, checkpointing) => {
  // Of a step with the kernels that a GPU takes, measured on a processor.
  const { patch, batch } = likeGpu;
  const forecast = (precision: 'float32' | 'bf16') =>
    forecastMemory(PRESETS.upstream.model, patch, { batch, checkpointing, precision, device: 'gpu' });
  const { total, activations } = forecast('float32');
  expect(total / 2 ** 20 / peak).toBeGreaterThan(0.95);
  expect(total / 2 ** 20 / peak).toBeLessThan(1.05);
  expect(forecast('bf16').activations / activations).toBeLessThan(0.55);
  expect(forecast('bf16').total / total).toBeLessThan(0.65);
});

describe('settings that fit', () => {
  const { model, gan, patch, stride } = PRESETS.guide;
  const request = { model, gan, patch, stride, batch: 1, device: 'gpu' as const };
  const GiB = 2 ** 30;

  test('are the guide’s own on a GPU of 141 GiB, and take no more than there is', () => {
    const fits = fitMemory({ ...request, batch: 4 }, 141 * GiB);
    expect(fits[0]).toMatchObject({ patch, stride });
    expect(fits.some(({ batch }) => batch === 4)).toBe(true);
    for (const fit of fits) {
      const taken = (batch: number) => forecastMemory(model, fit.patch, { ...request, ...fit, batch }).total;
      expect(taken(fit.batch)).toBe(fit.memory.total);
      expect(taken(fit.mostBatch)).toBeLessThanOrEqual(141 * GiB);
      expect(taken(fit.mostBatch + 1)).toBeGreaterThan(141 * GiB);
    }
  });

  test('on less memory are smaller patches of the same overlap that the model takes', () => {
    const fits = fitMemory(request, 12 * GiB);
    expect(fits.length).toBeGreaterThan(1);
    for (const { patch: smaller, stride: steps, memory } of fits) {
      expect(memory.total).toBeLessThanOrEqual(12 * GiB);
      smaller.forEach((size, axis) => {
        expect(size % 4).toBe(0);
        expect(steps[axis]! / size).toBeCloseTo(0.75, 1);
      });
    }
  });

  test('on too little are none', () => {
    expect(fitMemory(request, 2 ** 20)).toEqual([]);
  });

  test('remedies take less, and name the three of the guide', () => {
    const asked = { ...request, batch: 4 };
    const needs = forecastMemory(model, patch, asked).total;
    const remedies = memoryRemedies(asked);
    expect(remedies.map(({ setting }) => setting)).toEqual([
      'patch=192,192,96 stride=144,144,72',
      'batch=2 accumulate=2',
      'checkpointing=blocks',
      'precision=bf16',
    ]);
    for (const { memory } of remedies) expect(memory.total).toBeLessThan(needs);
  });
});

/** Bytes that are live in a backend's allocator at the most. */
interface Meter {
  reset(): void;
  peak(): number;
  end(): void;
}

function allocatorOfLibtorch(): Meter {
  const backend = tf.backend() as LibtorchTensors;
  expect(backend).toBeInstanceOf(LibtorchTensors);
  return {
    reset: () => backend.addon.resetPeak(),
    peak: () => backend.memory().peak,
    end: () => setPrecision('float32'),
  };
}

/** Counts what tfjs and our kernels ask the module's allocator for, scratch memory included. */
function allocatorOfWasm(): Meter {
  const { wasm } = tf.backend() as unknown as {
    wasm: { _malloc(bytes: number): number; _free(address: number): void };
  };
  // Emscripten's first call of each puts the real one into its place.
  wasm._free(wasm._malloc(4));
  const { _malloc: take, _free: free } = wasm;
  const sizes = new Map<number, number>();
  let [live, peak] = [0, 0];
  wasm._malloc = (bytes) => {
    const address = take(bytes);
    sizes.set(address, bytes);
    live += bytes;
    peak = Math.max(peak, live);
    return address;
  };
  wasm._free = (address) => {
    live -= sizes.get(address) ?? 0;
    sizes.delete(address);
    free(address);
  };
  return {
    reset: () => {
      peak = live;
    },
    peak: () => peak,
    end: () => Object.assign(wasm, { _malloc: take, _free: free }),
  };
}

function configOf({ preset, patch, hidden, batch = 1, gan, ...rest }: Case) {
  return resolveConfig({
    ...{ preset, patch, stride: patch, batch, data: ['phantom:32x32x32'], ...rest },
    gan: { slice: 0, patch: 0, ...gan },
    ...(hidden && { model: { hidden } }),
  });
}

function forecastOf(c: Case, device: 'libtorch' | 'wasm') {
  const config = configOf(c);
  const forecast = forecastMemory(config.model, config.patch, { ...config, device });
  return { forecast, standing: forecast.optimiser + forecast.gradients + 0.75 * forecast.discriminators };
}

/** The most a step takes, as a rank trains: passes, then the update. The second one, when all has been there once. */
async function measure(c: Case, meter: Meter): Promise<number> {
  const config = configOf(c);
  const { batch, patch, model } = config;
  if (tf.getBackend() === 'libtorch') setPrecision(config.precision);
  const batchOf = (seed: number) =>
    tf.randomUniform([batch, patch[2], patch[1], patch[0], 1], -1, 1, 'float32', seed) as tf.Tensor5D;
  const learner = new Learner(config, 10, { gather: async (values) => [values] });
  const { quantiser, weights } = learner.model;
  const latents = async () =>
    tf.tidy(() => tf.reshape(learner.model.encode(batchOf(1)), [-1, model.codeDim])) as tf.Tensor2D;
  const total = patch.reduce((count, size, axis) => (count * size) / model.downsample[axis]!, batch);
  const rows = { offset: 0, total, seed: 1 };
  await quantiser.prepare({ latents, rows, weights, onePass: true, sum: async () => {} });
  try {
    for (let step = 0; step < 2; step++) {
      meter.reset();
      const sum = learner.beginStep(step);
      const x = batchOf(step);
      await learner.addPass(sum, x, { patches: [...Array(batch).keys()], offset: 0, total: batch }, step);
      x.dispose();
      learner.update(sum, step);
    }
    return meter.peak();
  } finally {
    learner.dispose();
  }
}
