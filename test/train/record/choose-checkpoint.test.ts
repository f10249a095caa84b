import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { type CheckpointState, saveCheckpoint } from '../../../src/train/record/checkpoint';
import { checkpointOfRun } from '../../../src/train/record/choose-checkpoint';
import { resolveConfig } from '../../../src/train/settings/config';
import { tiny } from '../tiny';

const folder = mkdtempSync(join(tmpdir(), 'patchwise-choose-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A run whose discriminators join after 10 steps, with its best checkpoint and its last. */
function runOf(name: string, discriminators: boolean, steps: { best?: number; last: number }): string {
  const gan = discriminators ? { slice: 1, start: 10, ramp: 5 } : {};
  const config = resolveConfig({ ...tiny, data: ['phantom:16x16x16'], gan });
  const dir = join(folder, name);
  const save = (step: number, best: boolean) => {
    const state = { step, config } as CheckpointState;
    saveCheckpoint(dir, { state, model: new Map(), optimiser: new Map() }, { best, keep: 5 });
  };
  if (steps.best !== undefined) save(steps.best, true);
  save(steps.last, steps.best === steps.last);
  return dir;
}

it.each([
  ['without discriminators the best', false, { best: 8, last: 40 }, 8, 'the best by validation psnr'],
  ['the last of a run without validation', false, { last: 40 }, 40, 'no validation'],
  ['the best before discriminators have joined', true, { best: 8, last: 10 }, 8, 'the best'],
  ['not the best from before they joined', true, { best: 8, last: 40 }, 40, 'before the discriminators'],
  ['not the best from their ramp', true, { best: 12, last: 40 }, 40, 'before the discriminators'],
  ['a best from after it', true, { best: 20, last: 40 }, 20, 'the best'],
] as const)('chooses %s', (name, discriminators, steps, step, why) => {
  const chosen = checkpointOfRun(runOf(name, discriminators, steps));
  expect(chosen.step).toBe(step);
  expect(chosen.why).toContain(why);
});

it('gives the one that was asked for, whatever its phase', () => {
  const dir = runOf('asked', true, { best: 8, last: 40 });
  expect(checkpointOfRun(dir, 'best').step).toBe(8);
  expect(checkpointOfRun(dir, 'last').step).toBe(40);
  expect(() => checkpointOfRun(runOf('none', false, { last: 3 }), 'best')).toThrow('none yet');
});
