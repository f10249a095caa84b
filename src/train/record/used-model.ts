import { InvalidArgument } from '../../errors';
import type { StoredTensor } from '../../safetensors';
import { AVERAGE_PREFIX } from '../learn/average';
import type { WeightsName } from '../settings/config';
import type { Checkpoint } from './checkpoint';

/** The weights of a checkpoint to compute with: those that are asked for, by default those its run says to use. */
export function usedModel(
  { model, state }: Pick<Checkpoint, 'model' | 'state'>,
  use: WeightsName = state.config.use ?? 'trained',
): ReadonlyMap<string, StoredTensor> {
  return use === 'average' ? averagedModel(model) : model;
}

/**
 * A checkpoint's model with its averaged weights in the place of the trained ones.
 * @throws InvalidArgument where the run kept no average
 */
function averagedModel(model: ReadonlyMap<string, StoredTensor>): Map<string, StoredTensor> {
  const averages = [...model].filter(([name]) => name.startsWith(AVERAGE_PREFIX));
  if (averages.length === 0)
    throw new InvalidArgument('use', "'trained': the run kept no average of its weights", 'average');
  return new Map([
    ...model,
    ...averages.map(([name, value]) => [name.slice(AVERAGE_PREFIX.length), value] as const),
  ]);
}
