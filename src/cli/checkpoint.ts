import { Option } from 'commander';
import type { ChosenCheckpoint } from '../index';

/** The option that chooses a checkpoint, for every command that uses a run's model. */
export function checkpointOption(): Option {
  const byDefault =
    'default: the best by validation, or the last if the best is older than the discriminators';
  return new Option('--checkpoint <which>', `which checkpoint of a run; ${byDefault}`).choices([
    'best',
    'last',
  ]);
}

/** A line that names the model used. */
export function modelLine({ step, why }: ChosenCheckpoint): string {
  return `model: step ${step}, ${why}`;
}
