import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import * as ort from 'onnxruntime-web';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { useBackend } from '../../src/compute/use-backend';
import { exportOnnx, onnxParts } from '../../src/interchange/export';
import type { ModelConfig } from '../../src/model/config';
import { VqGan } from '../../src/model/vqgan';
import { readCheckpoint } from '../../src/train/record/checkpoint';
import { untrained } from '../codes/untrained';
import { normal } from '../conformance/tensors';
import { relativeError } from '../model/reference';
import { pythonWith } from '../python';

ort.env.wasm.numThreads = 1;
const folder = mkdtempSync(join(tmpdir(), 'patchwise-onnx-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
beforeAll(() => useBackend('cpu'));

const blocks = { hidden: 4, groups: 2, downsample: [4, 2, 2], encoderBlocks: 1, decoderBlocks: 2 } as const;
const quantisers: Record<string, Partial<ModelConfig>> = {
  ema: { codes: 24 },
  cosine: { codes: 24, cosine: true },
  fsq: { quantiser: 'fsq', levels: [8, 5, 3] },
  lfq: { quantiser: 'lfq', codes: 32 },
  simvq: { quantiser: 'simvq', codes: 24 },
  residual: { quantiser: 'residual', codes: 12, codebooks: 3 },
};

/** Our model's numbers for a batch [n, d, h, w, 1], in the axes of ONNX. */
function computed(checkpoint: string, data: Float32Array, [n, d, h, w]: number[]) {
  const { state, model } = readCheckpoint(checkpoint);
  const vqgan = new VqGan(state.config.model, 0);
  vqgan.load(model);
  const { codes: count } = vqgan.config;
  return tf.tidy(() => {
    const z = vqgan.encode(tf.tensor5d(data, [n!, d!, h!, w!, 1]));
    const { codes, quantised } = vqgan.quantise(z);
    const first = (t: tf.Tensor5D) => [...tf.transpose(t, [0, 4, 1, 2, 3]).dataSync()];
    const books = vqgan.quantiser.codebooks;
    const numbers = codes.dataSync<'int32'>().map((code, i) => code - (i % books) * count);
    return {
      latents: first(z),
      codes: first(tf.tensor5d(Float32Array.from(numbers), [n!, ...z.shape.slice(1, 4), books] as never)),
      quantised: first(quantised),
      reconstruction: [...vqgan.decode(quantised).dataSync()],
      latentShape: [n!, z.shape[4], ...z.shape.slice(1, 4)],
    };
  });
}

async function run(file: string, name: string, data: Float32Array | BigInt64Array, shape: readonly number[]) {
  const session = await ort.InferenceSession.create(readFileSync(file), { executionProviders: ['wasm'] });
  const type = data instanceof Float32Array ? 'float32' : 'int64';
  const tensor = new ort.Tensor(type as 'float32', data as Float32Array, shape);
  const found = await session.run({ [name]: tensor });
  await session.release();
  return Object.fromEntries(
    Object.entries(found).map(([key, value]) => [
      key,
      { data: Array.from(value.data as ArrayLike<number | bigint>, Number), shape: value.dims },
    ]),
  );
}

describe.each(Object.keys(quantisers))('%s', (name) => {
  let checkpoint = '';
  let parts = '';
  beforeAll(async () => {
    checkpoint = await untrained(join(folder, name), { ...blocks, ...quantisers[name] });
    parts = join(folder, `${name}-parts`);
    await exportOnnx(checkpoint, parts);
  }, 60_000);

  it('as one model gives our numbers, for any batch and any size', async () => {
    const [file] = await exportOnnx(checkpoint, join(folder, `${name}.onnx`));
    for (const size of [
      [1, 4, 8, 8],
      [2, 6, 4, 12],
    ]) {
      const data = normal(7, size);
      const expected = computed(checkpoint, data, size);
      const [n, ...rest] = size as [number, number, number, number];
      const found = await run(file!, 'patch', data, [n, 1, ...rest]);
      expect(found.codes!.data).toEqual(expected.codes);
      for (const key of ['latents', 'quantised', 'reconstruction'] as const)
        expect(relativeError(found[key]!.data, expected[key]), key).toBeLessThan(1e-4);
      expect(found.reconstruction!.shape).toEqual([n, 1, ...rest]);
      expect(new Set(expected.codes).size).toBeGreaterThan(2);
    }
  }, 60_000);

  it('in parts gives our numbers', async () => {
    const size = [2, 4, 8, 8];
    const data = normal(8, size);
    const expected = computed(checkpoint, data, size);
    const part = (file: string) => join(parts, `${file}.onnx`);
    const { latents } = await run(part('encoder'), 'patch', data, [2, 1, 4, 8, 8]);
    expect(relativeError(latents!.data, expected.latents)).toBeLessThan(1e-4);
    const z = Float32Array.from(expected.latents);
    const chosen = await run(part('quantiser'), 'latents', z, expected.latentShape);
    expect(chosen.codes!.data).toEqual(expected.codes);
    const codes = BigInt64Array.from(chosen.codes!.data, BigInt);
    const { quantised } = await run(part('embedding'), 'codes', codes, chosen.codes!.shape);
    expect(relativeError(quantised!.data, expected.quantised)).toBeLessThan(1e-6);
    const q = Float32Array.from(quantised!.data);
    const { reconstruction } = await run(part('decoder'), 'quantised', q, quantised!.shape);
    expect(relativeError(reconstruction!.data, expected.reconstruction)).toBeLessThan(1e-4);
  }, 60_000);
});

const python = pythonWith('onnx', 'onnxruntime', 'numpy');
it.skipIf(!python)(
  'onnx.checker accepts every file, and onnxruntime in Python gives our numbers',
  async () => {
    const size = [2, 8, 8, 12];
    const data = normal(9, size);
    const names = Object.keys(quantisers);
    writeFileSync(join(folder, 'x.f32'), new Uint8Array(data.buffer));
    for (const name of names) {
      const checkpoint = await untrained(join(folder, `${name}-live`), { ...blocks, ...quantisers[name] });
      await exportOnnx(checkpoint, join(folder, `${name}-live.onnx`));
      await exportOnnx(checkpoint, join(folder, `${name}-live-parts`));
      const { reconstruction } = computed(checkpoint, data, size);
      writeFileSync(join(folder, `${name}.f32`), new Uint8Array(Float32Array.from(reconstruction).buffer));
    }
    const program = `
import json, sys, numpy as np, onnx, onnxruntime
folder, names, parts = sys.argv[1], sys.argv[2].split(','), sys.argv[3].split(',')
x = np.fromfile(f'{folder}/x.f32', '<f4').reshape(2, 1, 8, 8, 12)
errors = {}
for name in names:
    for file in [f'{folder}/{name}-live.onnx'] + [f'{folder}/{name}-live-parts/{part}.onnx' for part in parts]:
        onnx.checker.check_model(onnx.load(file), full_check=True)
    session = onnxruntime.InferenceSession(f'{folder}/{name}-live.onnx', providers=['CPUExecutionProvider'])
    y = session.run(['reconstruction'], {'patch': x})[0].ravel()
    expected = np.fromfile(f'{folder}/{name}.f32', '<f4')
    errors[name] = float(abs(y - expected).max() / abs(expected).max())
print(json.dumps(errors))
`;
    const args = ['-c', program, folder, names.join(), onnxParts.join()];
    const errors = JSON.parse(execFileSync(python!, args, { encoding: 'utf8' })) as Record<string, number>;
    for (const name of names) expect(errors[name], name).toBeLessThan(1e-4);
  },
  180_000,
);
