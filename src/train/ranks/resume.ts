/** Going on with a run: its config, the checkpoint to start from, and what has changed since. */

import { copyFileSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { attempt, InvalidConfig } from '../../errors';
import type { Collective } from '../collective/collective';
import type { TrainingData } from '../data/loader';
import {
  type Checkpoint,
  type CheckpointState,
  checkpointDir,
  type DataPrint,
  linkAgain,
  newestCheckpoint,
  newestState,
  readCheckpoint,
  removeHalfWritten,
} from '../record/checkpoint';
import { wholeBytes } from '../record/metrics-tail';
import {
  metricsPath,
  parseConfig,
  readStoredConfig,
  type StoredConfig,
  settingsOf,
} from '../record/run-folder';
import { checkedConfig } from '../settings/check';
import { byPath, type RunConfig } from '../settings/config';
import { groups, settingAt } from '../settings/settings';

/**
 * The config of a run that a user resumes now, and may have edited.
 * @throws InvalidConfig with everything that is wrong in it
 */
export function configToResume(runDir: string, acceptChanges = false): StoredConfig {
  const path = join(runDir, 'config.json');
  const stored = readStoredConfig(runDir);
  // An unreadable file may be an edit with a comma too many, so a copy is kept.
  if (existsSync(path) && !isConfig(path)) copyFileSync(path, `${path}.damaged`);
  let config: RunConfig;
  try {
    config = checkedConfig(settingsOf(stored));
  } catch (error) {
    throw error instanceof InvalidConfig ? new InvalidConfig(error.problems, `${path}: `) : error;
  }
  const from = newestState(runDir)?.step ?? 0;
  return { ...stored, ...config, resumed: { from, ...(acceptChanges && { acceptChanges }) } };
}

function isConfig(path: string): boolean {
  return attempt(() => parseConfig(readFileSync(path, 'utf8'))) !== undefined;
}

/**
 * The config of a run for another number of ranks. The global batch keeps its size, in as many passes as needed, if the
 * ranks can share it evenly; else `batch` and `accumulate` stay as they are.
 */
export function withRanks(config: StoredConfig, ranks: number): StoredConfig {
  if (!Number.isInteger(ranks) || ranks < 1)
    throw new InvalidConfig([{ key: 'ranks', expected: 'a whole number above 0', received: ranks }]);
  const perRank = globalBatch(config) / ranks;
  if (!Number.isInteger(perRank)) return { ...config, ranks };
  let { batch } = config;
  while (perRank % batch !== 0) batch--;
  return { ...config, ranks, batch, accumulate: perRank / batch };
}

/** The newest whole checkpoint as rank 0 finds it, read by every rank, with notes for users; undefined if there is none. */
export async function checkpointOfAll(
  runDir: string,
  collective: Collective,
): Promise<{ checkpoint: Checkpoint | undefined; notes: string[] }> {
  const notes: string[] = [];
  let found: Checkpoint | undefined;
  if (collective.rank === 0) {
    removeHalfWritten(runDir);
    linkAgain(runDir);
    found = checkpointToResume(runDir, (note) => notes.push(note));
  }
  for (const note of notes) console.error(note);
  const step = found?.state.step ?? 0;
  // In two halves, because a float32 holds whole numbers of 24 bits only.
  const told = Float32Array.of(found ? 1 : 0, Math.floor(step / 2 ** 16), step % 2 ** 16);
  await collective.broadcast([told], 0, 'checkpoint');
  if (told[0] === 0) return { checkpoint: undefined, notes };
  const checkpoint = found ?? readCheckpoint(checkpointDir(runDir, told[1]! * 2 ** 16 + told[2]!));
  console.error(`rank ${collective.rank} goes on from the checkpoint of step ${checkpoint.state.step}`);
  return { checkpoint, notes };
}

/**
 * The newest whole checkpoint. If the metrics log has lost records that it counts (a torn line, a power cut), the newest
 * one whose records are all there: the later steps and their records come again.
 */
function checkpointToResume(runDir: string, warn: (message: string) => void): Checkpoint | undefined {
  const path = metricsPath(runDir);
  const logged = existsSync(path) ? wholeBytes(path) : 0;
  const agrees = ({ metricsBytes = 0 }: CheckpointState) => metricsBytes <= logged;
  const complete = newestCheckpoint(runDir, warn, agrees);
  if (complete) return complete;
  const newest = newestCheckpoint(runDir, () => {});
  if (newest)
    warn(`metrics.jsonl has lost records before step ${newest.state.step}, and no checkpoint is old enough`);
  else if (logged > 0) warn('there is no whole checkpoint: the run begins again');
  return newest;
}

/** A note on changed ranks, batch and passes since the checkpoint; undefined if they are the same. */
export function whatChanged(state: CheckpointState, config: RunConfig, ranks: number): string | undefined {
  const before = state.shape;
  if (!before) return undefined;
  const now = { ranks, batch: config.batch, accumulate: config.accumulate };
  const shape = ['ranks', 'batch', 'accumulate'] as const;
  const changes = shape.flatMap((key) => change(key, before[key], now[key]));
  if (changes.length === 0) return undefined;
  const [old, size] = [globalBatch(before), globalBatch(now)];
  const effect =
    old === size
      ? `the global batch stays ${size}: the same curve but for rounding`
      : `the global batch goes from ${old} to ${size} patches; the learning rate stays`;
  return `from step ${state.step} on: ${changes.join(', ')}; ${effect}`;
}

/** A note if a launcher starts another number of ranks than the run was prepared for. */
export function whatWasPrepared(config: RunConfig, ranks: number): string | undefined {
  if (config.ranks === ranks) return undefined;
  const size = globalBatch({ ...config, ranks });
  return (
    `prepared for ${config.ranks} ranks, launched with ${ranks}: ` +
    `the global batch is ${size} patches, not ${globalBatch(config)}; the learning rate stays`
  );
}

function globalBatch(shape: Pick<RunConfig, 'ranks' | 'batch' | 'accumulate'>): number {
  return shape.ranks * shape.batch * shape.accumulate;
}

/** What a run trains on, as its checkpoints keep it. */
export function printOf({ train, validation, digests }: TrainingData): DataPrint {
  return { patches: { train: train.count, validation: validation.count }, digests };
}

/** Differences from the checkpoint that make another run: in the settings, the volumes and their intensities. */
export function changesSince(state: CheckpointState, config: RunConfig, data: TrainingData): string[] {
  return [...changedSettings(state.config, config), ...changedData(state, data)];
}

function changedSettings(before: RunConfig, now: RunConfig): string[] {
  const [old, current] = [before, now].map((config) => byPath(config, (key) => key in groups));
  return [...current!].flatMap(([key, value]) => {
    const setting = settingAt(key);
    // Read like the current value, so that 16 equals [16, 16, 16] and the order of keys does not count.
    const was = setting?.read(old!.get(key)) ?? old!.get(key);
    // A setting that the checkpoint lacks is newer than it.
    if (setting?.mayChange || !old!.has(key)) return [];
    return change(key, JSON.stringify(was), JSON.stringify(value));
  });
}

function changedData(state: CheckpointState, data: TrainingData): string[] {
  const [before, now] = [Object.entries(state.intensities), Object.entries(data.intensities)];
  if (before.length !== now.length) return change('volumes', before.length, now.length);
  const changes = now.flatMap(([name, intensity], i) => {
    const [was, digest] = [before[i]![1], state.data?.digests[i]];
    const [old, range] = [was, intensity].map(({ name, low, high }) => `${name} [${low}, ${high}]`);
    return [
      ...(digest === undefined || digest === data.digests[i] ? [] : [`${name} is another volume`]),
      ...change(`intensity of ${name}`, old, range),
    ];
  });
  const { patches } = printOf(data);
  const counts = (['train', 'validation'] as const).flatMap((side) =>
    change(`${side} patches`, state.data?.patches[side] ?? patches[side], patches[side]),
  );
  return [...changes, ...counts];
}

function change(what: string, before: unknown, now: unknown): string[] {
  return before === now ? [] : [`${what} ${before} -> ${now}`];
}
