import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, it } from 'vitest';
import { useBackend } from '../../src/compute/backend';
import { InvalidArgument, UnavailableBackend } from '../../src/errors';

describe('useBackend', () => {
  afterEach(() => {
    delete process.env.PATCHWISE_BACKEND;
  });

  it('takes wasm by itself and says why', async () => {
    const info = await useBackend();
    expect(info).toMatchObject({ name: 'wasm', device: 'CPU', threads: 1, missing: [] });
    expect(info.reason).toContain('fastest');
  });

  it('obeys PATCHWISE_BACKEND, and a name more', async () => {
    process.env.PATCHWISE_BACKEND = 'cpu';
    expect(await useBackend('auto')).toMatchObject({ name: 'cpu', reason: 'asked for by PATCHWISE_BACKEND' });
    expect(await useBackend('wasm')).toMatchObject({ name: 'wasm', reason: 'asked for by name' });
  });

  it.each(['libtorch', 'tensorflow'])(
    'says that %s is not part of this version, and the cure',
    async (name) => {
      await expect(useBackend(name)).rejects.toThrow(UnavailableBackend);
      await expect(useBackend(name)).rejects.toThrow(/not part of this version.*Use backend "wasm"/);
    },
  );

  it('names the backends that there are', async () => {
    await expect(useBackend('webgl')).rejects.toThrow(InvalidArgument);
    await expect(useBackend('webgl')).rejects.toThrow('allowed: auto, wasm, cpu');
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
