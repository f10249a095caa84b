import { expect, it } from 'vitest';
import { benchStore } from '../../bench/store';

it('the store is measured beside the file it was made from', async () => {
  const report = await benchStore({ shape: [48, 40, 40], patch: [32, 32, 16], repeats: 1 });
  expect(report.bench).toBe('store');
  expect(report.rows.map(({ metric }) => metric)).toEqual([
    'time',
    'processor time',
    'size',
    'time',
    'time a patch',
    'time a patch',
  ]);
  for (const { ours } of report.rows) expect(ours).toBeGreaterThan(0);
});
