import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { planConvolution } from '../../src/compute/contract/geometry';
import { referenceKernels } from '../../src/compute/contract/reference';
import { buildFolder } from '../../src/compute/machine/toolchain';
import { conv3d, nearestCode } from '../../src/compute/ops/ops';
import { buildTensorflow } from '../../src/compute/tensorflow/build';
import { loaderPath } from '../../src/compute/tensorflow/built';
import { findTensorflow } from '../../src/compute/tensorflow/locate';
import { backendNames, useBackend } from '../../src/compute/use-backend';
import { InvalidArgument, UnavailableBackend } from '../../src/errors';
import { tensor, worstError } from '../conformance/tensors';

const built = backendNames.includes('tensorflow');
if (!built) console.log('skipped: backend tensorflow is not built (npx patchwise backend build tensorflow)');

describe('building the tensorflow backend', () => {
  const folder = mkdtempSync(join(tmpdir(), 'patchwise-tensorflow-'));
  const before = { ...process.env };
  let server: Server | undefined;
  afterEach(() => {
    process.env = { ...before };
    server?.close();
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it('refuses a folder without TensorFlow, by name', async () => {
    await expect(findTensorflow(folder)).rejects.toThrow(InvalidArgument);
    await expect(findTensorflow(folder)).rejects.toThrow(/include\/tensorflow\/c/);
  });

  it('says what to install where there is no TensorFlow and the stock one cannot be fetched', async () => {
    const asked: string[] = [];
    server = createServer((request, response) => {
      asked.push(request.url!);
      response.writeHead(404).end();
    }).listen(0);
    const { port } = server.address() as AddressInfo;
    // No Python has a tensorflow here: the one that is asked is a program that says so.
    const python = join(folder, 'python3');
    writeFileSync(python, '#!/bin/sh\necho\n', { mode: 0o755 });
    process.env.PATCHWISE_PYTHON = python;
    process.env.PATH = `${folder}:${process.env.PATH}`;
    process.env.PATCHWISE_CACHE = join(folder, 'cache');
    process.env.TFJS_NODE_CDN_STORAGE = `http://127.0.0.1:${port}/`;
    delete process.env.TENSORFLOW;
    const steps: string[] = [];
    const build = buildTensorflow({ onProgress: ({ what }) => steps.push(what) });
    await expect(build).rejects.toThrow(UnavailableBackend);
    await expect(build).rejects.toThrow(
      /404.*\.venv\/bin\/pip install tensorflow-cpu.*backend build tensorflow/,
    );
    expect(asked).toEqual(['/tensorflow/libtensorflow/libtensorflow-cpu-linux-x86_64-2.9.1.tar.gz']);
    expect(steps).toEqual(['looking for TensorFlow']);
  });
});

describe.skipIf(!built)('the tensorflow backend', () => {
  beforeAll(async () => {
    await useBackend('tensorflow');
  });

  it('pads by more than one voxel, and folds the gradient back', () => {
    const reference = referenceKernels(() => tf.backend());
    tf.tidy(() => {
      const [x, w] = [tensor<tf.Tensor5D>(1, [2, 2, 3, 1, 3]), tensor<tf.Tensor5D>(2, [6, 1, 6, 3, 2])];
      const dy = tensor(3, [2, 2, 3, 1, 2]);
      const plan = planConvolution(x.shape, w.shape, false);
      expect([plan.before, plan.after]).toEqual([
        [3, 0, 3],
        [2, 0, 2],
      ]);
      const read = ({ dataId }: tf.TensorInfo) => tf.backend().readSync(dataId) as Float32Array;
      const y = read(reference.convolve(x, w, undefined, plan));
      expect(worstError(conv3d(x, w).dataSync(), y)).toBeLessThan(1e-5);
      const dx = tf.grad((v) => conv3d(v as tf.Tensor5D, w))(x, dy);
      const folded = read(reference.convolveInputGradient(dy, w, plan));
      expect(worstError(dx.dataSync(), folded)).toBeLessThan(1e-5);
    });
  });

  it('keeps int32 when rounding', () => {
    expect([...tf.round(tf.tensor1d([1, -2, 3], 'int32')).dataSync()]).toEqual([1, -2, 3]);
    expect([...tf.round(tf.tensor1d([1.4, -2.6, 3.5])).dataSync()]).toEqual([1, -3, 4]);
  });

  it('searches codes part by part and in order', () => {
    const [z, codebook] = [tensor<tf.Tensor2D>(1, [3000, 4]), tensor<tf.Tensor2D>(2, [4096, 4])];
    const whole = nearestCode(z, codebook).dataSync(); // three parts of 1024 rows
    const last = nearestCode(tf.slice(z, [2999, 0], [1, 4]), codebook).dataSync();
    expect(whole[2999]).toBe(last[0]);
    expect(new Set(whole).size).toBeGreaterThan(1000);
    const none = nearestCode(tf.zeros([0, 4]), codebook);
    expect([none.shape, none.dtype]).toEqual([[0], 'int32']);
  });

  it('loads and sets only what is a text', () => {
    const loader = createRequire(__filename)(loaderPath(buildFolder('tensorflow')));
    expect(() => loader.load()).toThrow(/argument 0: text expected/);
    expect(() => loader.tell('PATCHWISE_TEST', 1)).toThrow(/argument 1: text expected/);
  });

  it("turns TensorFlow's complaints into errors, and goes on", () => {
    const [a, b] = [tf.ones([2, 3]), tf.ones([4])];
    expect(() => tf.engine().runKernel('Add', { a, b })).toThrow();
    expect([...tf.add(b, 1).dataSync()]).toEqual([2, 2, 2, 2]);
  });
});
