import { mkdtempSync, readdirSync, readlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { PRESETS } from '../../../src/model/presets';
import { hasStalled, phaseOf, type Ranked, rankedWith } from '../../../src/train/record/best';
import { type CheckpointState, saveCheckpoint } from '../../../src/train/record/checkpoint';
import type { BestMetric } from '../../../src/train/settings/measures';

const gan = { ...PRESETS.toy.gan, slice: 0, patch: 0 };
const by = (bestMetric: BestMetric, keepBest: number) => ({ bestMetric, keepBest, gan });
const psnr = [20, 25, 23, Number.NaN, 25, 24, 10];

it('ranks by value, keeps the earlier of two equals and puts what is no number last', () => {
  let ranking: Ranked[] = [];
  for (const [step, value] of psnr.entries()) ranking = rankedWith(ranking, { step, value }, by('psnr', 3));
  expect(ranking.map(({ step }) => step)).toEqual([1, 4, 5]);
  ranking = [];
  for (const [step, value] of psnr.entries()) ranking = rankedWith(ranking, { step, value }, by('loss', 2));
  expect(ranking.map(({ step }) => step)).toEqual([6, 0]);
});

it('has stalled after so many validations without a better one', () => {
  const ranking = [{ step: 40, value: 25 }];
  const stalled = (step: number, patience = 3) =>
    hasStalled(ranking, step, { patience, validateEvery: 20, gan });
  expect([40, 60, 80, 100, 120].map((step) => stalled(step))).toEqual([false, false, false, true, true]);
  expect(stalled(1000, 0)).toBe(false);
  expect(hasStalled([], 100, { patience: 1, validateEvery: 20, gan })).toBe(false);
});

describe('with discriminators', () => {
  const joining = { ...gan, slice: 1, start: 40, ramp: 20 };

  it('a checkpoint belongs to the phase of its last step', () => {
    expect([20, 40, 41, 59, 60, 61].map((step) => phaseOf(joining, step))).toEqual([0, 0, 1, 1, 2, 2]);
    expect([40, 41].map((step) => phaseOf({ ...joining, ramp: 0 }, step))).toEqual([0, 2]);
    expect(phaseOf(gan, 1000)).toBe(0);
  });

  it('only checkpoints of the newest phase rank, however good the others were', () => {
    const config = { ...by('psnr', 2), gan: joining };
    const bests: number[][] = [];
    let ranking: Ranked[] = [];
    for (const [step, value] of [
      [20, 30],
      [40, 32],
      [50, 31],
      [60, 29],
      [80, 28],
      [100, 29.5],
    ] as const) {
      ranking = rankedWith(ranking, { step, value }, config);
      bests.push(ranking.map((one) => one.step));
    }
    expect(bests).toEqual([[20], [40, 20], [50], [60], [60, 80], [100, 60]]);
  });

  it('a run does not stall before they have their full weight', () => {
    const config = { patience: 2, validateEvery: 10, gan: joining };
    expect(hasStalled([{ step: 10, value: 30 }], 40, config)).toBe(false);
    expect(hasStalled([{ step: 50, value: 30 }], 59, config)).toBe(false);
    expect(hasStalled([{ step: 60, value: 30 }], 70, config)).toBe(false);
    expect(hasStalled([{ step: 60, value: 30 }], 80, config)).toBe(true);
  });
});

it('keeps the checkpoints that rank, the newest and no other', () => {
  const run = mkdtempSync(join(tmpdir(), 'patchwise-best-'));
  let ranking: Ranked[] = [];
  for (const [step, value] of psnr.entries()) {
    ranking = rankedWith(ranking, { step, value }, by('psnr', 2));
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
