import { expect, test } from 'vitest';
import { compareVolumes } from '../../src/evaluate/compare';
import { confidenceInterval } from '../../src/evaluate/confidence';
import { aggregateRows } from '../../src/evaluate/metrics';
import { msSsim } from '../../src/fidelity/ms-ssim';
import { Volume } from '../../src/volume/volume';
import { noise } from '../patch/volumes';

const row = (name: string, psnr: number, more = {}) => ({
  name,
  psnr,
  ssim: psnr / 50,
  mae: 1,
  rmse: 2,
  ...more,
});

test('means over volumes are by window, each with its interval', () => {
  const values = [30, 34, 31, 35, 32, 33];
  const rows = values.flatMap((psnr) => [row('linear', psnr), row('gaussian', psnr + 2)]);
  const [linear, gaussian] = aggregateRows(rows);
  expect([linear!.name, gaussian!.name]).toEqual(['linear', 'gaussian']);
  expect(linear!.metrics.psnr).toEqual(confidenceInterval(values));
  expect(gaussian!.metrics.psnr).toMatchObject({ mean: 34.5, count: 6 });
  expect(gaussian!.metrics.psnr!.low).toBeLessThan(gaussian!.metrics.psnr!.high);
  expect(aggregateRows(rows, { level: 0.5, seed: 7 })[0]!.metrics.psnr).toEqual(
    confidenceInterval(values, { level: 0.5, seed: 7 }),
  );
});

test('a mean is over the volumes that have the metric, and says how many', () => {
  const rows = [
    row('linear', 30, { msSsim: 0.9 }),
    row('linear', Infinity),
    row('linear', 32, { ssim: Number.NaN }),
  ];
  const [linear] = aggregateRows(rows);
  expect(linear!.metrics).toMatchObject({
    psnr: { mean: 31, count: 2 },
    msSsim: { mean: 0.9, count: 1 },
    mae: { mean: 1, count: 3 },
  });
  expect(Object.keys(linear!.metrics)).toEqual(['psnr', 'ssim', 'msSsim', 'mae', 'rmse']);
  expect(aggregateRows([row('hann', Infinity)])[0]!.metrics).not.toHaveProperty('psnr');
});

test('MS-SSIM is measured where its five scales fit', () => {
  const volume = (shape: readonly [number, number, number], seed: number) =>
    new Volume({ shape, data: noise(shape, seed) });
  const large = compareVolumes(
    volume([176, 176, 176], 1),
    { other: volume([176, 176, 176], 2) },
    {
      intensity: [-1, 1],
    },
  );
  const clip = (seed: number) => noise([176, 176, 176], seed).map((v) => Math.min(1, Math.max(-1, v)));
  expect(large.metrics[0]!.msSsim).toBe(
    msSsim(clip(1), clip(2), { shape: [176, 176, 176], dataRange: 2, low: -1 }),
  );
  const small = compareVolumes(volume([176, 176, 175], 1), { other: volume([176, 176, 175], 2) });
  expect(small.metrics[0]).not.toHaveProperty('msSsim');
});
