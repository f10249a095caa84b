import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';
import { beforeAll, describe, expect, it } from 'vitest';
import { backendNames } from '../../src/compute/use-backend';

const run = promisify(execFile);
const dist = join(__dirname, '../../dist/src');

/** Computes on a backend and ends with tensors alive. */
const compute = (name: string, tell: string) => `
  const tf = require('@tensorflow/tfjs-core');
  const { useBackend } = require(${JSON.stringify(join(dist, 'compute/use-backend.js'))});
  const { conv3d } = require(${JSON.stringify(join(dist, 'compute/ops/ops.js'))});
  useBackend(${JSON.stringify(name)}).then(() => {
    const w = tf.variable(tf.ones([3, 3, 3, 16, 16]));
    const { grads } = tf.variableGrads(() => tf.mean(conv3d(tf.ones([1, 8, 8, 8, 16]), w)));
    const value = Object.values(grads)[0].dataSync()[0];
    ${tell}
  });`;

describe.each(backendNames)('backend %s', (name) => {
  beforeAll(() => {
    expect(existsSync(dist), 'npm run build comes first').toBe(true);
  });

  it('computes in worker threads, each on its own, which end by themselves', {
    timeout: 180_000,
  }, async () => {
    const program = compute(name, "require('node:worker_threads').parentPort.postMessage(value);");
    const work = () =>
      new Promise<{ value: unknown; code: number }>((resolve, reject) => {
        const worker = new Worker(program, { eval: true });
        let value: unknown;
        worker.on('message', (message) => {
          value = message;
        });
        worker.on('error', reject);
        worker.on('exit', (code) => resolve({ value, code }));
      });
    const ended = [await work(), ...(await Promise.all([work(), work()])), await work()];
    for (const { value, code } of ended) {
      expect(value).toBeCloseTo(1 / 16, 5);
      expect(code).toBe(0);
    }
  });

  it('computes in several processes at once, which end by themselves and say nothing', {
    timeout: 180_000,
  }, async () => {
    const program = compute(name, 'console.log(value);');
    const work = () =>
      run(process.execPath, ['-e', program], { cwd: join(__dirname, '../..'), timeout: 120_000 });
    for (const { stdout, stderr } of await Promise.all([work(), work(), work()])) {
      expect(Number(stdout)).toBeCloseTo(1 / 16, 5);
      expect(stderr).toBe('');
    }
  });
});
