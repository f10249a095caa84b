import { describe, expect, it } from 'vitest';
import { InvalidArgument, NoMemory, OutOfMemory, UnavailableBackend, UnreadableFile } from '../../src/errors';
import { presetNamed } from '../../src/model/presets';
import {
  forecastDeviceOf,
  mostWorkers,
  passPatches,
  type ThreadSetup,
  workerBytes,
} from '../../src/reconstruct/model-threads';
import { errorOf, failureOf } from '../../src/volume/base/failure';
import { resolveIntensity } from '../../src/volume/intensity';

describe('a thread that sends patches through a model', () => {
  it('tells of a checkpoint that a run has removed since, with the cure', async () => {
    const setup: ThreadSetup = {
      work: 'reconstruct',
      checkpoint: '/nowhere/checkpoints/step-00000001',
      backend: 'cpu',
      intensity: resolveIntensity('ctpa', { data: new Float32Array(1) }),
      patch: [8, 8, 8],
      mirror: [],
    };
    const patches = [{ index: 0, data: new Float32Array(512) }];
    const error = await passPatches(setup, patches, 1, { workers: 1 })
      .next()
      .catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(UnreadableFile);
    expect((error as Error).message).toMatch(/step-00000001: .*none any more, .*run the same again/);
  });

  it.each([
    new OutOfMemory('wasm', 5 * 2 ** 30, 4 * 2 ** 30),
    new UnavailableBackend('libtorch', 'it is not built', 'Build it.'),
    new UnreadableFile('a', 'b', 'c'),
    new InvalidArgument('a', 'b', 'c', ['d']),
    new NoMemory('a', 5),
  ])('gives %s on with its class and its fields', (error) => {
    const there = errorOf(structuredClone(failureOf(error)));
    expect(there).toBeInstanceOf(error.constructor);
    expect([there.message, { ...there }]).toEqual([error.message, { ...error }]);
  });
});

const GiB = 2 ** 30;
const machine = { cores: 16, free: 64 * GiB };
const wasm = { name: 'wasm', device: 'CPU' } as const;
const libtorch = { name: 'libtorch', device: 'CPU' } as const;
const cuda = { name: 'libtorch', device: 'CUDA:0' } as const;

describe('threads that send patches through a model', () => {
  it('are one on a GPU, two where the backend has threads, else one a core', () => {
    expect([wasm, libtorch, cuda].map((computes) => mostWorkers(computes, GiB, machine))).toEqual([16, 2, 1]);
    expect(mostWorkers(libtorch, GiB, { ...machine, cores: 1 })).toBe(1);
    expect([wasm, libtorch, cuda].map(forecastDeviceOf)).toEqual(['wasm', 'libtorch', 'gpu']);
  });

  it('are as few as half the free memory holds, and at least one', () => {
    expect(mostWorkers(wasm, 5 * GiB, machine)).toBe(6);
    expect(mostWorkers(libtorch, 20 * GiB, machine)).toBe(1);
    expect(mostWorkers(wasm, 1000 * GiB, machine)).toBe(1);
  });

  it('need less for smaller patches, and for bf16', () => {
    const { model, patch } = presetNamed('upstream');
    const whole = workerBytes(model, patch, 'libtorch', 'float32');
    expect(workerBytes(model, [64, 64, 64], 'libtorch', 'float32')).toBeLessThan(whole / 4);
    expect(workerBytes(model, patch, 'libtorch', 'bf16')).toBeLessThan(0.75 * whole);
    // The features of full resolution alone: 32 channels.
    expect(whole).toBeGreaterThan(32 * 4 * 128 ** 3);
  });
});
