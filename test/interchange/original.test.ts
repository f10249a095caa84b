import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import * as ort from 'onnxruntime-web';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { useBackend } from '../../src/compute/use-backend';
import { exportOnnx, exportSafetensors } from '../../src/interchange/export';
import { importSafetensors } from '../../src/interchange/import';
import { VqGan } from '../../src/model/vqgan';
import { readForeignSafetensors } from '../../src/safetensors';
import { readCheckpoint } from '../../src/train/record/checkpoint';
import { untrained } from '../codes/untrained';
import { normal } from '../conformance/tensors';
import { reconstruct } from '../model/plain';
import { relativeError } from '../model/reference';
import { pythonWith } from '../python';

// Against a PyTorch model written from the structure of medicaldiffusion's, which shares no line with bench/vqgan.py.
ort.env.wasm.numThreads = 1;
const folder = mkdtempSync(join(tmpdir(), 'patchwise-original-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
beforeAll(() => useBackend('cpu'));

const fixtures = join(__dirname, '../fixtures/torch');

type Size = [number, number, number];
interface Case {
  readonly factors: Size; // [d, h, w], as the original's config has them
  readonly groups: number;
  readonly size: Size;
  readonly x: number[];
  readonly y: number[];
  readonly codes: number[];
}

const reversed = ([a, b, c]: Size): Size => [c, b, a];

function load(checkpoint: string): VqGan {
  const { state, model } = readCheckpoint(checkpoint);
  const vqgan = new VqGan(state.config.model, 0);
  vqgan.load(model);
  return vqgan;
}

describe.each(['aniso-2-4-4', 'aniso-4-4-2', 'aniso-1-4-8'])(
  'the original with other factors by axis: %s',
  (name) => {
    const path = join(fixtures, `${name}.safetensors`);
    const { factors, groups, size, x, y, codes } = JSON.parse(
      readFileSync(join(fixtures, `${name}.json`), 'utf8'),
    ) as Case;
    let checkpoint = '';
    beforeAll(async () => {
      const model = { downsample: reversed(factors), groups };
      const options = { model, patch: reversed(size) };
      ({ checkpoint } = await importSafetensors(path, join(folder, name), options));
    });

    it('computes here what it computes there', () => {
      const vqgan = load(checkpoint);
      tf.tidy(() => {
        const patch = tf.tensor5d(Float32Array.from(x), [1, ...size, 1]);
        const chosen = vqgan.quantise(vqgan.encode(patch));
        expect([...chosen.codes.dataSync()]).toEqual(codes);
        expect(relativeError(vqgan.decode(chosen.quantised).dataSync(), y)).toBeLessThan(1e-4);
      });
      vqgan.dispose();
    });

    it('goes back as it came, and as ONNX computes the same', async () => {
      const back = join(folder, `${name}.safetensors`);
      await exportSafetensors(checkpoint, back);
      expect(readForeignSafetensors(back).tensors).toEqual(readForeignSafetensors(path).tensors);
      const [file] = await exportOnnx(checkpoint, join(folder, `${name}.onnx`));
      const session = await ort.InferenceSession.create(readFileSync(file!), {
        executionProviders: ['wasm'],
      });
      const patch = new ort.Tensor('float32', Float32Array.from(x), [1, 1, ...size]);
      const { reconstruction } = await session.run({ patch });
      await session.release();
      expect(relativeError(reconstruction!.data as Float32Array, y)).toBeLessThan(1e-4);
    });
  },
);

const python = pythonWith('torch', 'numpy');
it.skipIf(!python).each([
  [[2, 4, 4], 1, [6, 8, 12]],
  [[4, 4, 2], 2, [8, 12, 6]],
  [[1, 4, 8], 4, [3, 8, 16]],
  [[8, 2, 1], 8, [16, 6, 5]],
  [[1, 1, 2], 4, [4, 3, 6]],
  [[4, 4, 4], 4, [8, 4, 12]],
] as [Size, number, Size][])(
  'the original with factors %j and %i groups takes an export and computes what we do',
  async (factors, groups, size) => {
    const name = factors.join('');
    const config = { hidden: 8, groups, codes: 24, encoderBlocks: 1, decoderBlocks: 2 };
    const checkpoint = await untrained(join(folder, name), { ...config, downsample: reversed(factors) });
    const [file, input, output] = ['safetensors', 'x', 'y'].map((end) => join(folder, `live-${name}.${end}`));
    await exportSafetensors(checkpoint, file!);
    const vqgan = load(checkpoint);
    const x = normal(3, [1, ...size, 1]);
    const y = reconstruct(vqgan, tf.tensor5d(x, [1, ...size, 1])).dataSync<'float32'>();
    vqgan.dispose();
    writeFileSync(input!, new Uint8Array(x.buffer));
    writeFileSync(output!, new Uint8Array(y.slice().buffer));
    const sizes = [JSON.stringify(factors), `${groups}`, JSON.stringify(size)];
    const args = ['-B', join(fixtures, 'original.py'), 'check', file!, ...sizes, input!, output!];
    expect(Number(execFileSync(python!, args, { encoding: 'utf8' }))).toBeLessThan(1e-4);
  },
  120_000,
);
