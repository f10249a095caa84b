import { expect, it } from 'vitest';
import { benchStep } from '../../bench/step';

it('trains beside PyTorch from the same weights, to the same losses', async () => {
  const setup = {
    preset: 'toy',
    shape: [16, 16, 16],
    repeats: 1,
    steps: 4,
    threads: 1,
    patience: 0,
  } as const;
  const { rows } = await benchStep({ ...setup, backends: ['wasm'] });
  expect(rows[0]).toMatchObject({ case: 'toy, 16 x 16 x 16, wasm', metric: 'step', unit: 'ms' });
  expect(rows[0]!.ours).toBeGreaterThan(0);
  const losses = rows.find(({ metric }) => metric.startsWith('largest distance of 4 losses'));
  if (losses) expect(losses.ours).toBeLessThan(1e-4);
  else console.log('skipped: no Python here has torch and numpy, so there is nothing to compare with');
});
