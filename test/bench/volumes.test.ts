import { expect, it } from 'vitest';
import { findPython } from '../../bench/python';
import { benchVolumes } from '../../bench/volumes';

it('reading and writing are measured, beside nibabel where there is one', async () => {
  const python = await findPython(['nibabel', 'numpy']);
  const report = await benchVolumes({ shape: [24, 24, 24], repeats: 1 });
  expect(report.bench).toBe('volumes');
  expect(report.rows).toHaveLength(12);
  for (const row of report.rows) {
    expect(row.ours).toBeGreaterThan(0);
    if (python) expect(row.ratio).toBeCloseTo(row.ours / row.peer!, 9);
    else expect([row.peer, row.ratio]).toEqual([null, null]);
  }
});
