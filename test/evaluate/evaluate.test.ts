import { expect, test } from 'vitest';
import { compareVolumes } from '../../src/evaluate/compare';
import { confidenceInterval } from '../../src/evaluate/confidence';
import { aggregateRows, metricNames } from '../../src/evaluate/evaluate';
import { msSsim } from '../../src/evaluate/ms-ssim';
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
  const rows = [row('linear', 30), row('gaussian', 32), row('linear', 34), row('gaussian', 38)];
  const [linear, gaussian] = aggregateRows(rows);
  expect([linear!.name, gaussian!.name]).toEqual(['linear', 'gaussian']);
  expect(linear!.metrics.psnr).toEqual(confidenceInterval([30, 34]));
  expect(gaussian!.metrics.psnr).toMatchObject({ mean: 35, count: 2 });
  expect(gaussian!.metrics.psnr!.low).toBeLessThan(gaussian!.metrics.psnr!.high);
  expect(aggregateRows(rows, { level: 0.5, seed: 7 })[0]!.metrics.psnr).toEqual(
    confidenceInterval([30, 34], { level: 0.5, seed: 7 }),
  );
});

test('what has no mean over all volumes is left out', () => {
  const rows = [row('linear', 30, { msSsim: 0.9 }), row('linear', Infinity)];
  const [linear] = aggregateRows(rows);
  expect(Object.keys(linear!.metrics)).toEqual(['mae', 'rmse']);
  expect(metricNames(rows)).toEqual(['psnr', 'ssim', 'mae', 'rmse', 'msSsim']);
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
