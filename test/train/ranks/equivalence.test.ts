import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { builtC10d } from '../../../src/train/collective/c10d/addon';
import type { Run } from '../../../src/train/run';
import { train } from '../../../src/train/train';
import { lastState, tiny, useTemporaryRuns } from '../tiny';

let removeRuns: () => void;
beforeAll(() => {
  removeRuns = useTemporaryRuns();
});
afterAll(() => removeRuns());

/**
 * 36 training patches in global batches of 24: every other step is an uneven tail of 12. `compareEvery: 1` lets the
 * ranks compare weights and codebooks, to the bit, after every step, and fails the run where they differ.
 */
const options = { ...tiny, tail: 'uneven', steps: 10, validateEvery: 10, compareEvery: 1 } as const;
const shapes = [
  { ranks: 1, batch: 6, accumulate: 4 },
  { ranks: 2, batch: 12, accumulate: 1 },
  { ranks: 2, batch: 3, accumulate: 4 },
  { ranks: 3, batch: 8, accumulate: 1 },
  { ranks: 3, batch: 4, accumulate: 2 },
  { ranks: 4, batch: 6, accumulate: 1 },
  { ranks: 4, batch: 2, accumulate: 3 },
];

const collectives = builtC10d() ? (['local', 'c10d'] as const) : (['local'] as const);
if (collectives.length === 1)
  console.error('skipped: c10d is not built (npx patchwise backend build libtorch)');
const cases = shapes.flatMap((shape) => collectives.map((collective) => ({ ...shape, collective })));

// Processes start slowly where other tests have the cores.
describe('N ranks equal one rank on the concatenated batch', { timeout: 180_000 }, () => {
  let one: Run;
  beforeAll(async () => {
    one = await train({ ...options, ranks: 1, batch: 24 });
    await one.done;
  }, 180_000);

  it.each(cases)('$ranks ranks, batch $batch, $accumulate passes a step, $collective', async (shape) => {
    const run = await train({ ...options, ...shape });
    await run.done;
    const [wanted, got] = [await one.records(), await run.records()];
    expect(wanted).toHaveLength(11);
    expect(got).toHaveLength(11);
    for (const [i, record] of wanted.entries())
      for (const key of [
        'loss',
        'reconstruction',
        'commitment',
        'perplexity',
        'gradientNorm',
        'psnr',
      ] as const)
        expect
          .soft(difference(record[key], got[i]![key]), `${key} of step ${record.step}`)
          .toBeLessThan(1e-5);
    const state = await lastState(run);
    for (const [name, data] of await lastState(one))
      expect.soft(largestDifference(data, state.get(name)!), name).toBeLessThan(1e-5);
  });
});

function difference(a: number | undefined, b: number | undefined): number {
  if (a === undefined && b === undefined) return 0;
  return Math.abs(a! - b!) / Math.max(1, Math.abs(a!));
}

function largestDifference(a: Float32Array, b: Float32Array): number {
  return a.reduce((most, value, i) => Math.max(most, difference(value, b[i])), 0);
}
