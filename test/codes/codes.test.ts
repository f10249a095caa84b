import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deflateRawSync } from 'node:zlib';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodeFiles } from '../../src/codes/cohort';
import { decode } from '../../src/codes/decode';
import { encode } from '../../src/codes/encode';
import { readCodes, writeCodes } from '../../src/codes/file';
import { packNpz, unpackNpz } from '../../src/codes/npz';
import { useBackend } from '../../src/compute/use-backend';
import { evaluateFiles } from '../../src/evaluate/evaluate';
import type { ModelConfig } from '../../src/model/config';
import { VqGan } from '../../src/model/vqgan';
import type { Progress } from '../../src/progress';
import { reconstruct } from '../../src/reconstruct/reconstruct';
import { readCheckpoint } from '../../src/train/record/checkpoint';
import { phantom } from '../../src/volume/phantom/phantom';
import { prepareDataset } from '../../src/volume/prepare/prepare';
import { readVolume } from '../../src/volume/read';
import { writeVolume } from '../../src/volume/write';
import { pythonWith } from '../python';
import { untrained } from './untrained';

const folder = mkdtempSync(join(tmpdir(), 'patchwise-codes-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const volume = phantom({ shape: [20, 18, 22], seed: 5, spacing: [0.7, 0.8, 2] });
const options = { backend: 'wasm', workers: 1, intensity: 'ctpa' } as const;
const quantisers: Record<string, Partial<ModelConfig>> = {
  ema: { codes: 300 },
  cosine: { codes: 16, cosine: true },
  fsq: { quantiser: 'fsq', codes: 64 },
  lfq: { quantiser: 'lfq', codes: 16 },
  simvq: { quantiser: 'simvq', codes: 16 },
  residual: { quantiser: 'residual', codes: 16, codebooks: 3 },
};
const checkpoints: Record<string, string> = {};

beforeAll(async () => {
  await useBackend('wasm');
  for (const [name, model] of Object.entries(quantisers))
    checkpoints[name] = await untrained(join(folder, name), model);
}, 60_000);

describe.each(Object.keys(quantisers))('codes of %s', (name) => {
  it('decode to the reconstruction, bit for bit, before and after a file', async () => {
    const path = join(folder, `${name}.npz`);
    const codes = await encode(checkpoints[name]!, volume, options);
    const expected = await reconstruct(checkpoints[name]!, volume, { ...options, window: 'hann' });
    const decoded = await decode(codes, { ...options, window: 'hann' });
    expect(decoded.data).toEqual(expected.data);
    expect(decoded.affine).toEqual(volume.affine);
    expect([codes.perplexity, codes.usage]).toEqual([expected.perplexity, expected.usage]);
    await writeCodes(path, codes);
    const read = await readCodes(path);
    expect(read.data).toEqual(codes.data);
    expect((await decode(read, { ...options, window: 'hann' })).data).toEqual(expected.data);
    expect(new Set(expected.data).size).toBeGreaterThan(100);
  }, 60_000);
});

describe('encoding', () => {
  it('gives latents on request, those the codes are of', async () => {
    const codes = await encode(checkpoints.fsq!, volume, { ...options, latents: true });
    const checkpoint = readCheckpoint(checkpoints.fsq!);
    const model = new VqGan(checkpoint.state.config.model, 0);
    model.load(checkpoint.model);
    const [x, y, z] = codes.patchCodes;
    const perPatch = 2 * x * y * z; // levels 8 x 8
    expect(codes.latents!.length).toBe(codes.grid.patches * perPatch);
    for (let index = 0; index < codes.grid.patches; index++) {
      const latents = codes.latents!.subarray(index * perPatch, (index + 1) * perPatch);
      const quantised = model.quantise(tf.tensor5d(latents, [1, z, y, x, 2]));
      expect([...quantised.codes.dataSync()]).toEqual([...codes.ofPatch(index)]);
    }
  });

  it('reports progress, and ends at once on abort', async () => {
    const controller = new AbortController();
    const seen: number[] = [];
    const call = encode(checkpoints.lfq!, volume, {
      ...options,
      signal: controller.signal,
      onProgress: ({ done }) => {
        seen.push(done);
        if (done === 3) controller.abort(new Error('enough'));
      },
    });
    await expect(call).rejects.toThrow('enough');
    expect(seen).toEqual([1, 2, 3]);
  });

  it('takes a folder or a dataset, leaves out what it cannot read, and counts over all', async () => {
    const input = join(folder, 'scans');
    mkdirSync(input);
    const other = phantom({ shape: [16, 16, 16], seed: 9 });
    await writeVolume(join(input, 'a.nii.gz'), volume);
    await writeVolume(join(input, 'b.nii'), other);
    writeFileSync(join(input, 'c.nii'), 'no volume');
    const seen: Progress[] = [];
    const found = await encodeFiles(checkpoints.ema!, input, join(folder, 'out'), {
      ...options,
      onProgress: (progress) => seen.push(progress),
    });
    expect(seen.at(-1)).toMatchObject({ done: seen.at(-1)!.total, what: 'patches' });
    expect(found.rows.map(({ file }) => file)).toEqual(
      ['a.nii.gz', 'b.nii'].map((file) => join(input, file)),
    );
    expect(found.leftOut).toEqual([
      { file: join(input, 'c.nii'), reason: expect.stringContaining('expected') },
    ]);
    expect(found.usage).toBeGreaterThanOrEqual(Math.max(...found.rows.map(({ usage }) => usage)));
    const codes = await readCodes(found.rows[0]!.output);
    expect(codes.data).toEqual(
      (await encode(checkpoints.ema!, await readVolume(join(input, 'a.nii.gz')), options)).data,
    );
    const evaluated = await evaluateFiles(
      checkpoints.ema!,
      ['a.nii.gz', 'b.nii'].map((file) => join(input, file)),
      { ...options, windows: ['linear'], resamples: 10 },
    );
    expect(evaluated.perplexity).toBeCloseTo(found.perplexity, 8);
    expect(evaluated.usage).toBe(found.usage);

    await prepareDataset(join(input, 'b.nii'), join(folder, 'dataset'), { intensity: 'ctpa' });
    await reconstruct(checkpoints.ema!, other, {
      ...options,
      to: { dataset: join(folder, 'dataset'), name: 'made' },
    });
    const stored = await encodeFiles(
      checkpoints.ema!,
      join(folder, 'dataset'),
      join(folder, 'stored'),
      options,
    );
    expect(stored.rows.map(({ file }) => file)).toEqual(['b']); // not what a model made
    expect((await readCodes(stored.rows[0]!.output)).data).toEqual(
      (await readCodes(found.rows[1]!.output)).data,
    );
  }, 120_000);
});

describe('decoding', () => {
  it('writes into a file what it gives as a volume', async () => {
    const codes = await encode(checkpoints.fsq!, volume, options);
    const path = join(folder, 'decoded.nii');
    await decode(codes, { ...options, to: path });
    expect((await readVolume(path)).data).toEqual((await decode(codes, options)).data);
  });

  it('writes the whole numbers that the original file had', async () => {
    const [original, packed, out] = ['o.nii', 'o.npz', 'd.nii'].map((name) => join(folder, name));
    await writeVolume(original!, volume, { dtype: 'int16' });
    const codes = await encode(checkpoints.fsq!, await readVolume(original!), options);
    await writeCodes(packed!, codes);
    await decode(await readCodes(packed!), { ...options, to: out! });
    const back = await readVolume(out!);
    expect(back.header!.datatype).toBe('int16');
    expect(back.data).toEqual((await decode(codes, options)).data.map((value) => Math.round(value)));
  });

  it('finds the model elsewhere, and refuses another', async () => {
    const moved = join(folder, 'moved');
    const gone = join(folder, 'gone');
    cpSync(checkpoints.fsq!, moved, { recursive: true });
    cpSync(checkpoints.fsq!, gone, { recursive: true });
    const codes = await encode(gone, volume, options);
    rmSync(gone, { recursive: true });
    await expect(decode(codes, options)).rejects.toThrow(/model.*gone.*nothing there/);
    await expect(decode(codes, { ...options, model: checkpoints.lfq! })).rejects.toThrow(/sha256/);
    expect((await decode(codes, { ...options, model: moved })).shape).toEqual(volume.shape);
  });
});

describe('the file', () => {
  it('is refused where it is cut short, changed, or holds a code there is not', async () => {
    const path = join(folder, 'whole.npz');
    await writeCodes(path, await encode(checkpoints.fsq!, volume, options));
    const bytes = readFileSync(path);
    const attempt = (content: Buffer) => {
      const damaged = join(folder, 'damaged.npz');
      writeFileSync(damaged, content);
      return readCodes(damaged);
    };
    await expect(attempt(bytes.subarray(0, bytes.length - 30))).rejects.toThrow(/damaged\.npz.*cut short/);
    const changed = Buffer.from(bytes);
    changed[60]! ^= 0xff;
    await expect(attempt(changed)).rejects.toThrow(/damaged/);
    await expect(attempt(deflateRawSync(bytes))).rejects.toThrow(/damaged\.npz/);
    await expect(readCodes(join(folder, 'none.npz'))).rejects.toThrow(/none\.npz/);
  });

  it('may say more than codes have: names that codes use otherwise do no harm', async () => {
    const path = join(folder, 'more.npz');
    const codes = await encode(checkpoints.fsq!, volume, options);
    await writeCodes(path, codes);
    const arrays = unpackNpz(readFileSync(path), path);
    const meta = JSON.parse(Buffer.from(arrays.get('meta')!.data as Uint8Array).toString('utf8'));
    const bytes = new Uint8Array(Buffer.from(JSON.stringify({ ...meta, usage: 0.4, counts: [1, 2] })));
    arrays.set('meta', { shape: [bytes.length], data: bytes });
    writeFileSync(path, await packNpz(arrays));
    const read = await readCodes(path);
    expect([read.usage, read.counts()]).toEqual([codes.usage, codes.counts()]);
  });

  const python = pythonWith('numpy');
  it.skipIf(!python)('is read by numpy, and read again as numpy saved it', async () => {
    const path = join(folder, 'numpy.npz');
    const again = join(folder, 'again.npz');
    const codes = await encode(checkpoints.residual!, volume, options);
    await writeCodes(path, codes);
    const program = `
import json, sys, numpy as np
f = np.load(sys.argv[1]); meta = json.loads(bytes(f['meta']))
print(json.dumps([f['codes'].shape, int(f['codes'].astype(int).sum()), str(f['codes'].dtype), meta['model']['codes'], f['starts'][-1].tolist()]))
np.savez_compressed(sys.argv[2], codes=f['codes'].astype(np.int64)[:, :, :, ::-1], meta=f['meta'])
`;
    const out = execFileSync(python!, ['-c', program, path, again], { encoding: 'utf8' });
    const sum = [...codes.data].reduce((total, code) => total + code, 0);
    const { starts } = codes.grid;
    const last = starts.map((axis) => axis.at(-1));
    expect(JSON.parse(out)).toEqual([codes.shape, sum, 'uint8', 16, last]);
    const read = await readCodes(again);
    const flipped = unpackNpz(readFileSync(again), again).get('codes')!;
    expect([...read.data]).toEqual([...flipped.data]);
    expect([...read.data]).not.toEqual([...codes.data]);
  });
});
