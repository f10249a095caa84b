import { existsSync } from 'node:fs';
import type { Collective } from '../collective/collective';
import {
  type Checkpoint,
  type CheckpointState,
  checkpointDir,
  linkAgain,
  newestCheckpoint,
  readCheckpoint,
  removeHalfWritten,
} from '../record/checkpoint';
import { wholeBytes } from '../record/metrics-tail';
import { metricsPath } from '../record/run-folder';
import type { RunConfig } from '../settings/config';

/** A checkpoint to go on from, and what people should know of how it was found. */
interface Found {
  readonly checkpoint: Checkpoint | undefined;
  readonly notes: readonly string[];
}

/** The checkpoint that rank 0 finds newest and whole, read by every rank; undefined where there is none. */
export async function checkpointOfAll(runDir: string, collective: Collective): Promise<Found> {
  if (collective.rank === 0) {
    removeHalfWritten(runDir);
    linkAgain(runDir);
  }
  const notes: string[] = [];
  const found = collective.rank === 0 ? checkpointToResume(runDir, (note) => notes.push(note)) : undefined;
  for (const note of notes) console.error(note);
  const step = Float32Array.of(found ? 1 : 0, ...halves(found?.state.step ?? 0));
  await collective.broadcast([step], 0, 'checkpoint');
  if (step[0] === 0) return { checkpoint: undefined, notes };
  const checkpoint = found ?? readCheckpoint(checkpointDir(runDir, step[1]! * 2 ** 16 + step[2]!));
  console.error(`rank ${collective.rank} goes on from the checkpoint of step ${checkpoint.state.step}`);
  return { checkpoint, notes };
}

/**
 * The newest whole checkpoint. Where the metrics log has lost records that it knew (a torn line, a power cut), an
 * older one that the log still agrees with: the steps after it come again, and with them the records.
 */
function checkpointToResume(runDir: string, warn: (message: string) => void): Checkpoint | undefined {
  const path = metricsPath(runDir);
  const logged = existsSync(path) ? wholeBytes(path) : 0;
  const agrees = ({ metricsBytes = 0 }: CheckpointState) => metricsBytes <= logged;
  const complete = newestCheckpoint(runDir, warn, agrees);
  if (complete) return complete;
  const newest = newestCheckpoint(runDir, () => {});
  if (newest)
    warn(
      `metrics.jsonl has lost records before step ${newest.state.step} that no checkpoint is old enough for`,
    );
  else if (logged > 0) warn('there is no whole checkpoint: the run begins again');
  return newest;
}

/** What has changed since the checkpoint was written, as text; undefined where nothing has. */
export function whatChanged(state: CheckpointState, config: RunConfig, ranks: number): string | undefined {
  const before = state.shape;
  if (!before) return undefined;
  const now = { ranks, batch: config.batch, accumulate: config.accumulate };
  const changes = (['ranks', 'batch', 'accumulate'] as const)
    .filter((key) => before[key] !== now[key])
    .map((key) => `${key} ${before[key]} -> ${now[key]}`);
  if (changes.length === 0) return undefined;
  const size = (shape: typeof now) => shape.ranks * shape.batch * shape.accumulate;
  const effect =
    size(before) === size(now)
      ? `the global batch stays ${size(now)}: the same curve but for rounding`
      : `the global batch goes from ${size(before)} to ${size(now)} patches; the learning rate stays`;
  return `from step ${state.step} on: ${changes.join(', ')}; ${effect}`;
}

/** A note if a launcher has started another number of ranks than the run was prepared for. */
export function whatWasPrepared(config: RunConfig, ranks: number): string | undefined {
  if (config.ranks === ranks) return undefined;
  const size = (of: number) => of * config.batch * config.accumulate;
  return (
    `prepared for ${config.ranks} ranks, launched with ${ranks}: ` +
    `the global batch is ${size(ranks)} patches, not ${size(config.ranks)}; the learning rate stays`
  );
}

/** A float32 holds 24 bits; a step may have more. */
function halves(step: number): [number, number] {
  return [Math.floor(step / 2 ** 16), step % 2 ** 16];
}
