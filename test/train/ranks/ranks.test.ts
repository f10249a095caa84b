import { rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { curve, finished, lastState, useTemporaryRuns } from '../tiny';

let removeRuns: () => void;
beforeAll(() => {
  removeRuns = useTemporaryRuns();
});
afterAll(() => removeRuns());

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

  it('resumes with another number of ranks on the same global batches, and says what changed', async () => {
    const options = { ranks: 2, batch: 2, steps: 12, validateEvery: 6, checkpointEvery: 6 };
    const whole = await finished({ ...options, steps: 20 });
    for (const [ranks, shape] of [
      [1, { batch: 2, accumulate: 2 }],
      [4, { batch: 1, accumulate: 1 }],
    ] as const) {
      const run = await finished(options);
      await (await run.resume({ steps: 20, ranks })).done;
      expect(await run.config()).toMatchObject({ ranks, ...shape });
      expect((await run.status()).note).toContain(`from step 12 on: ranks 2 -> ${ranks}`);
      expect((await run.status()).note).toContain(
        'the global batch stays 4: the same curve but for rounding',
      );
      const [got, wanted] = [await run.records(), await whole.records()].map((all) =>
        all.filter(({ split }) => split === 'train'),
      );
      expect(got!.map(({ step }) => step)).toEqual(wanted!.map(({ step }) => step));
      for (const [i, { loss }] of wanted!.entries()) expect(got![i]!.loss).toBeCloseTo(loss!, 5);
    }
    const three = await finished(options);
    await (await three.resume({ steps: 14, ranks: 3 })).done;
    expect((await three.status()).note).toContain('the global batch goes from 4 to 6 patches');
  });

  it('is done, on all ranks at one step, when validations bring nothing better', async () => {
    // A rate this small changes nothing that a float shows, so the second validation only equals the first.
    const run = await finished({ ranks: 2, steps: 40, learningRate: 1e-30, validateEvery: 3, patience: 2 });
    const status = await run.status();
    expect(status).toMatchObject({ state: 'done', restarts: 0 });
    const validations = (await run.records()).filter(({ split }) => split === 'validation');
    const best = validations.reduce((a, b) => (b.psnr! > a.psnr! ? b : a));
    expect(validations.at(-1)!.step).toBe(status.step);
    expect(status.step).toBe(best.step + 6);
    expect(status.step).toBeLessThan(40);
  });

  it('counts epochs to the end when another number of ranks takes other batches', async () => {
    // 36 patches: 9 steps of 4 an epoch; stopped after step 3 of the first, 24 are left: 4 steps of 6, then 6 more.
    const run = await finished({ ranks: 2, batch: 2, steps: 3, checkpointEvery: 3 });
    const config = { ...(await run.config()), epochs: 2, steps: undefined, ranks: 3 };
    writeFileSync(join(run.dir, 'config.json'), JSON.stringify(config));
    await (await run.resume()).done;
    expect(await run.status()).toMatchObject({ state: 'done', step: 3 + 4 + 6 });
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
