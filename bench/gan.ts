import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type LongCall,
  type MetricRecord,
  phantom,
  psnr,
  type Run,
  readVolume,
  reconstruct,
  ssim,
  train,
  type Vec3,
  Volume,
  writeVolume,
} from '../src/index';
import { resolveIntensity, toModel } from '../src/internal';
import { type BenchReport, type BenchRow, machine } from './report';

export interface GanBenchOptions extends LongCall {
  /** A CT file; default the chest CT beside the repository, else a phantom. */
  readonly data?: string;
  /** Steps with discriminators, after half as many steps without; default 500. */
  readonly steps?: number;
  readonly backend?: string;
}

const CHEST = join('..', 'shared', 'data', 'chest-ct-lidc.nii.gz');
/** Fraction of the volume at its upper z end that both runs hold out. */
const HELD_OUT = 0.15;

/**
 * Compares the `toy` preset with and without discriminators, for the same number of steps from the same seed, on the slab
 * that both runs hold out. "ours" is with discriminators, "peer" is L1 only. Throws if a loss of the run with
 * discriminators is not finite or does not change.
 */
export async function benchGan(options: GanBenchOptions = {}): Promise<BenchReport> {
  const { steps = 500, backend = 'auto', signal, onProgress } = options;
  const start = Math.floor(steps / 2);
  const folder = await mkdtemp(join(tmpdir(), 'patchwise-bench-gan-'));
  const before = process.env.PATCHWISE_RUNS;
  process.env.PATCHWISE_RUNS = folder;
  try {
    const data = options.data ?? (existsSync(CHEST) ? CHEST : join(folder, 'phantom.nii'));
    if (!existsSync(data)) await writeVolume(data, phantom({ shape: [96, 96, 80] }));
    const total = start + steps;
    const common = {
      preset: 'toy',
      data,
      steps: total,
      validation: HELD_OUT,
      validateEvery: 0,
      backend,
    } as const;
    const gan = { slice: 1, patch: 1, start, ramp: Math.floor(steps / 5) };
    const runs: Run[] = [];
    for (const [i, extra] of [{}, { gan }].entries()) {
      const run = await train({ ...common, ...extra, name: ['l1', 'gan'][i]! });
      runs.push(run);
      for await (const { step, split } of run.metrics({ signal }))
        if (split === 'train') onProgress?.({ done: i * total + step, total: 2 * total, what: 'steps' });
      await run.done;
    }
    const slab = heldOut(await readVolume(data), HELD_OUT);
    const [plain, sharp] = (await Promise.all(
      runs.map(async (run) => measure(slab, await reconstruct(run, slab, { checkpoint: 'last', signal }))),
    )) as [Measured, Measured];
    const records = await runs[1]!.records();
    const { backend: used } = await runs[1]!.status();
    const what = `${data === CHEST ? 'chest CT' : data}, ${used}`;
    const rows = (Object.keys(plain) as (keyof Measured)[]).map((metric): BenchRow => {
      const [ours, peer] = [sharp[metric], plain[metric]];
      return {
        case: what,
        ...UNITS[metric],
        ours,
        peer,
        peerName: 'L1 alone',
        ratio: ours / peer,
      };
    });
    return { bench: 'gan', machine: machine(), rows: [...rows, ...courses(records, start)] };
  } finally {
    if (before === undefined) delete process.env.PATCHWISE_RUNS;
    else process.env.PATCHWISE_RUNS = before;
    await rm(folder, { recursive: true, force: true, maxRetries: 3 });
  }
}

interface Measured {
  /** Mean gradient magnitude divided by that of the original: 1 is equally sharp. */
  readonly sharpness: number;
  readonly psnr: number;
  readonly ssim: number;
}

const UNITS: Record<keyof Measured, { metric: string; unit: string }> = {
  sharpness: { metric: 'mean gradient magnitude', unit: 'of the original' },
  psnr: { metric: 'PSNR', unit: 'dB' },
  ssim: { metric: 'SSIM', unit: '' },
};

/** Compares in the model's values, because the model cannot restore values that its intensity clips. */
function measure(original: Volume, reconstruction: Volume): Measured {
  const intensity = resolveIntensity('auto', original);
  const [a, b] = [original, reconstruction].map(({ data }) => toModel(data, intensity)) as [
    Float32Array,
    Float32Array,
  ];
  return {
    sharpness: gradientMagnitude(b, original.shape) / gradientMagnitude(a, original.shape),
    psnr: psnr(a, b, { dataRange: 2 }),
    ssim: ssim(a, b, { shape: original.shape, dataRange: 2, low: -1 }),
  };
}

/** Mean length of the vector of differences to the next voxels along x, y and z. */
function gradientMagnitude(data: Float32Array, [nx, ny, nz]: Vec3): number {
  let sum = 0;
  for (let z = 0; z < nz - 1; z++)
    for (let y = 0; y < ny - 1; y++)
      for (let x = 0; x < nx - 1; x++) {
        const at = (z * ny + y) * nx + x;
        const here = data[at]!;
        sum += Math.hypot(data[at + 1]! - here, data[at + nx]! - here, data[at + nx * ny]! - here);
      }
  return sum / ((nx - 1) * (ny - 1) * (nz - 1));
}

/** The slab at the upper z end that a run of one volume holds out. */
function heldOut(volume: Volume, fraction: number): Volume {
  const [nx, ny, nz] = volume.shape;
  const depth = Math.floor(fraction * nz);
  return new Volume({
    shape: [nx, ny, depth],
    data: volume.data.slice(nx * ny * (nz - depth)),
    spacing: volume.spacing,
  });
}

/** The losses' means over the first ("peer") and last ("ours") tenth of the adversarial phase. */
function courses(records: readonly MetricRecord[], start: number): BenchRow[] {
  const phase = records.filter(({ split, step }) => split === 'train' && step > start);
  return (['adversarial', 'discriminator', 'features', 'reconstruction'] as const).map((loss) => {
    const values = phase.map((record) => record[loss] ?? Number.NaN);
    if (values.some((value) => !Number.isFinite(value))) throw new Error(`${loss} is not finite`);
    if (new Set(values).size < values.length / 2) throw new Error(`${loss} stands still`);
    const tenth = Math.max(1, Math.floor(values.length / 10));
    const mean = (part: readonly number[]) => part.reduce((sum, value) => sum + value, 0) / part.length;
    const [peer, ours] = [mean(values.slice(0, tenth)), mean(values.slice(-tenth))];
    const name = { case: 'course of a loss', metric: loss, unit: '', peerName: 'first tenth' };
    return { ...name, ours, peer, ratio: ours / peer };
  });
}
