import { expect, it } from 'vitest';
import { benchViewer } from '../../bench/viewer';

it('the viewer is measured: a page gets the first level before full resolution, and cells run meanwhile', async () => {
  const { bench, rows } = await benchViewer({ shape: [200, 180, 160], repeats: 2 });
  expect(bench).toBe('viewer');
  const of = (metric: string) => rows.find((row) => row.metric === metric)!;
  expect(of('first level').ours).toBeGreaterThan(0);
  expect(of('full resolution').ours).toBeGreaterThanOrEqual(of('first level').ours);
  expect(of('sent').ours).toBeGreaterThan(0.5);
  expect(of('a cell meanwhile').ratio).toBeGreaterThan(0);
  for (const row of rows) expect(row.ours).toBeGreaterThan(0);
}, 120_000);
