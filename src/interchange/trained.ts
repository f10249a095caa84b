import { existsSync } from 'node:fs';
import type { ModelConfig } from '../model/config';
import { createQuantiser } from '../model/quantisers/registry';
import { weightShapes } from '../model/weight-shapes';
import { chooseCheckpoint, type ModelSource, type PassOptions } from '../reconstruct/pass';
import type { StoredTensor } from '../safetensors';
import { type Checkpoint, readCheckpoint } from '../train/record/checkpoint';
import { usedModel } from '../train/record/choose-checkpoint';
import type { RunConfig } from '../train/settings/config';
import { toTorch } from './torch';

/** A trained generator by PyTorch's names and in its layout. */
export interface Trained {
  readonly config: RunConfig;
  /** Weights, and the quantiser's state. */
  readonly arrays: ReadonlyMap<string, StoredTensor>;
  /** What a program that runs the model elsewhere must know, as JSON by name. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** Says that codes are set, which PyTorch's model has no buffer for. */
export const INITIALISED = '.initialised';

/** Reads a model's checkpoint. @throws InvalidArgument if there is none, UnreadableFile if it is damaged */
export async function readTrained(
  model: ModelSource,
  { checkpoint: which, use }: Pick<PassOptions, 'checkpoint' | 'use'>,
): Promise<Trained> {
  const checkpoint = await readChosen(model, which);
  const { state } = checkpoint;
  const found = usedModel(checkpoint, use);
  const { config, step, patchwise, intensities } = state;
  const names = stateShapes(config.model)
    .map(({ name }) => name)
    .filter((name) => !name.endsWith(INITIALISED));
  const arrays = new Map(names.map((name) => [name, toTorch(name, found.get(name)!)]));
  const { patch, stride, intensity } = config;
  const metadata = {
    patchwise: JSON.stringify({ patchwise, step, model: config.model, patch, stride, intensity }),
    intensities: JSON.stringify(Object.values(intensities).slice(0, 1)),
  };
  return { config, arrays, metadata };
}

/** A run that trains may remove a checkpoint between the choice and the reading. */
async function readChosen(model: ModelSource, which: PassOptions['checkpoint']): Promise<Checkpoint> {
  for (let tries = 1; ; tries++) {
    const { dir } = await chooseCheckpoint(model, which);
    try {
      return readCheckpoint(dir);
    } catch (error) {
      if (existsSync(dir) || tries === 20) throw error;
    }
  }
}

/** Names and shapes, in our layout, of everything that a generator of this config consists of. */
export function stateShapes(config: ModelConfig): { name: string; shape: readonly number[] }[] {
  const quantiser = [...createQuantiser(config, 0).state()].map(([name, { shape }]) => ({ name, shape }));
  return [...weightShapes(config), ...quantiser];
}
