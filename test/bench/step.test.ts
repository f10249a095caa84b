import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it, vi } from 'vitest';
import { findPython } from '../../bench/python';
import { benchStep } from '../../bench/step';
import { contiguous, peerSide, type StepSetup } from '../../bench/step-sides';
import { writeState } from '../../bench/step-state';
import { presetNamed } from '../../src/index';

afterEach(() => vi.unstubAllEnvs());

it('trains beside PyTorch from the same weights, to the same losses', async () => {
  const setup = {
    preset: 'toy',
    shape: [16, 16, 16],
    repeats: 1,
    steps: 4,
    threads: 1,
    patience: 0,
  } as const;
  const { rows } = await benchStep({ ...setup, backends: ['wasm'] });
  expect(rows[0]).toMatchObject({ case: 'toy, 16 x 16 x 16, wasm', metric: 'step', unit: 'ms' });
  expect(rows[0]!.ours).toBeGreaterThan(0);
  const losses = rows.find(({ metric }) => metric.startsWith('largest distance of 4 losses'));
  if (losses) expect(losses.ours).toBeLessThan(1e-4);
  else console.log('skipped: no Python here has torch and numpy, so there is nothing to compare with');
});

it('trains on several patches with blocks recomputed', async () => {
  const setup = {
    preset: 'guide',
    hidden: 8,
    shape: [16, 16, 16],
    batch: 2,
    checkpointing: 'blocks',
  } as const;
  const { rows } = await benchStep({
    ...setup,
    backends: ['wasm'],
    repeats: 1,
    steps: 3,
    threads: 1,
    patience: 0,
  });
  const label = 'guide, 8 channels, 16 x 16 x 16, batch 2, blocks recomputed, wasm';
  expect(new Set(rows.map((row) => row.case))).toEqual(new Set([label]));
  const losses = rows.find(({ metric }) => metric.startsWith('largest distance of 3 losses'));
  if (losses) expect(losses.ours).toBeLessThan(1e-4);
  else console.log('skipped: no Python here has torch and numpy, so there is nothing to compare with');
});

it('measures libtorch alone on a GPU', async () => {
  const bench = benchStep({
    preset: 'toy',
    shape: [16, 16, 16],
    backends: ['wasm'],
    device: 'cuda',
    patience: 0,
  });
  await expect(bench).rejects.toThrow('libtorch alone on a GPU');
});

it('says what a side lacks, ours as an error, PyTorch in the report', async () => {
  vi.stubEnv('CUDA_VISIBLE_DEVICES', '');
  const bench = benchStep({
    preset: 'toy',
    shape: [16, 16, 16],
    backends: ['libtorch'],
    device: 'cuda',
    patience: 0,
  });
  await expect(bench).rejects.toMatchObject({ tag: 'UnavailableBackend', backend: 'libtorch' });
  const python = await findPython(['torch', 'numpy']);
  if (!python) return console.log('skipped: no Python here has torch and numpy');
  const { model, learningRate, clip } = presetNamed('toy');
  const how = { threads: 1, device: 'cuda', precision: 'float32', checkpointing: 'none' } as const;
  const side = peerSide(python, contiguous, { state: '', config: model, ...how, learningRate, clip });
  await side.ready;
  expect(side.unable).toBe('no CUDA');
});

it('trains every patch of a batch on a phantom of its own', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'patchwise-test-'));
  const state = join(folder, 'state');
  try {
    await writeState(state, presetNamed('toy').model, [8, 6, 4], 0, 2);
    const entries = JSON.parse(await readFile(`${state}.json`, 'utf8')) as {
      name: string;
      shape: number[];
    }[];
    expect(entries.at(-1)).toMatchObject({ name: 'x', shape: [2, 4, 6, 8, 1] });
    const bytes = await readFile(`${state}.bin`);
    const patch = 4 * 8 * 6 * 4;
    expect(bytes.subarray(-patch)).not.toEqual(bytes.subarray(-2 * patch, -patch));
  } finally {
    await rm(folder, { recursive: true });
  }
});

it('lets PyTorch take a suggested code that is as near as its own, and no other', async () => {
  const python = await findPython(['torch', 'numpy']);
  if (!python) return console.log('skipped: no Python here has torch and numpy');
  const folder = await mkdtemp(join(tmpdir(), 'patchwise-test-'));
  const state = join(folder, 'state');
  const { model, learningRate, clip } = presetNamed('toy');
  const config = { ...model, codes: 2, restartBelow: 0 };
  await writeState(state, config, [16, 16, 16]);
  const how = { threads: 1, device: 'cpu', precision: 'float32', checkpointing: 'none' } as const;
  const setup: StepSetup = { state, config, ...how, learningRate, clip };
  const firstStep = async (codes: 1 | number[][]) => {
    const side = peerSide(python, contiguous, setup);
    try {
      await side.ready;
      await side.take(codes);
      return side.turns[0]!;
    } finally {
      side.process.kill();
    }
  };
  try {
    const [own] = (await firstStep(1)).codes;
    const other = own!.map((code) => 1 - code);
    expect(await firstStep([other])).toMatchObject({ codes: [own], ties: [0] });
    await makeCodesEqual(state);
    const ones = own!.map(() => 1);
    expect(await firstStep(1)).toMatchObject({ codes: [own!.map(() => 0)], ties: [0] });
    expect(await firstStep([ones])).toMatchObject({ codes: [ones], ties: [ones.length] });
  } finally {
    await rm(folder, { recursive: true });
  }
});

/** Gives the second of two codes the embedding of the first. */
async function makeCodesEqual(state: string): Promise<void> {
  const entries = JSON.parse(await readFile(`${state}.json`, 'utf8')) as { name: string; offset: number }[];
  const bytes = await readFile(`${state}.bin`);
  const values = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  const { offset } = entries.find(({ name }) => name === 'codebook.embeddings')!;
  const width = presetNamed('toy').model.codeDim;
  values.copyWithin(offset + width, offset, offset + width);
  await writeFile(`${state}.bin`, bytes);
}
