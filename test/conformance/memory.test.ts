/** Lack of memory is an error of ours that can be caught; what had been allocated is given back, and work goes on. */
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import type { LibtorchTensors } from '../../src/compute/libtorch/tensors';
import { backendNames, useBackend } from '../../src/compute/use-backend';
import { isPatchwiseError, type OutOfMemory } from '../../src/errors';
import { presetNamed } from '../../src/model/presets';
import { VqGan } from '../../src/model/vqgan';
import { codebookOf, lossAndGradients } from '../model/plain';
import { tensor } from './tensors';

/** What is used of tfjs's wasm backend. */
interface Wasm {
  readonly wasm: { _malloc(bytes: number): number; _free(address: number): void };
}

/** Runs `work` where only about so many bytes are left, on the backends that know a limit. */
const WITH_LITTLE_LEFT: Readonly<
  Record<string, (bytes: number, work: () => Promise<void>) => Promise<void>>
> = {
  async libtorch(bytes, work) {
    const { addon } = tf.backend() as LibtorchTensors;
    addon.limitMemory(addon.memory().live + bytes);
    try {
      await work();
    } finally {
      addon.limitMemory(2 ** 50);
    }
  },
  // Its limit is what 32 bits can address; memory that is never written costs the machine nothing.
  async wasm(bytes, work) {
    const { wasm } = tf.backend() as unknown as Wasm;
    const taken: number[] = [];
    for (let size = 2 ** 31; size >= bytes / 2; ) {
      try {
        taken.push(wasm._malloc(size));
      } catch {
        size /= 2;
      }
    }
    wasm._free(taken.pop()!);
    try {
      await work();
    } finally {
      for (const address of taken) wasm._free(address);
    }
  },
};

describe.each(backendNames.filter((name) => name in WITH_LITTLE_LEFT))('backend %s', (name) => {
  beforeAll(async () => {
    await useBackend(name);
  });

  const caught = (run: () => unknown): OutOfMemory => {
    try {
      tf.tidy(() => void run());
    } catch (error) {
      if (isPatchwiseError(error, 'OutOfMemory')) return error as OutOfMemory;
      throw error;
    }
    throw new Error('there was room');
  };

  it.each<[string, () => unknown]>([
    ['filled with a number', () => tf.fill([1 << 20, 1 << 20], 1)],
    ['tiled', () => tf.tile(tf.ones([1 << 10]), [1 << 30])],
    ['made by broadcasting', () => tf.add(tf.ones([1 << 20, 1]), tf.ones([1, 1 << 20]))],
  ])('says that there is no room for a tensor %s', (_how, make) => {
    const before = tf.memory();
    const error = caught(make);
    expect(error.backend).toBe(name);
    expect(error.message).toMatch(/use a smaller patch or batch/);
    expect(tf.memory().numTensors).toBe(before.numTensors);
    expect([...tf.add(tf.ones([3]), 1).dataSync()]).toEqual([2, 2, 2]);
  });

  it('trains on after a step that did not fit, forward or backward', { timeout: 180_000 }, async () => {
    const config = { ...presetNamed('toy').model, encoderBlocks: 1, decoderBlocks: 1, restartBelow: 0 };
    const model = new VqGan(config, 3);
    const rows = { length: config.codes * config.codeDim };
    codebookOf(model).initialise(Float32Array.from(rows, (_, i) => ((i * 37) % 101) / 50 - 1));
    const [small, large] = [
      tensor<tf.Tensor5D>(1, [1, 16, 16, 16, 1]),
      tensor<tf.Tensor5D>(2, [2, 64, 64, 64, 1]),
    ];
    const step = async (x: tf.Tensor5D) => {
      const { losses, gradients, latents, codes } = await lossAndGradients(model, x);
      const sums = Object.values(gradients).map((g) => g.dataSync<'float32'>().reduce((a, b) => a + b, 0));
      tf.dispose([gradients, latents, codes]);
      return [losses.loss, ...sums];
    };
    const expected = await step(small);
    const before = tf.memory().numTensors;
    const held = tf.backend().numDataIds();
    // In the first convolution, later in the forward pass, in the backward pass.
    let failures = 0;
    for (let megabytes = 1; megabytes <= 128; megabytes *= 2) {
      await WITH_LITTLE_LEFT[name]!(megabytes << 20, async () => {
        try {
          await step(large);
        } catch (error) {
          expect(isPatchwiseError(error, 'OutOfMemory'), String(error)).toBe(true);
          failures++;
        }
      });
      expect(tf.memory().numTensors).toBe(before);
      expect(tf.backend().numDataIds()).toBe(held);
    }
    expect(failures).toBeGreaterThanOrEqual(3);
    expect(await step(small)).toEqual(expected);
    expect((await step(large)).every(Number.isFinite)).toBe(true);
    model.dispose();
    tf.dispose([small, large]);
  });
});
