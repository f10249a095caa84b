import { existsSync, readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { replaceFile } from '../../atomic-file';
import { attempt, UnreadableFile } from '../../errors';
import { isAlive, type ProcessIdentity, thisMachine } from '../../process-identity';
import { isFull } from './disk-space';
import { latestRecords } from './metrics-tail';
import { metricsPath, readStoredConfig } from './run-folder';

/** `damaged`: `status.json` is missing or no status, and nobody has written it again. */
type RunState = (typeof states)[number];

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
  /** GPUs of this host that the run does not use, and why. */
  readonly idle?: string | undefined;
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
  const nothing = { pids: { ranks: [] }, heartbeats: [], step: 0, restarts: 0 };
  return { state: 'starting', ...whereWeAre(), ...nothing, steps, created: now, updated: now };
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
 * The state of the run in a folder. It is `failed` if the file says that the run goes on but its processes are gone (a
 * power cut, SIGKILL of the supervisor): nobody is left to write that. It is `damaged`, with what the rest of the folder
 * knows, if the file is missing or damaged.
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
  await sleep(2500);
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
    const unreadable = code === 'ENOENT' ? 'missing' : `not readable (${code})`;
    return statusWithoutFile(runDir, code === undefined ? 'damaged' : unreadable);
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

/** The status of a run whose `status.json` is missing or damaged, from the rest of its folder. */
function statusWithoutFile(runDir: string, problem: string): RunStatus {
  const path = join(runDir, 'status.json');
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

/** Fields that change all the time. */
const moving: readonly string[] = ['heartbeats', 'step'];

/** The writer of a run's `status.json`: changes come at every step, the file is replaced twice a second. */
export class StatusFile {
  private status: RunStatus;
  private timer: NodeJS.Timeout | undefined;
  /** Whether any other field has changed since the last write. */
  private isNews = true;

  constructor(private readonly runDir: string) {
    this.status = readStatus(runDir);
  }

  get current(): RunStatus {
    return this.status;
  }

  update(change: Partial<RunStatus>): void {
    this.isNews ||= Object.keys(change).some((key) => !moving.includes(key));
    this.status = { ...this.status, ...change };
    this.timer ??= setTimeout(() => this.flush(), 500);
  }

  /** Writes down that this rank gave a sign of life. */
  heartbeat(rank: number): void {
    const heartbeats = [...this.status.heartbeats];
    while (heartbeats.length <= rank) heartbeats.push(null);
    heartbeats[rank] = new Date().toISOString();
    this.update({ heartbeats });
  }

  /** Writes how the run has ended. Nobody writes after that, so while the disk is full it tries again, for ten minutes. */
  async flushEnd(): Promise<void> {
    for (let tries = 0; isFull(this.flush()) && tries < 600; tries++) await sleep(1000);
  }

  /** Writes now. A full disk must not end the run that it reports on: an error is logged and returned. */
  flush(): unknown {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.status = { ...this.status, updated: new Date().toISOString() };
    try {
      // To wait for a slow disk twice a second would keep its writer from everything else.
      writeStatus(this.runDir, this.status, { durable: this.isNews });
      this.isNews = false;
      return undefined;
    } catch (error) {
      console.error(`status.json was not written: ${(error as Error).message}`);
      return error;
    }
  }
}
