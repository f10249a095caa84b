import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import {
  compareVolumes,
  encode,
  InvalidArgument,
  type LongCall,
  type ModelConfig,
  perplexity,
  phantom,
  type Run,
  readVolume,
  reconstruct,
  train,
  Volume,
  writeVolume,
} from '../src/index';
import { packageRoot } from '../src/internal';
import { type BenchReport, type BenchRow, machine } from './report';

export interface QuantisersBenchOptions extends LongCall {
  /** Optimiser steps of each variant; default 500. */
  readonly steps?: number;
  /** volume file; default the chest CT beside the project, else a phantom. */
  readonly data?: string;
  /** Which of `quantiserVariants`; default all. */
  readonly variants?: readonly string[];
  readonly backend?: string;
}

/** All have 512 codes; the residual one has two codebooks of 512. */
export const quantiserVariants: Readonly<Record<string, Partial<ModelConfig>>> = {
  ema: {},
  'ema-kmeans': { initialisation: 'kmeans' },
  'ema-rotation': { estimator: 'rotation' },
  'ema-cosine': { cosine: true },
  fsq: { quantiser: 'fsq' },
  lfq: { quantiser: 'lfq' },
  simvq: { quantiser: 'simvq' },
  residual: { quantiser: 'residual' },
};

const CODES = 512;
/** Fraction of the volume's slices held out at its upper end. */
const HELD_OUT = 0.15;

/**
 * Trains the toy preset with each quantiser for the same number of steps on the lower part of a CT, and measures it on
 * the held-out slab above. Perplexity and usage are over the codes of the whole volume. Most of a CT is uniform air, so a
 * second perplexity leaves out the most frequent code.
 *
 * @throws InvalidArgument if a variant does not exist
 */
export async function benchQuantisers(options: QuantisersBenchOptions = {}): Promise<BenchReport> {
  const { steps = 500, backend = 'auto', signal, onProgress } = options;
  const names = Object.keys(quantiserVariants);
  const { variants = names } = options;
  const unknown = variants.find((name) => !names.includes(name));
  if (unknown !== undefined) throw new InvalidArgument('variants', 'quantisers of the bench', unknown, names);
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
    for (const [i, variant] of variants.entries()) {
      onProgress?.({ done: i, total: variants.length, what: `quantisers (${variant})` });
      signal?.throwIfAborted();
      const run = await train({
        ...{ preset: 'toy', data, steps, backend, validation: 0, validateEvery: 0, checkpointEvery: 0 },
        model: { codes: CODES, ...quantiserVariants[variant] },
      });
      await finished(run, signal);
      const { backend: used } = await run.status();
      const label = `${variant}: toy, ${steps} steps, ${name}, ${used}`;
      rows.push(...(await measured(run, label, volume, held, signal)));
    }
    onProgress?.({ done: variants.length, total: variants.length, what: 'quantisers' });
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
  const codes = await encode(run, volume, { signal });
  const counts = codes.counts();
  const most = counts.indexOf(Math.max(...counts));
  const figures: [string, string, number | undefined][] = [
    ['PSNR of the held-out slab', 'dB', metrics?.psnr],
    ['SSIM of the held-out slab', '', metrics?.ssim],
    ['perplexity of the whole volume', 'codes', codes.perplexity],
    [
      'perplexity without the most frequent code',
      'codes',
      perplexity(counts.map((n, i) => (i === most ? 0 : n))),
    ],
    ['usage of the whole volume', '', codes.usage],
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
