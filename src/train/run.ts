import { existsSync, readdirSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { InvalidArgument, InvalidConfig, RunFailed } from '../errors';
import { isAlive, type ProcessIdentity, signalProcess } from '../process-identity';
import { claimRun, isHere, livesOn, type Owner, readOwner } from './ranks/claim';
import { launchSupervisor } from './ranks/launch';
import { findCheckpoint } from './record/choose-checkpoint';
import { type Pace, paceOf, paceWindow, RunCourse } from './record/course';
import { type LatestSlices, readLatestSlices } from './record/latest-slices';
import type { MetricRecord } from './record/metrics-log';
import { changed, followMetrics, readMetrics } from './record/metrics-reader';
import { latestRecords } from './record/metrics-tail';
import {
  isRunFolder,
  knownRunsRoots,
  metricsPath,
  readStoredConfig,
  runsRoot,
  type StoredConfig,
} from './record/run-folder';
import { readLogEnds } from './record/run-logs';
import {
  hasEnded,
  processesOf,
  type RunStatus,
  readStatus,
  settledStatus,
  writeStatus,
} from './record/status';
import { configToResume, withRanks } from './reshape';

/** A training run: a folder, which any process that can read it can follow. Get one from `train` or `attach`. */
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

  /** All metrics so far, without damaged lines, which are named on the console. */
  async records(): Promise<MetricRecord[]> {
    return readMetrics(metricsPath(this.dir));
  }

  /** The metrics so far as far as a glance needs them: a few thousand records, however long the run is. */
  async course(): Promise<RunCourse> {
    const course = new RunCourse(metricsPath(this.dir), readStoredConfig(this.dir).gan);
    await course.update();
    return course;
  }

  /**
   * Every metric from the first, then the new ones as they come, until the run ends or the signal is aborted.
   * `caughtUp` is called once, when those of the past have been given.
   */
  metrics(options: { signal?: AbortSignal; caughtUp?: () => void } = {}): AsyncIterable<MetricRecord> {
    const ended = async () => hasEnded(await settledStatus(this.dir));
    return followMetrics(metricsPath(this.dir), { ended, ...options });
  }

  /** Settles when the run ends: with its status if it is done or was stopped, else it rejects with `RunFailed`. */
  get done(): Promise<RunStatus> {
    if (!this.end) {
      this.end = this.waitForEnd();
      // Looking at `done` and waiting for it later must not count as an unhandled rejection.
      this.end.catch(() => {});
    }
    return this.end;
  }

  /**
   * Ends the run and everything that belongs to it: asks, then kills what is still there when its time is over.
   * The ranks leave a checkpoint, so the run can be resumed. A run that has ended stays as it is.
   * @throws InvalidArgument if it runs on another machine, whose processes cannot be reached from here
   */
  async stop(): Promise<RunStatus> {
    const before = readStatus(this.dir);
    const owner = await this.owner();
    const known = [...(owner ? [owner] : []), ...processesOf(before)];
    if (hasEnded(before) && !known.some(isAlive)) return before;
    // A supervisor leads a process group that its ranks are in; ranks of torchrun stop together on their own.
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
    // No other process is left to write it.
    const stopped: RunStatus = { ...after, state: 'stopped', updated: new Date().toISOString() };
    writeStatus(this.dir, stopped);
    return stopped;
  }

  /**
   * Goes on with a run that has ended, from its newest checkpoint. `steps` sets a new end; `ranks` another number of
   * processes, which keep the global batch as large as it was where it can be shared out among them (more or fewer
   * passes a step), and say in the status what changed. Other data or settings than those of that checkpoint are refused
   * unless `acceptChanges` says that they are meant.
   * @throws InvalidArgument if it has not ended, or another process has it; InvalidConfig if its `config.json` was
   * edited and is no longer valid
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

  /** Removes the run's folder with everything in it. @throws InvalidArgument if it has not ended, or another process has it */
  async remove(): Promise<void> {
    const status = readStatus(this.dir);
    if (!hasEnded(status) || processesOf(status).some(isAlive) || (await this.owner()))
      throw this.notEnded(status);
    // Nobody can resume the run from here on. A resume may have come just before.
    const claim = await claimRun(this.dir, 'launcher');
    const removed = join(dirname(this.dir), `.removed-${claim.token}`);
    try {
      const now = readStatus(this.dir);
      if (!hasEnded(now)) throw this.notEnded(now);
      // At once: whoever waits for the claim must not find half a run.
      await rename(this.dir, removed);
    } catch (error) {
      await claim.release();
      throw error;
    }
    await rm(removed, { recursive: true, force: true, maxRetries: 3 });
  }

  /** How fast the run goes and when it will be done; undefined before its second step. */
  async pace(): Promise<Pace | undefined> {
    const latest = latestRecords(metricsPath(this.dir), 'train', paceWindow);
    return paceOf(latest, readStatus(this.dir));
  }

  /**
   * Asks for a checkpoint at the end of the step under way; the run goes on. Returns false if no process of the run can
   * be asked: it runs on another machine, or a launcher's ranks have not begun.
   */
  async save(): Promise<boolean> {
    const status = readStatus(this.dir);
    if (hasEnded(status)) return false;
    const processes = processesOf(status);
    const { supervisor } = status.pids;
    // A supervisor keeps the wish until its ranks can hear it; the status may lag behind their first steps.
    const asked = supervisor ? processes.slice(0, 1) : status.state === 'running' ? processes : [];
    return asked.map((process) => signalProcess(process, 'SIGUSR1')).some(Boolean);
  }

  /** This run as a figure that keeps moving: shows itself where figures can be shown. */
  live(): LiveView {
    return new LiveView([this]);
  }

  /** Folder of the newest checkpoint, or of the one with the best validation PSNR. */
  async checkpoint(which: 'last' | 'best' = 'last'): Promise<string> {
    return findCheckpoint(this.dir, which);
  }

  /** The middle slice of a validation patch and its reconstruction, as of the latest validation. */
  async slices(): Promise<LatestSlices | undefined> {
    return readLatestSlices(this.dir);
  }

  /**
   * What the supervisor and the ranks wrote, by name: `supervisor`, `rank-0`, … Of a log of more than 1 MiB it is the end,
   * after a line that says where the whole log is.
   */
  async logs(): Promise<Record<string, string>> {
    const ends = Object.entries(readLogEnds(this.dir, 2 ** 20));
    return Object.fromEntries(
      ends.map(([name, { path, text, before }]) => {
        const note = before > 0 ? `[the first ${before} bytes are left out; they are in ${path}]\n` : '';
        return [name, `${note}${text}`];
      }),
    );
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

  /** The pauses are counted, and no clock: a laptop may sleep meanwhile. */
  private async allGone(known: readonly ProcessIdentity[], seconds: number): Promise<boolean> {
    for (let waited = 0; waited < seconds; waited += 0.025) {
      const gone = !this.processes(known).some(isAlive);
      await pause(25); // also after the last: a child of this process keeps its pid until Node has collected it
      if (gone) return true;
    }
    return false;
  }

  /** The run's processes: those known and those the status names by now. */
  private processes(known: readonly ProcessIdentity[]): ProcessIdentity[] {
    return [...known, ...processesOf(readStatus(this.dir))];
  }

  /** The living process that has the run. @throws InvalidArgument if it lives on another machine */
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

/** Runs to look at while they move. Data only: `plot` and the kernel make the figure. */
export class LiveView {
  constructor(readonly runs: readonly Run[]) {}
}

/** Several runs in one figure that keeps moving, each in a colour of its own. @throws InvalidArgument for none */
export function live(runs: Run | readonly Run[]): LiveView {
  const all = runs instanceof Run ? [runs] : runs;
  if (all.length === 0) throw new InvalidArgument('runs', 'at least one run', all);
  return new LiveView(all);
}

/**
 * A run by its own folder or by its id: in the folder of runs (`runsRoot`), else in any other that this user has
 * started runs in. @throws InvalidArgument with the places where it looked and the latest runs
 *
 * ```ts
 * const [latest] = await pw.listRuns();
 * const run = await pw.attach(latest!.id); // tomorrow, or from another notebook
 * console.log((await run.status()).state);
 * ```
 */
export async function attach(idOrDir: string): Promise<Run> {
  const root = runsRoot();
  const others = basename(idOrDir) === idOrDir ? knownRunsRoots().filter((other) => other !== root) : [];
  const places = [join(root, idOrDir), resolve(idOrDir), ...others.map((other) => join(other, idOrDir))];
  const dir = places.find(isRunFolder);
  if (dir !== undefined) return new Run(dir);
  const elsewhere = others.length > 0 ? ` or in ${others.length} other folder(s) of earlier runs` : '';
  const latest = (await listRuns()).slice(0, 10).map((run) => run.id);
  throw new InvalidArgument(
    'run',
    `the folder of a run, or the id of one in ${root}${elsewhere} (PATCHWISE_RUNS names another folder)`,
    idOrDir,
    latest,
  );
}

/**
 * All runs of a folder, newest first.
 *
 * ```ts
 * for (const run of await pw.listRuns()) console.log(run.id, (await run.status()).state);
 * ```
 */
export async function listRuns(root: string = runsRoot()): Promise<Run[]> {
  if (!existsSync(root)) return [];
  return (
    readdirSync(root)
      // A run that is being removed has a name with a dot.
      .filter((name) => !name.startsWith('.') && isRunFolder(join(root, name)))
      .sort()
      .reverse()
      .map((name) => new Run(join(root, name)))
  );
}
