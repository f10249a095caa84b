import { rename, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { InvalidArgument, InvalidConfig, RunFailed } from '../errors';
import { isAlive, type ProcessIdentity, signalProcess } from '../process-identity';
import { claimRun, isHere, livesOn, type Owner, readOwner } from './ranks/claim';
import { launchSupervisor } from './ranks/launch';
import { configToResume, withRanks } from './ranks/resume';
import { findCheckpoint } from './record/choose-checkpoint';
import { type Pace, paceOf, paceWindow, RunCourse } from './record/course';
import { type LatestSlices, readLatestSlices } from './record/latest-slices';
import type { MetricRecord } from './record/metrics-log';
import { changed, followMetrics, readMetrics } from './record/metrics-reader';
import { latestRecords } from './record/metrics-tail';
import { metricsPath, readStoredConfig, type StoredConfig } from './record/run-folder';
import { readLogEnds } from './record/run-logs';
import {
  hasEnded,
  processesOf,
  type RunStatus,
  readStatus,
  settledStatus,
  writeStatus,
} from './record/status';

/** A training run: a folder. Any process that can read it can follow the run. Get one from `train` or `attach`. */
export class Run {
  readonly id: string;
  private end: Promise<RunStatus> | undefined;

  constructor(readonly dir: string) {
    this.id = basename(dir);
  }

  /** The whole resolved config, as stored. */
  async config(): Promise<StoredConfig> {
    return readStoredConfig(this.dir);
  }

  async status(): Promise<RunStatus> {
    return readStatus(this.dir);
  }

  /** All metrics so far. Names damaged lines on the console and leaves them out. */
  async records(): Promise<MetricRecord[]> {
    return readMetrics(metricsPath(this.dir));
  }

  /** The metrics so far, thinned to a few thousand records, however long the run is. */
  async course(): Promise<RunCourse> {
    const course = new RunCourse(metricsPath(this.dir), readStoredConfig(this.dir).gan);
    await course.update();
    return course;
  }

  /**
   * Every metric from the first, then the new ones as they come, until the run ends or the signal is aborted.
   * `caughtUp` is called once, after the metrics of the past.
   */
  metrics(options: { signal?: AbortSignal; caughtUp?: () => void } = {}): AsyncIterable<MetricRecord> {
    const ended = async () => hasEnded(await settledStatus(this.dir));
    return followMetrics(metricsPath(this.dir), { ended, ...options });
  }

  /** The status of the run once it is done or stopped. Rejects with `RunFailed` if it fails. */
  get done(): Promise<RunStatus> {
    this.end ??= this.waitForEnd();
    this.end.catch(() => {}); // who waits for it later must not meet an unhandled rejection
    return this.end;
  }

  /**
   * Ends the run and all its processes: asks them, and kills those that still live after `grace` seconds. The ranks write
   * a checkpoint, so the run can be resumed. A run that has ended stays as it is.
   * @throws InvalidArgument if it runs on another machine
   */
  async stop(): Promise<RunStatus> {
    const before = readStatus(this.dir);
    const owner = await this.owner();
    const known = [...(owner ? [owner] : []), ...processesOf(before)];
    if (hasEnded(before) && !known.some(isAlive)) return before;
    // A supervisor's ranks are in its process group. Ranks of torchrun stop together on their own.
    const supervisor = owner?.role === 'supervisor' ? owner : before.pids.supervisor;
    if (!supervisor || !signalProcess(supervisor, 'SIGTERM', true))
      for (const each of known) signalProcess(each, 'SIGTERM');
    const { grace } = readStoredConfig(this.dir);
    if (!(await this.allGone(known, grace + 5))) {
      if (supervisor) signalProcess(supervisor, 'SIGKILL', true);
      for (const each of this.processes(known)) signalProcess(each, 'SIGKILL');
      await this.allGone(known, 5);
    }
    const { error, ...after } = readStatus(this.dir);
    if (after.state === 'done' || after.state === 'stopped') return { ...after, ...(error && { error }) };
    // No other process can write it now.
    const stopped: RunStatus = { ...after, state: 'stopped', updated: new Date().toISOString() };
    writeStatus(this.dir, stopped);
    return stopped;
  }

  /**
   * Continues a run that has ended, from its newest checkpoint. `steps` sets a new end. `ranks` sets another number of
   * processes; they keep the size of the global batch if they can share it evenly, and the status says what changed.
   * `acceptChanges` allows other data or settings than those of the checkpoint.
   * @throws InvalidArgument if it has not ended, or another process has it; InvalidConfig for an edited `config.json` that
   * is no longer valid
   */
  async resume(options: { steps?: number; ranks?: number; acceptChanges?: boolean } = {}): Promise<this> {
    const { steps, ranks, acceptChanges } = options;
    const status = readStatus(this.dir);
    if (!hasEnded(status)) throw this.notEnded(status);
    let config = configToResume(this.dir, acceptChanges);
    if (steps !== undefined) {
      if (!Number.isInteger(steps) || steps < 1)
        throw new InvalidConfig([{ key: 'steps', expected: 'a whole number above 0', received: steps }]);
      const { epochs: _, ...rest } = config;
      config = { ...rest, steps };
    }
    if (ranks !== undefined) config = withRanks(config, ranks);
    await launchSupervisor(this.dir, this.id, config);
    this.end = undefined;
    return this;
  }

  /** Removes the run's folder. @throws InvalidArgument if it has not ended, or another process has it */
  async remove(): Promise<void> {
    const status = readStatus(this.dir);
    if (!hasEnded(status) || processesOf(status).some(isAlive) || (await this.owner()))
      throw this.notEnded(status);
    // From here on nobody can resume the run, but a resume may have come just before.
    const claim = await claimRun(this.dir, 'launcher');
    const removed = join(dirname(this.dir), `.removed-${claim.token}`);
    try {
      const now = readStatus(this.dir);
      if (!hasEnded(now)) throw this.notEnded(now);
      // In one step: a process that waits for the claim must not find half a run.
      await rename(this.dir, removed);
    } catch (error) {
      await claim.release();
      throw error;
    }
    await rm(removed, { recursive: true, force: true, maxRetries: 3 });
  }

  /** The speed of the run and when it will be done; undefined before its second step. */
  async pace(): Promise<Pace | undefined> {
    const latest = latestRecords(metricsPath(this.dir), 'train', paceWindow);
    return paceOf(latest, readStatus(this.dir));
  }

  /**
   * Asks for a checkpoint after the current step; the run goes on. Returns false if no process can be asked, because the
   * run is on another machine or a launcher's ranks have not begun.
   */
  async save(): Promise<boolean> {
    const status = readStatus(this.dir);
    if (hasEnded(status)) return false;
    const processes = processesOf(status);
    const { supervisor } = status.pids;
    // A supervisor passes it on once its ranks listen. The status may lag behind their first steps.
    const asked = supervisor ? processes.slice(0, 1) : status.state === 'running' ? processes : [];
    return asked.map((process) => signalProcess(process, 'SIGUSR1')).some(Boolean);
  }

  /** This run as a live figure, which a notebook shows. */
  live(): LiveView {
    return new LiveView([this]);
  }

  /** Folder of the newest checkpoint, or of the one with the best validation PSNR. */
  async checkpoint(which: 'last' | 'best' = 'last'): Promise<string> {
    return findCheckpoint(this.dir, which);
  }

  /** The middle slice of a validation patch and its reconstruction, from the latest validation. */
  async slices(): Promise<LatestSlices | undefined> {
    return readLatestSlices(this.dir);
  }

  /**
   * What the supervisor and the ranks wrote, by name: `supervisor`, `rank-0`, … Of a log above 1 MiB only the end, after a
   * line with the path of the whole log.
   */
  async logs(): Promise<Record<string, string>> {
    const ends = Object.entries(readLogEnds(this.dir, 2 ** 20)).map(([name, { path, text, before }]) => {
      const note = before > 0 ? `[the first ${before} bytes are left out; they are in ${path}]\n` : '';
      return [name, note + text] as const;
    });
    return Object.fromEntries(ends);
  }

  private async waitForEnd(): Promise<RunStatus> {
    for (;;) {
      const status = await settledStatus(this.dir);
      if (status.state === 'failed' || status.state === 'damaged')
        throw new RunFailed(this.id, status.state, status.error ?? 'for an unknown reason');
      if (hasEnded(status)) return status;
      await changed(join(this.dir, 'status.json'), 500);
    }
  }

  /** Counts pauses instead of reading a clock, because a laptop may sleep meanwhile. */
  private async allGone(known: readonly ProcessIdentity[], seconds: number): Promise<boolean> {
    for (let waited = 0; waited < seconds; waited += 0.025) {
      const gone = !this.processes(known).some(isAlive);
      await pause(25); // in any case: a child of this process keeps its pid until Node has collected it
      if (gone) return true;
    }
    return false;
  }

  /** The known processes, and those that the status names by now. */
  private processes(known: readonly ProcessIdentity[]): ProcessIdentity[] {
    return [...known, ...processesOf(readStatus(this.dir))];
  }

  /** The living process that has the run. @throws InvalidArgument if it is on another machine */
  private async owner(): Promise<Owner | undefined> {
    for (let waited = 0; ; waited += 0.025) {
      const owner = readOwner(this.dir);
      if (!owner || !(await livesOn(this.dir, owner))) return undefined;
      if (!isHere(owner))
        throw new InvalidArgument(
          'run',
          `a run of this machine (${hostname()}); go to ${owner.host} for it`,
          `one of process ${owner.pid} on ${owner.host}`,
        );
      // A launcher hands the run to its supervisor within a moment.
      if (owner.role !== 'launcher' || waited > 30) return owner;
      await pause(25);
    }
  }

  private notEnded({ state, host }: RunStatus): InvalidArgument {
    const received = host === hostname() ? state : `${state} on ${host}`;
    return new InvalidArgument('run', 'a run that has ended; stop it first', received);
  }
}

/** Runs to show live. Data only: `plot` and the kernel make the figure. */
export class LiveView {
  constructor(readonly runs: readonly Run[]) {}
}
