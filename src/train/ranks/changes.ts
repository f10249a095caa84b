import type { TrainingData } from '../data/loader';
import type { CheckpointState, DataPrint } from '../record/checkpoint';
import type { RunConfig } from '../settings/config';
import { settingAt } from '../settings/settings';

/** What a run trains on now, to be kept in its checkpoints. */
export function printOf({ train, validation, digests }: TrainingData): DataPrint {
  return { patches: { train: train.count, validation: validation.count }, digests };
}

/** Differences from the checkpoint that make it another run: of its settings, its volumes and their intensities. */
export function changesSince(state: CheckpointState, config: RunConfig, data: TrainingData): string[] {
  return [...changedSettings(state.config, config), ...changedData(state, data)];
}

function changedSettings(before: RunConfig, now: RunConfig): string[] {
  const [old, current] = [flatten(before), flatten(now)];
  return [...current].flatMap(([key, value]) => {
    const setting = settingAt(key);
    // Read as the current one is: one number stands for a size of three, and the order of keys says nothing.
    const was = setting?.read(old.get(key)) ?? old.get(key);
    const isFree = setting?.mayChange;
    // A setting that the checkpoint does not know is newer than it.
    if (isFree || !old.has(key) || JSON.stringify(was) === JSON.stringify(value)) return [];
    return [`${key} ${JSON.stringify(was)} -> ${JSON.stringify(value)}`];
  });
}

function changedData(state: CheckpointState, data: TrainingData): string[] {
  const [before, now] = [Object.entries(state.intensities), Object.entries(data.intensities)];
  if (before.length !== now.length) return [`volumes ${before.length} -> ${now.length}`];
  const changes = now.flatMap(([name, intensity], i) => {
    const [was, digest] = [before[i]![1], state.data?.digests[i]];
    const range = ({ name, low, high }: typeof intensity) => `${name} [${low}, ${high}]`;
    return [
      ...(digest === undefined || digest === data.digests[i] ? [] : [`${name} is another volume`]),
      ...(range(was) === range(intensity)
        ? []
        : [`intensity of ${name} ${range(was)} -> ${range(intensity)}`]),
    ];
  });
  const patches = printOf(data).patches;
  const counts = (['train', 'validation'] as const).flatMap((side) => {
    const count = state.data?.patches[side];
    return count === undefined || count === patches[side]
      ? []
      : [`${side} patches ${count} -> ${patches[side]}`];
  });
  return [...changes, ...counts];
}

/** `a, b, c and 7 more`. */
export function listed(changes: readonly string[]): string {
  const rest = changes.length - 5;
  return changes.slice(0, 5).join(', ') + (rest > 0 ? ` and ${rest} more` : '');
}

function flatten(config: RunConfig): Map<string, unknown> {
  const flat = new Map<string, unknown>();
  for (const [key, value] of Object.entries(config)) {
    const isGroup = key === 'model' || key === 'gan' || key === 'perceptual';
    if (!isGroup) flat.set(key, value);
    else for (const [part, each] of Object.entries(value as object)) flat.set(`${key}.${part}`, each);
  }
  return flat;
}
