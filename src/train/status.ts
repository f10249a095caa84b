import { existsSync, readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { replaceFile } from '../atomic-file';
import { UnreadableFile } from '../errors';
import { isAlive, type ProcessIdentity } from '../process-identity';

export type RunState = 'starting' | 'running' | 'done' | 'failed' | 'stopped';

export interface RankStatus extends ProcessIdentity {
  readonly rank: number;
}

/** What `status.json` holds: the state of a run, for whoever can read its folder. One process writes it at a time. */
export interface RunStatus {
  readonly state: RunState;
  /** Where the pids mean something. */
  readonly host: string;
  readonly pids: { readonly supervisor?: ProcessIdentity; readonly ranks: readonly RankStatus[] };
  /** ISO time of the last sign of life, by rank; null before the first. */
  readonly heartbeats: readonly (string | null)[];
  /** Optimiser steps done, and in all (0 until the data is counted). */
  readonly step: number;
  readonly steps: number;
  /** How often the group was started again, and the latest reason. */
  readonly restarts: number;
  readonly restartReason?: string;
  readonly error?: string;
  /** What people should see to while the run goes on, such as a full disk. */
  readonly warning?: string | undefined;
  /** What changed when the run was resumed, such as the number of ranks. */
  readonly note?: string;
  readonly backend?: string;
  /** Why this backend. */
  readonly reason?: string;
  readonly created: string;
  readonly updated: string;
}

export function initialStatus(steps: number): RunStatus {
  const now = new Date().toISOString();
  return {
    state: 'starting',
    host: hostname(),
    pids: { ranks: [] },
    heartbeats: [],
    step: 0,
    steps,
    restarts: 0,
    created: now,
    updated: now,
  };
}

export function hasEnded(status: RunStatus): boolean {
  return status.state === 'done' || status.state === 'failed' || status.state === 'stopped';
}

/** Replaces `status.json` atomically. */
export function writeStatus(runDir: string, status: RunStatus): void {
  replaceFile(join(runDir, 'status.json'), `${JSON.stringify(status, null, 2)}\n`);
}

/**
 * The state of the run in a folder. Where the file says that it runs but its processes are gone (a power cut,
 * SIGKILL of the supervisor), it says `failed`: nobody is left to write that down.
 */
export function readStatus(runDir: string): RunStatus {
  const path = join(runDir, 'status.json');
  if (!existsSync(path)) throw new UnreadableFile(path, 'the status of a run', 'nothing');
  let status: RunStatus;
  try {
    status = JSON.parse(readFileSync(path, 'utf8')) as RunStatus;
  } catch (cause) {
    throw new UnreadableFile(path, 'JSON', 'something else', { cause });
  }
  if (hasEnded(status) || status.host !== hostname()) return status;
  const owners = status.pids.supervisor ? [status.pids.supervisor] : status.pids.ranks;
  if (owners.length === 0 || owners.some(isAlive)) return status;
  const what = status.pids.supervisor ? 'the supervisor was killed' : 'its ranks were killed';
  return { ...status, state: 'failed', error: `${what} at step ${status.step}` };
}
