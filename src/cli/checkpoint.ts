import { Option } from 'commander';
import type { ChosenCheckpoint } from '../index';

/** The option by which every command that uses a run's model lets its checkpoint be chosen. */
export function checkpointOption(): Option {
  const byDefault =
    'default: the best by validation, or the last where that is from before the discriminators';
  return new Option('--checkpoint <which>', `which checkpoint of a run; ${byDefault}`).choices([
    'best',
    'last',
  ]);
}

/** Which model was used, as a line. */
export function modelLine({ step, why }: ChosenCheckpoint): string {
  return `model: step ${step}, ${why}`;
}
