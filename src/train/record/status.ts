import { existsSync, readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { basename, join } from 'node:path';
import { replaceFile } from '../../atomic-file';
import { UnreadableFile } from '../../errors';
import { isAlive, type ProcessIdentity, thisMachine } from '../../process-identity';
import { latestRecords } from './metrics-tail';
import { metricsPath, readStoredConfig } from './run-folder';

/** `damaged`: `status.json` is missing or no status, and nobody has written it again. */
export type RunState = (typeof states)[number];

const states = ['starting', 'running', 'done', 'failed', 'stopped', 'damaged'] as const;

export interface RankStatus extends ProcessIdentity {
  readonly rank: number;
}

/** What `status.json` holds: the state of a run. One process writes it at a time. */
export interface RunStatus {
  readonly state: RunState;
  /** The machine's name for people, and an identity that differs between machines and containers. Pids are of there. */
  readonly host: string;
  readonly machine?: string;
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
  readonly note?: string | undefined;
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
    ...whereWeAre(),
    pids: { ranks: [] },
    heartbeats: [],
    step: 0,
    steps,
    restarts: 0,
    created: now,
    updated: now,
  };
}

export function whereWeAre(): Pick<RunStatus, 'host' | 'machine'> {
  return { host: hostname(), machine: thisMachine() };
}

/** The processes that the status names, where this machine can see them. */
export function processesOf({ host, machine, pids }: RunStatus): ProcessIdentity[] {
  const isOurs = machine === undefined ? host === hostname() : machine === thisMachine();
  return isOurs ? [...(pids.supervisor ? [pids.supervisor] : []), ...pids.ranks] : [];
}

export function hasEnded(status: RunStatus): boolean {
  return status.state !== 'starting' && status.state !== 'running';
}

/** Replaces `status.json` atomically; where it is durable, a power cut leaves the old one or the new one. */
export function writeStatus(runDir: string, status: RunStatus, { durable = true } = {}): void {
  replaceFile(join(runDir, 'status.json'), `${JSON.stringify(status, null, 2)}\n`, { durable });
}

/**
 * The state of the run in a folder. Where the file says that it runs but its processes are gone (a power cut,
 * SIGKILL of the supervisor), it says `failed`: nobody is left to write that down. Where the file is missing or
 * damaged, it says `damaged`, with what the rest of the folder knows.
 * @throws UnreadableFile if the folder is gone
 */
export function readStatus(runDir: string): RunStatus {
  const status = storedStatus(runDir);
  // The supervisor comes first: without it the ranks are about to end.
  const processes = processesOf(status);
  const owners = status.pids.supervisor ? processes.slice(0, 1) : processes;
  if (hasEnded(status) || owners.length === 0 || owners.some(isAlive)) return status;
  const what = status.pids.supervisor ? 'the supervisor was killed' : 'its ranks were killed';
  return { ...status, state: 'failed', error: `${what} at step ${status.step}` };
}

/** The same, but a damaged status counts only if nobody writes it again: processes of the run do so every second. */
export async function settledStatus(runDir: string): Promise<RunStatus> {
  const status = readStatus(runDir);
  if (status.state !== 'damaged') return status;
  await new Promise((resolve) => setTimeout(resolve, 2500));
  return readStatus(runDir);
}

function storedStatus(runDir: string): RunStatus {
  const path = join(runDir, 'status.json');
  try {
    const value: unknown = JSON.parse(readFileSync(path, 'utf8'));
    return isStatus(value) ? value : statusWithoutFile(runDir, 'damaged');
  } catch (error) {
    if (!existsSync(runDir)) throw new UnreadableFile(path, 'the status of a run', 'nothing');
    const { code } = error as NodeJS.ErrnoException;
    const problem = code && code !== 'ENOENT' ? `not readable (${code})` : code ? 'missing' : 'damaged';
    return statusWithoutFile(runDir, problem);
  }
}

function isStatus(value: unknown): value is RunStatus {
  const { state, host, pids, heartbeats, step, steps } = (value ?? {}) as Partial<RunStatus>;
  return (
    (states as readonly unknown[]).includes(state) &&
    typeof host === 'string' &&
    Array.isArray(pids?.ranks) &&
    pids.ranks.every((process) => Number.isInteger(process?.pid)) &&
    Array.isArray(heartbeats) &&
    Number.isInteger(step) &&
    Number.isInteger(steps)
  );
}

/** What can be said of a run without its status. */
function statusWithoutFile(runDir: string, problem: string): RunStatus {
  const path = join(runDir, 'status.json');
  const attempt = <T>(read: () => T): T | undefined => {
    try {
      return read();
    } catch {
      return undefined;
    }
  };
  const config = attempt(() => readStoredConfig(runDir));
  const last = attempt(() => latestRecords(metricsPath(runDir), 'train', 1)[0]);
  const cure = `\`patchwise runs resume ${basename(runDir)}\` goes on from the newest checkpoint`;
  return {
    ...initialStatus(config?.steps ?? config?.resolved?.steps ?? 0),
    state: 'damaged',
    step: last?.step ?? 0,
    error: `${path} is ${problem}; ${cure}`,
    ...(config && { created: config.created }),
    ...(last && { updated: last.time }),
  };
}
