import { InvalidArgument } from '../errors';
import { checkShape, type Size, voxelCount } from '../vec3';

/** What two trainings have equal amounts of: optimiser steps, voxels seen, or wall time. */
export type Budget = 'steps' | 'voxels' | 'time';

export const budgets: readonly Budget[] = ['steps', 'voxels', 'time'];

/** What one optimiser step of a training takes. */
export interface StepLoad {
  readonly patch: Size;
  /** Patches per rank and pass; default 1. */
  readonly batch?: number;
  /** Default 1. */
  readonly ranks?: number;
  /** Passes a step; default 1. */
  readonly accumulate?: number;
  /** Wall time of a step, measured; needed for equal time. */
  readonly secondsPerStep?: number;
}

/** Voxels that all ranks together see in one step. */
export function voxelsPerStep({ patch, batch = 1, ranks = 1, accumulate = 1 }: StepLoad): number {
  return voxelCount(checkShape('patch', patch)) * batch * ranks * accumulate;
}

/**
 * The steps that give one training the budget of another; at least 1.
 *
 * ```ts
 * pw.equalSteps('voxels', { patch: [32, 32, 16], ranks: 4, steps: 300 }, { patch: [32, 32, 8] });   // 2,400
 * ```
 * @throws InvalidArgument for equal time without measured seconds per step
 */
export function equalSteps(
  budget: Budget,
  of: StepLoad & { readonly steps: number },
  other: StepLoad,
): number {
  if (!budgets.includes(budget)) throw new InvalidArgument('budget', 'a budget', budget, budgets);
  if (budget === 'steps') return of.steps;
  if (budget === 'voxels') return atLeastOne((of.steps * voxelsPerStep(of)) / voxelsPerStep(other));
  const [a, b] = [of.secondsPerStep, other.secondsPerStep];
  if (!(a !== undefined && b !== undefined && a > 0 && b > 0))
    throw new InvalidArgument('secondsPerStep', 'measured seconds of a step of both trainings', [a, b]);
  return atLeastOne((of.steps * a) / b);
}

function atLeastOne(steps: number): number {
  return Math.max(1, Math.round(steps));
}
