import { planGrid } from '../../src/patch/grid';
import type { ShownComparison, ShownRecord, ShownVolume } from '../../src/plot/base/shown';
import { Random } from '../../src/random';

/** A volume whose value at [x, y, z] is `value(x, y, z)`, 1 x 1 x 2 mm, axes along the world's (RAS+). */
export function volumeOf(
  shape: readonly [number, number, number],
  value: (x: number, y: number, z: number) => number,
  affine: readonly number[] = [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 2, 0, 0, 0, 0, 1],
): ShownVolume {
  const data = new Float32Array(shape[0] * shape[1] * shape[2]);
  let at = 0;
  for (let z = 0; z < shape[2]; z++)
    for (let y = 0; y < shape[1]; y++) for (let x = 0; x < shape[0]; x++) data[at++] = value(x, y, z);
  return { shape, data, spacing: [1, 1, 2], affine, source: 'folder/sample.nii.gz' };
}

/** Hounsfield-like: air around a body of 40 HU with a vessel of 300. */
export const body: ShownVolume = volumeOf([24, 20, 12], (x, y, z) => {
  const radius = Math.hypot((x - 12) / 10, (y - 10) / 8);
  if (radius > 1) return -1000;
  return radius < 0.2 ? 300 + z : 40 + x / 4;
});

export function comparisonOf(reference: ShownVolume, names: readonly string[]): ShownComparison {
  const candidates = names.map((name, i) => ({
    name,
    volume: { ...reference, data: reference.data.map((value, at) => value + (at % 7) + i) },
  }));
  const axes = ['x', 'y', 'z'] as const;
  return {
    reference,
    candidates,
    metrics: names.map((name, i) => ({ name, psnr: 30 + i, ssim: 0.9, mae: 3.25 + i, rmse: 4 })),
    intensity: { name: 'ctpa (auto: because)', low: -200, high: 500, units: 'HU' },
    grid: planGrid(reference.shape, { patch: [12, 12, 8], stride: [8, 8, 4] }),
    seamProfiles: ['original', ...names].flatMap((name) =>
      axes.map((axis) => ({ name, axis, offsets: [-2, -1, 0, 1, 2], jump: [1, 1.1, 2, 1.1, 1] })),
    ),
  };
}

/** A run of `steps` steps on two ranks, validated every tenth step. */
export function recordsOf(steps: number, seed = 1): ShownRecord[] {
  const random = new Random(seed, 'plot-samples');
  return Array.from({ length: steps }, (_, i): ShownRecord[] => {
    const step = i + 1;
    const loss = Math.exp(-step / 20) + 0.01 + random.next() * 0.01;
    const train: ShownRecord = {
      step,
      split: 'train',
      loss,
      perplexity: 10 + step,
      usage: 0.5,
      patchesPerSecond: 12,
      secondsByRank: [0.3, 0.31],
    };
    if (step % 10 !== 0) return [train];
    return [train, { step, split: 'validation', loss, psnr: 20 + step / 10, perplexity: 9, usage: 0.4 }];
  }).flat();
}
