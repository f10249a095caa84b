import { expect, it } from 'vitest';
import { findPython } from '../../bench/python';
import { benchVolumes } from '../../bench/volumes';

it('reading, writing and converting are measured, beside the peers that are there', async () => {
  const python = await findPython(['nibabel', 'numpy']);
  const report = await benchVolumes({ shape: [24, 24, 24], repeats: 1 });
  expect(report.bench).toBe('volumes');
  expect(report.rows).toHaveLength(32);
  const cases = new Set(report.rows.map(({ case: name }) => name));
  expect(cases.size).toBe(8);
  for (const row of report.rows) {
    expect(row.ours).toBeGreaterThan(0);
    if (row.peerName === 'nibabel') expect(row.peer !== null).toBe(python !== undefined);
    if (row.peer === null) expect(row.ratio).toBeNull();
    else expect(row.ratio).toBeCloseTo(row.ours / row.peer, 9);
  }
});
