import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encode } from '../../../src/codes/encode';
import { chooseCheckpoint } from '../../../src/reconstruct/pass';
import { reconstruct } from '../../../src/reconstruct/reconstruct';
import { readCheckpoint } from '../../../src/train/record/checkpoint';
import type { Run } from '../../../src/train/run';
import { runSummaries, runsSideBySide } from '../../../src/train/runs';
import type { TrainOptions } from '../../../src/train/settings/config';
import { train } from '../../../src/train/train';
import { phantom } from '../../../src/volume/phantom/phantom';
import { curve, finished, lastState, tiny, useTemporaryRuns } from '../tiny';

let removeRuns: () => void;
beforeAll(() => {
  removeRuns = useTemporaryRuns();
});
afterAll(() => removeRuns());

/** Discriminators join at the third step; everything that a step can train is there, with every kind of state. */
const options: TrainOptions = {
  ...tiny,
  backend: 'wasm',
  gan: { slice: 1, patch: 1, start: 2, ramp: 2, adaptive: true, channels: 4, norm: 'batch' },
  optimiser: 'adamw',
  weightDecay: 0.01,
  warmup: 2,
  average: 0.9,
  use: 'average',
  steps: 6,
  validateEvery: 3,
  checkpointEvery: 3,
};

const finishedGan = (more: TrainOptions): Promise<Run> => finished({ ...options, ...more });

describe('a run with discriminators', { timeout: 180_000 }, () => {
  it('records their losses from when they join, and keeps everything in its checkpoint', async () => {
    const run = await finishedGan({ batch: 2 });
    const records = (await run.records()).filter(({ split }) => split === 'train');
    expect(records.map(({ adversarial }) => adversarial !== undefined)).toEqual([
      false,
      false,
      true,
      true,
      true,
      true,
    ]);
    for (const { adversarial, features, discriminator, logitsReal, logitsFake } of records.slice(2))
      for (const figure of [adversarial, features, discriminator, logitsReal, logitsFake])
        expect(Number.isFinite(figure)).toBe(true);
    expect(new Set(records.slice(2).map(({ discriminator }) => discriminator)).size).toBe(4);
    expect(records.map(({ learningRate }) => learningRate! / 2e-3)).toEqual([0.5, 1, 1, 1, 1, 1]);
    const { state, model, optimiser } = readCheckpoint(await run.checkpoint('last'));
    expect(state).toMatchObject({ adamSteps: 6, discriminatorSteps: 4 });
    for (const name of ['image_discriminator.model1.1.weight', 'average.decoder.conv_last.conv.weight'])
      expect(model.has(name)).toBe(true);
    expect(optimiser.has('exp_avg_sq.video_discriminator.model0.0.weight')).toBe(true);
  });

  it('equals one rank on the concatenated batch, over an uneven tail too', async () => {
    const uneven = { tail: 'uneven', ranks: 1, batch: 24, steps: 6 } as const;
    const one = await finishedGan(uneven);
    const many = await finishedGan({ ...uneven, ranks: 3, batch: 8 });
    const [wanted, got] = [await one.records(), await many.records()];
    expect(got).toHaveLength(wanted.length);
    for (const [i, record] of wanted.entries())
      for (const key of ['loss', 'adversarial', 'discriminator', 'features', 'psnr'] as const)
        expect.soft(apart(record[key], got[i]![key]), `${key} of step ${record.step}`).toBeLessThan(1e-4);
  });

  it('goes on from a checkpoint to the bit, before the discriminators join and after', async () => {
    const whole = await finishedGan({});
    for (const steps of [1, 4]) {
      const short = await finishedGan({ steps, checkpointEvery: 1 });
      const longer = await short.resume({ steps: 6 });
      await longer.done;
      const state = await lastState(longer);
      for (const [name, data] of await lastState(whole)) expect(state.get(name), name).toEqual(data);
      const of = async (run: Run) => curve((await run.records()).filter(({ split }) => split === 'train'));
      expect(await of(longer)).toEqual(await of(whole));
    }
  });
});

describe('the checkpoint that is used', { timeout: 180_000 }, () => {
  it('of a run with discriminators is one that they have trained, and is the same for every tool', async () => {
    const run = await finishedGan({ validateEvery: 1, checkpointEvery: 1 });
    const chosen = await chooseCheckpoint(run);
    // They join at step 3 and have their full weight with step 4.
    expect(chosen.step).toBeGreaterThanOrEqual(4);
    expect(chosen.why).toBe('the best by validation psnr');
    const after = (await run.records()).filter(({ split, step }) => split === 'validation' && step >= 4);
    const best = after.reduce((a, b) => (b.psnr! > a.psnr! ? b : a));
    expect(chosen.step).toBe(best.step);
    // What lists of runs and tables of trainings show is of that checkpoint too.
    expect((await run.course()).best?.step).toBe(best.step);
    expect((await runSummaries([run]))[0]).toMatchObject({ preset: 'toy', best: { step: best.step } });
    expect((await runsSideBySide([run])).results[0]).toMatchObject({ bestStep: best.step });
    const volume = phantom({ shape: [16, 16, 16] });
    const made = await reconstruct(run, volume, { workers: 1, backend: 'cpu' });
    expect(made.checkpoint).toEqual(chosen);
    const codes = await encode(run, volume, { workers: 1, backend: 'cpu' });
    expect(codes.model.checkpoint).toBe(chosen.dir);
    expect(await chooseCheckpoint(run, 'last')).toMatchObject({ step: 6 });
  });
});

describe('a run that diverges', { timeout: 120_000 }, () => {
  it.each([{ checkpointEvery: 0 }, { checkpointEvery: 1 }])(
    'stops on all ranks, says why, and keeps no weights that have blown up: %j',
    async (more) => {
      const run = await train({
        ...options,
        ranks: 2,
        learningRate: 1e30,
        validateEvery: 0,
        warmup: 3,
        steps: 20,
        ...more,
      });
      await expect(run.done).rejects.toThrow(
        /diverged.*(step \d+ .* is -?(NaN|Infinity|[\d.]+e\+\d+)).*There is no checkpoint\. Start again/s,
      );
      await expect(run.checkpoint('last')).rejects.toThrow('none yet');
      expect((await run.status()).restarts).toBe(0);
    },
  );

  it('names the checkpoint from before, and goes on from it with a smaller rate that is meant', async () => {
    const run = await train({ ...options, steps: 3, checkpointEvery: 3, validateEvery: 0 });
    await run.done;
    const path = join(run.dir, 'config.json');
    const edit = (learningRate: number) =>
      writeFileSync(path, JSON.stringify({ ...JSON.parse(readFileSync(path, 'utf8')), learningRate }));
    edit(1e30);
    await (await run.resume({ steps: 8, acceptChanges: true })).done.then(
      () => expect.fail('it did not diverge'),
      ({ message }: Error) => expect(message).toContain('The newest checkpoint is of step 3; from there'),
    );
    edit(1e-4);
    await (await run.resume({ steps: 8, acceptChanges: true })).done;
    expect((await run.status()).note).toContain('learningRate');
    const steps = (await run.records()).filter(({ split }) => split === 'train');
    expect(steps.map(({ step }) => step)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    expect(steps.at(-1)!.learningRate).toBe(1e-4);
  });
});

function apart(a: number | undefined, b: number | undefined): number {
  if (a === undefined && b === undefined) return 0;
  return Math.abs(a! - b!) / Math.max(1, Math.abs(a!));
}
