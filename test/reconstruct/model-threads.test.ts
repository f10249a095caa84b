import { describe, expect, it } from 'vitest';
import { InvalidArgument, NoMemory, OutOfMemory, UnavailableBackend, UnreadableFile } from '../../src/errors';
import { passPatches, type ThreadSetup } from '../../src/reconstruct/model-threads';
import { resolveIntensity } from '../../src/volume/intensity';
import { errorOf, failureOf } from '../../src/volume/store/threads';

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
