import { mkdtempSync, readdirSync, readlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { hasStalled, type Ranked, rankedWith } from '../../src/train/best';
import { type CheckpointState, saveCheckpoint } from '../../src/train/checkpoint';

const psnr = [20, 25, 23, Number.NaN, 25, 24, 10];

it('ranks by value, keeps the earlier of two equals and puts what is no number last', () => {
  let ranking: Ranked[] = [];
  for (const [step, value] of psnr.entries()) ranking = rankedWith(ranking, { step, value }, 'psnr', 3);
  expect(ranking.map(({ step }) => step)).toEqual([1, 4, 5]);
  ranking = [];
  for (const [step, value] of psnr.entries()) ranking = rankedWith(ranking, { step, value }, 'loss', 2);
  expect(ranking.map(({ step }) => step)).toEqual([6, 0]);
});

it('has stalled after so many validations without a better one', () => {
  const ranking = [{ step: 40, value: 25 }];
  const stalled = (step: number, patience = 3) => hasStalled(ranking, step, { patience, validateEvery: 20 });
  expect([40, 60, 80, 100, 120].map((step) => stalled(step))).toEqual([false, false, false, true, true]);
  expect(stalled(1000, 0)).toBe(false);
  expect(hasStalled([], 100, { patience: 1, validateEvery: 20 })).toBe(false);
});

it('keeps the checkpoints that rank, the newest and no other', () => {
  const run = mkdtempSync(join(tmpdir(), 'patchwise-best-'));
  let ranking: Ranked[] = [];
  for (const [step, value] of psnr.entries()) {
    ranking = rankedWith(ranking, { step, value }, 'psnr', 2);
    const best = { metric: 'psnr' as const, ...ranking[0]! };
    const state = { step, ranking, best } as unknown as CheckpointState;
    saveCheckpoint(
      run,
      { state, model: new Map(), optimiser: new Map() },
      { best: best.step === step, keep: 1 },
    );
  }
  const kept = readdirSync(join(run, 'checkpoints')).filter((name) => name.startsWith('step-'));
  expect(kept).toEqual([1, 4, 6].map((step) => `step-0000000${step}`));
  expect(readlinkSync(join(run, 'checkpoints', 'best'))).toBe('step-00000001');
});
