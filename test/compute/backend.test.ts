import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, it } from 'vitest';
import { backendNames, useBackend } from '../../src/compute/backend';
import { InvalidArgument, UnavailableBackend } from '../../src/errors';

describe('useBackend', () => {
  afterEach(() => {
    delete process.env.PATCHWISE_BACKEND;
  });

  it('takes the fastest that is here by itself and says why', async () => {
    const info = await useBackend();
    expect(info).toMatchObject({ name: backendNames[0], missing: [] });
    expect(info.reason).toContain('fastest');
    if (info.name === 'wasm')
      expect(info.reason).toContain('libtorch is not built: `npx patchwise backend build libtorch`');
  });

  it('obeys PATCHWISE_BACKEND, and a name more', async () => {
    process.env.PATCHWISE_BACKEND = 'cpu';
    expect(await useBackend('auto')).toMatchObject({ name: 'cpu', reason: 'asked for by PATCHWISE_BACKEND' });
    expect(await useBackend('wasm')).toMatchObject({ name: 'wasm', reason: 'asked for by name' });
  });

  it('says that tensorflow is not part of this version, and the cure', async () => {
    await expect(useBackend('tensorflow')).rejects.toThrow(UnavailableBackend);
    await expect(useBackend('tensorflow')).rejects.toThrow(/not part of this version.*Use backend "wasm"/);
  });

  it.skipIf(backendNames.includes('libtorch'))('names the command that builds libtorch', async () => {
    await expect(useBackend('libtorch')).rejects.toThrow(UnavailableBackend);
    await expect(useBackend('libtorch')).rejects.toThrow('Run `npx patchwise backend build libtorch`');
    process.env.PATCHWISE_BACKEND = 'libtorch';
    await expect(useBackend()).rejects.toThrow(UnavailableBackend);
  });

  it('names the backends that there are', async () => {
    await expect(useBackend('webgl')).rejects.toThrow(InvalidArgument);
    await expect(useBackend('webgl')).rejects.toThrow('allowed: auto, ');
    process.env.PATCHWISE_BACKEND = 'gpu';
    await expect(useBackend()).rejects.toThrow(/PATCHWISE_BACKEND.*"gpu"/);
  });
});

describe('in worker_threads', () => {
  const program = `
    const { parentPort, workerData } = require('node:worker_threads');
    const tf = require('@tensorflow/tfjs-core');
    const { useBackend } = require(workerData + '/compute/backend.js');
    const { conv3d } = require(workerData + '/compute/ops.js');
    useBackend('wasm').then(() => {
      const y = conv3d(tf.ones([1, 4, 4, 8, 4]), tf.ones([3, 3, 3, 4, 8]));
      parentPort.postMessage([...new Set(y.dataSync())]);
    });`;

  it('each has its own backend, and ends by itself', async () => {
    const dist = join(__dirname, '../../dist/src');
    expect(existsSync(dist), 'npm run build comes first').toBe(true);
    const work = () =>
      new Promise<{ values: unknown; code: number }>((resolve, reject) => {
        const worker = new Worker(program, { eval: true, workerData: dist });
        let values: unknown;
        worker.on('message', (message) => {
          values = message;
        });
        worker.on('error', reject);
        worker.on('exit', (code) => resolve({ values, code }));
      });
    const ended = [await work(), ...(await Promise.all([work(), work()]))];
    expect(ended).toEqual(Array.from({ length: 3 }, () => ({ values: [108], code: 0 })));
  });
});
