import { InvalidArgument } from '../errors';
import { median } from '../median';
import { forecastMemory } from '../model/forecast/forecast';
import type { Run } from '../train/run';
import { checkShape, type Size, voxelCount } from '../vec3';

/** What two trainings have equal amounts of: optimiser steps, voxels seen, or wall time. */
export type Budget = 'steps' | 'voxels' | 'time';

const budgets: readonly Budget[] = ['steps', 'voxels', 'time'];

/** What one optimiser step of a training takes. */
interface StepLoad {
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

/** Patches that all ranks together see in one step. */
function patchesPerStep({ batch = 1, ranks = 1, accumulate = 1 }: Omit<StepLoad, 'patch'>): number {
  return batch * ranks * accumulate;
}

/** Voxels that all ranks together see in one step. */
export function voxelsPerStep(load: StepLoad): number {
  return voxelCount(checkShape('patch', load.patch)) * patchesPerStep(load);
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
  const steps = (a: number, b: number) => Math.max(1, Math.round((of.steps * a) / b));
  if (budget === 'voxels') return steps(voxelsPerStep(of), voxelsPerStep(other));
  const [a, b] = [of.secondsPerStep, other.secondsPerStep];
  if (!(a !== undefined && b !== undefined && a > 0 && b > 0))
    throw new InvalidArgument('secondsPerStep', 'measured seconds of a step of both trainings', [a, b]);
  return steps(a, b);
}

/** What a run's training cost. */
export interface TrainingFigures {
  readonly ranks: number;
  readonly steps: number;
  /** Voxels that all ranks together have seen, repeats included. */
  readonly voxels: number;
  /** Wall time of its steps, from its first record to its last, in seconds. */
  readonly seconds: number;
  /** Median wall time of a step, the first ones left out. */
  readonly secondsPerStep: number;
  readonly patchesPerSecond: number;
  /** Forecast of what one rank needs for a step, in bytes. */
  readonly memory: number;
  /** Best validation PSNR, dB; of the run's own view of its own validation data. */
  readonly validationPsnr?: number;
}

/** The first steps of a run are slow: code is compiled, files are read. */
const WARM_UP = 5;

/** What a run's training cost, from its config and its records. */
export async function trainingFigures(run: Run): Promise<TrainingFigures> {
  const [config, course, status] = await Promise.all([run.config(), run.course(), run.status()]);
  const { records, best } = course;
  const train = records.filter(({ split }) => split === 'train');
  const times = train.map(({ time }) => Date.parse(time));
  const warm = train.length > 2 * WARM_UP ? train.slice(WARM_UP) : train;
  const patches = median(warm.flatMap(({ patchesPerSecond }) => patchesPerSecond ?? []));
  return {
    ranks: config.ranks,
    steps: status.step,
    voxels: status.step * voxelsPerStep(config),
    seconds: times.length > 1 ? (times.at(-1)! - times[0]!) / 1000 : 0,
    secondsPerStep: patchesPerStep(config) / patches,
    patchesPerSecond: patches,
    memory: forecastMemory(config.model, config.patch, config).total,
    ...(best && { validationPsnr: best.psnr! }),
  };
}
