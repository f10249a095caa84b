import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { InvalidArgument, UnreadableFile } from '../../errors';
import type { StoredTensor } from '../../safetensors';
import { AVERAGE_PREFIX } from '../learn/average';
import type { WeightsName } from '../settings/config';
import { phaseOf } from './best';
import { type Checkpoint, checkpointsOf, linked, readState } from './checkpoint';

/** The checkpoint of a run that is used, and why. */
export interface ChosenCheckpoint {
  /** Its folder. */
  readonly dir: string;
  /** Optimiser steps done. */
  readonly step: number;
  /** In words. */
  readonly why: string;
}

/**
 * Folder of a run's `last` or `best` checkpoint; the newest that is there, where the last is gone.
 * @throws InvalidArgument if there is none yet
 */
export function findCheckpoint(runDir: string, which: 'last' | 'best' = 'last'): string {
  const found = checkpointIfAny(runDir, which);
  if (found !== undefined) return found;
  const root = join(runDir, 'checkpoints');
  const target = linked(root, which);
  const received = target === undefined ? 'none yet' : `${target}, which is gone`;
  throw new InvalidArgument('checkpoint', `a ${which} checkpoint in ${root}`, received);
}

function checkpointIfAny(runDir: string, which: 'last' | 'best'): string | undefined {
  const root = join(runDir, 'checkpoints');
  const isThere = (name: string) => existsSync(join(root, name, 'state.json'));
  // In a copy of the run the link may have become a folder (scp, cloud storage).
  const named = linked(root, which) ?? which;
  if (isThere(named)) return join(root, named);
  const newest = which === 'last' ? checkpointsOf(runDir).findLast(isThere) : undefined;
  return newest && join(root, newest);
}

/**
 * Finds and reads a checkpoint of a run that may be training. If a newer checkpoint has replaced it meanwhile, it tries
 * again.
 */
export function whileRotating<T>(read: () => T): T {
  for (let tries = 1; ; tries++) {
    try {
      return read();
    } catch (error) {
      const isGone = error instanceof UnreadableFile && !existsSync(dirname(error.path));
      if (!isGone || tries === 20) throw error;
    }
  }
}

/**
 * Chooses a checkpoint of a run: the one asked for; else the best by validation; else the last. The last is also
 * taken where the best is from before discriminators joined, or had their full weight, and the last is not.
 * @throws InvalidArgument if there is none yet
 */
export function checkpointOfRun(runDir: string, which?: 'best' | 'last'): ChosenCheckpoint {
  return whileRotating(() => {
    if (which === 'last') return described(findCheckpoint(runDir, 'last'), 'the last, as asked for');
    if (which === 'best') return described(findCheckpoint(runDir, 'best'));
    const last = findCheckpoint(runDir, 'last');
    const best = checkpointIfAny(runDir, 'best');
    if (best === undefined) return described(last, 'the last; no validation has ranked one');
    const { config, step } = readState(last);
    if (phaseOf(config.gan, readState(best).step) < phaseOf(config.gan, step))
      return described(last, 'the last; the best is from before the discriminators');
    return described(best);
  });
}

/** A checkpoint that was named by its folder. */
export function checkpointAt(dir: string): ChosenCheckpoint {
  return described(dir, 'as named');
}

function described(dir: string, why?: string): ChosenCheckpoint {
  const { step, config } = readState(dir);
  return { dir, step, why: why ?? `the best by validation ${config.bestMetric}` };
}

/**
 * The weights of a checkpoint to compute with: those asked for, by default those its run says to use. Averaged weights
 * replace the trained ones.
 * @throws InvalidArgument where the run kept no average
 */
export function usedModel(
  { model, state }: Pick<Checkpoint, 'model' | 'state'>,
  use: WeightsName = state.config.use ?? 'trained',
): ReadonlyMap<string, StoredTensor> {
  if (use === 'trained') return model;
  const averages = [...model].filter(([name]) => name.startsWith(AVERAGE_PREFIX));
  if (averages.length === 0)
    throw new InvalidArgument('use', "'trained': the run kept no average of its weights", 'average');
  const weights = averages.map(([name, value]) => [name.slice(AVERAGE_PREFIX.length), value] as const);
  return new Map([...model, ...weights]);
}
