import { rmSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Run } from '../../src/train/run';
import { train } from '../../src/train/train';
import { curve, lastState, tiny, useTemporaryRuns } from './tiny';

let removeRuns: () => void;
beforeAll(() => {
  removeRuns = useTemporaryRuns();
});
afterAll(() => removeRuns());

async function finished(options: object): Promise<Run> {
  const run = await train({ ...tiny, ...options });
  await run.done;
  return run;
}

// Processes start slowly where other tests have the cores.
describe('ranks', { timeout: 180_000 }, () => {
  it('the same seed gives the same curve and weights to the bit, another seed does not', async () => {
    const [a, b, c] = [
      await finished({ ranks: 2 }),
      await finished({ ranks: 2 }),
      await finished({ ranks: 2, seed: 12 }),
    ];
    expect(curve(await b.records())).toEqual(curve(await a.records()));
    expect(await lastState(b)).toEqual(await lastState(a));
    expect(curve(await c.records())).not.toEqual(curve(await a.records()));
  });

  it('a resumed run equals the uninterrupted one to the bit, in the middle of an epoch', async () => {
    const whole = await finished({ ranks: 2, steps: 30, validateEvery: 10 });
    const resumed = await finished({ ranks: 2, steps: 12, validateEvery: 10 });
    await (await resumed.resume({ steps: 30 })).done;
    // The end of the first part is validated, as every end is.
    const records = (await resumed.records()).filter(({ split, step }) => split === 'train' || step !== 12);
    expect(curve(records)).toEqual(curve(await whole.records()));
    expect(await lastState(resumed)).toEqual(await lastState(whole));

    // A truncated checkpoint is passed over for the one before, and the run comes to the same end.
    truncateSync(join(await resumed.checkpoint('last'), 'model.safetensors'), 99);
    await (await resumed.resume()).done;
    expect((await resumed.logs())['rank-0']).toContain('checkpoint step-00000030 passed over');
    expect(await lastState(resumed)).toEqual(await lastState(whole));
    expect(
      curve((await resumed.records()).filter(({ split, step }) => split === 'train' || step !== 12)),
    ).toEqual(curve(await whole.records()));
    rmSync(resumed.dir, { recursive: true });
  });
});
