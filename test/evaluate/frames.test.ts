import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { InvalidArgument } from '../../src/errors';
import {
  danfo,
  describeFrame,
  fillMissing,
  frameOf,
  frameRows,
  frameToCsv,
  runFrame,
} from '../../src/evaluate/frames';
import type { MetricRecord } from '../../src/train/record/metrics-log';
import type { Run } from '../../src/train/run';

const folder = mkdtempSync(join(tmpdir(), 'patchwise-frames-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const rows = [
  { window: 'linear', psnr: 30, overlap: 0.25 },
  { window: 'gaussian', psnr: 31 },
  { window: 'linear', psnr: 33, overlap: 0.5 },
];

describe('frames', { timeout: 120_000 }, () => {
  it('have the columns of all rows, NaN and empty text for what is missing', () => {
    const frame = frameOf([...rows, { note: 'a, "b"' }]);
    expect(frame.columns).toEqual(['window', 'psnr', 'overlap', 'note']);
    expect(frameRows(frame)[3]).toEqual({
      window: '',
      psnr: Number.NaN,
      overlap: Number.NaN,
      note: 'a, "b"',
    });
    expect(() => frameOf([])).toThrow(InvalidArgument);
    expect(() => frameOf([{ index: 1 }])).toThrow(InvalidArgument);
  });

  it('load without a word on the console', () => {
    const said = vi.spyOn(console, 'warn');
    danfo();
    expect(said).not.toHaveBeenCalled();
  });

  it('group, join, compute and filter', () => {
    const frame = frameOf(rows);
    expect(frameRows(frame.groupby(['window']).agg({ psnr: 'mean' }))).toEqual([
      { window: 'linear', psnr_mean: 31.5 },
      { window: 'gaussian', psnr_mean: 31 },
    ]);
    const sigma = frameOf([{ window: 'gaussian', sigma: 0.125 }]);
    const joined = danfo().merge({ left: frame, right: sigma, on: ['window'], how: 'inner' });
    expect(frameRows(joined)).toMatchObject([{ window: 'gaussian', psnr: 31, sigma: 0.125 }]);
    const numbers = frameOf([
      { a: 1, b: 4 },
      { a: 2, b: 5 },
    ]);
    expect(numbers.add(1).values).toEqual([
      [2, 5],
      [3, 6],
    ]);
    expect(numbers.lt(3).values).toEqual([
      [true, false],
      [true, false],
    ]);
    expect(frameRows(frame.query(frame.column('psnr').gt(30.5))).map(({ psnr }) => psnr)).toEqual([31, 33]);
  });

  it('are described over the values that are there', () => {
    const described = frameRows(describeFrame(frameOf(rows)));
    expect(described.map(({ column }) => column)).toEqual(['psnr', 'overlap']);
    expect(described[1]).toMatchObject({ count: 2, mean: 0.375, min: 0.25, median: 0.375, max: 0.5 });
    expect(described[0]!.std).toBeCloseTo(Math.sqrt(7 / 3), 12);
  });

  it('fill what is missing, in `column()` too', () => {
    const filled = fillMissing(frameOf(rows), { overlap: 0 });
    expect(filled.column('overlap').values).toEqual([0.25, 0, 0.5]);
    expect(() => fillMissing(filled, { sigma: 0 })).toThrow(InvalidArgument);
  });

  it('become CSV that a reader gets back', async () => {
    const path = join(folder, 'out.csv');
    const text = await frameToCsv(frameOf([{ name: 'a, "b"\nc', psnr: 1 }, { name: 'd' }]), path);
    expect(text).toBe('name,psnr\n"a, ""b""\nc",1\nd,\n');
    expect(readFileSync(path, 'utf8')).toBe(text);
  });

  it('runFrame gives one row per record, nested values as columns', async () => {
    const record: MetricRecord = {
      step: 3,
      epoch: 0,
      time: 't',
      split: 'train',
      loss: 2,
      secondsByRank: [0.5, 0.75],
    };
    const run = { id: 'r', records: async () => [record] } as unknown as Run;
    expect(frameRows(await runFrame(run))).toEqual([
      {
        run: 'r',
        step: 3,
        epoch: 0,
        time: 't',
        split: 'train',
        loss: 2,
        'secondsByRank.0': 0.5,
        'secondsByRank.1': 0.75,
      },
    ]);
  });
});
