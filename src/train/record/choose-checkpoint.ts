import { isPatchwiseError } from '../../errors';
import { phaseOf } from './best';
import { findCheckpoint, readState, whileRotating } from './checkpoint';

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
 * Chooses a checkpoint of a run: the one asked for; else the best by validation; else the last. The last is also
 * taken where the best is from before discriminators joined, or had their full weight, and the last is not.
 * @throws InvalidArgument if there is none yet
 */
export function checkpointOfRun(runDir: string, which?: 'best' | 'last'): ChosenCheckpoint {
  return whileRotating(() => choose(runDir, which));
}

function choose(runDir: string, which?: 'best' | 'last'): ChosenCheckpoint {
  if (which === 'last') return described(findCheckpoint(runDir, 'last'), 'the last, as asked for');
  if (which === 'best') return described(findCheckpoint(runDir, 'best'), bestWhy);
  const last = findCheckpoint(runDir, 'last');
  const best = bestIfAny(runDir);
  if (best === undefined) return described(last, 'the last; no validation has ranked one');
  const { config, step } = readState(last);
  if (phaseOf(config.gan, readState(best).step) < phaseOf(config.gan, step))
    return described(last, 'the last; the best is from before the discriminators');
  return described(best, bestWhy);
}

/** A checkpoint that was named by its folder. */
export function checkpointAt(dir: string): ChosenCheckpoint {
  return described(dir, 'as named');
}

function bestWhy(metric: string): string {
  return `the best by validation ${metric}`;
}

function bestIfAny(runDir: string): string | undefined {
  try {
    return findCheckpoint(runDir, 'best');
  } catch (error) {
    if (isPatchwiseError(error, 'InvalidArgument')) return undefined;
    throw error;
  }
}

function described(dir: string, why: string | ((metric: string) => string)): ChosenCheckpoint {
  const { step, config } = readState(dir);
  return { dir, step, why: typeof why === 'string' ? why : why(config.bestMetric) };
}
