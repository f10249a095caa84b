import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import {
  compareVolumes,
  type LongCall,
  type ModelConfig,
  packageRoot,
  phantom,
  type Run,
  readVolume,
  reconstruct,
  train,
  Volume,
  writeVolume,
} from '../src/index';
import { type BenchReport, type BenchRow, machine } from './report';

export interface QuantisersBenchOptions extends LongCall {
  /** Optimiser steps of each; default 500. */
  readonly steps?: number;
  /** NIfTI file; default the chest CT beside the project, else a phantom. */
  readonly data?: string;
}

/** All with 512 codes, the residual one with two codebooks of as many. */
const variants: Readonly<Record<string, Partial<ModelConfig>>> = {
  ema: {},
  'ema, k-means start': { initialisation: 'kmeans' },
  'ema, rotation trick': { estimator: 'rotation' },
  'ema, cosine': { cosine: true },
  fsq: { quantiser: 'fsq' },
  lfq: { quantiser: 'lfq' },
  simvq: { quantiser: 'simvq' },
  'residual, 2 codebooks': { quantiser: 'residual' },
};

/** A dead code is chosen by so few latents a step: for 512 codes what the preset has for its 256. */
const SHARED: Partial<ModelConfig> = { codes: 512, restartBelow: 0.1 };
/** Of the volume's slices, at its upper end. */
const HELD_OUT = 0.15;

/**
 * Trains the toy preset with each quantiser for the same number of steps on the lower part of a CT, and measures it on
 * the slab above, which no step has seen. Perplexity and usage are over the codes of the whole volume.
 */
export async function benchQuantisers(options: QuantisersBenchOptions = {}): Promise<BenchReport> {
  const { steps = 500, signal, onProgress } = options;
  const folder = await mkdtemp(join(tmpdir(), 'patchwise-quantisers-'));
  const runs = process.env.PATCHWISE_RUNS;
  process.env.PATCHWISE_RUNS = join(folder, 'runs');
  try {
    const { name, volume } = await scan(options.data);
    const border = Math.floor((1 - HELD_OUT) * volume.shape[2]);
    const data = join(folder, 'lower.nii');
    await writeVolume(data, slab(volume, 0, border), { dtype: 'float32' });
    const held = slab(volume, border, volume.shape[2]);
    const rows: BenchRow[] = [];
    const entries = Object.entries(variants);
    for (const [i, [variant, model]] of entries.entries()) {
      onProgress?.({ done: i, total: entries.length, what: `quantisers (${variant})` });
      signal?.throwIfAborted();
      const run = await train({
        ...{ preset: 'toy', data, steps, validation: 0, validateEvery: 0, checkpointEvery: 0 },
        model: { ...SHARED, ...model },
      });
      await finished(run, signal);
      rows.push(...(await measured(run, `${variant}: toy, ${steps} steps, ${name}`, volume, held, signal)));
    }
    onProgress?.({ done: entries.length, total: entries.length, what: 'quantisers' });
    return { bench: 'quantisers', machine: machine(), rows };
  } finally {
    if (runs === undefined) delete process.env.PATCHWISE_RUNS;
    else process.env.PATCHWISE_RUNS = runs;
    await rm(folder, { recursive: true, force: true });
  }
}

async function measured(
  run: Run,
  label: string,
  volume: Volume,
  held: Volume,
  signal?: AbortSignal,
): Promise<BenchRow[]> {
  const reconstruction = await reconstruct(run, held, { signal });
  const [metrics] = compareVolumes(held, { reconstruction }).metrics;
  const { perplexity, usage } = await reconstruct(run, volume, { signal });
  const figures: [string, string, number | undefined][] = [
    ['PSNR of the held-out slab', 'dB', metrics?.psnr],
    ['SSIM of the held-out slab', '', metrics?.ssim],
    ['perplexity of the whole volume', 'codes', perplexity],
    ['usage of the whole volume', '', usage],
  ];
  return figures.map(([metric, unit, ours]) => ({
    ...{ case: label, metric, unit, ours: ours ?? Number.NaN, peer: null, peerName: 'none', ratio: null },
  }));
}

async function finished(run: Run, signal?: AbortSignal): Promise<void> {
  const stop = () => void run.stop();
  signal?.addEventListener('abort', stop, { once: true });
  await run.done.finally(() => signal?.removeEventListener('abort', stop));
  signal?.throwIfAborted();
}

async function scan(path: string | undefined): Promise<{ name: string; volume: Volume }> {
  const beside = resolve(packageRoot(), '..', 'shared', 'data', 'chest-ct-lidc.nii.gz');
  if (path !== undefined) return { name: path, volume: await readVolume(path) };
  if (existsSync(beside)) return { name: 'chest CT', volume: await readVolume(beside) };
  return { name: 'phantom', volume: phantom({ shape: [128, 128, 96], seed: 1 }) };
}

function slab({ shape: [x, y], spacing, affine, data }: Volume, from: number, to: number): Volume {
  return new Volume({
    shape: [x, y, to - from],
    spacing,
    affine,
    data: data.slice(from * x * y, to * x * y),
  });
}
