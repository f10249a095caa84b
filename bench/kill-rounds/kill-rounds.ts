import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { attach, isPatchwiseError, type LongCall, type Run, type TrainOptions, train } from '../../src/index';
import { withoutClock } from '../../src/internal';
import { machine } from '../report';
import { Dice } from './dice';
import { mountSmallDisk } from './disk';
import {
  fillDisk,
  hangRank,
  killInCheckpoint,
  killRank,
  killSupervisor,
  Missed,
  startAndKillStarter,
  tearMetrics,
  truncateCheckpoint,
  type Wound,
} from './wounds';

export interface KillRoundsOptions extends LongCall {
  readonly rounds?: number;
  readonly seed?: number;
  /** Only these kinds of harm. */
  readonly kinds?: readonly string[];
}

export interface Round {
  readonly kind: string;
  readonly restarts: number;
  readonly resumes: number;
  /** Why it restarted or ended, by its status. */
  readonly reasons: readonly string[];
  readonly seconds: number;
  /** What is wrong; empty if the round has passed. */
  readonly problems: readonly string[];
  /** Why the harm missed the run in every attempt, so that the round shows nothing. */
  readonly missed?: string;
}

export interface KillRoundsReport {
  readonly bench: 'kill-rounds';
  readonly machine: string;
  readonly rounds: readonly Round[];
  readonly skipped: readonly string[];
  readonly passed: number;
  readonly failed: number;
  readonly missed: number;
}

const wounds: Record<string, Wound> = {
  rank: killRank,
  checkpoint: killInCheckpoint,
  supervisor: killSupervisor,
  starter: async () => {},
  disk: fillDisk,
  truncated: truncateCheckpoint,
  torn: tearMetrics,
  hung: hangRank,
};

/** Short only for the harm that it detects: on a busy machine a rank may send no sign of life for seconds. */
const heartbeat = { hung: 10, others: 30 };

/** Attempts at a round whose harm misses the run. */
const throws = 4;

/** After these kinds of harm a run must restart; if it does not, the harm missed it. */
const interrupts = ['rank', 'checkpoint', 'supervisor', 'truncated', 'torn', 'hung'];

export const killKinds = Object.keys(wounds);

/** A run that is long enough to hit anywhere, with frequent checkpoints and validations. */
const options: TrainOptions = {
  preset: 'toy',
  data: 'phantom:16x16x32',
  patch: [8, 8, 8],
  stride: [6, 6, 6],
  model: { hidden: 16, codes: 512, groups: 2, restartBelow: 0.1 },
  backend: 'wasm',
  ranks: 3,
  steps: 60,
  validation: 0.25,
  validateEvery: 15,
  checkpointEvery: 5,
  compareEvery: 10,
  keep: 3,
  restarts: 5,
  timeout: 60,
  seed: 5,
};

const diskMebibytes = 48;

/**
 * Trains one run undisturbed, then one run after the other with harm done to each. Every run must reach the same weights
 * and the same metrics, without lost or doubled ones, and leave no process and no half-written file behind.
 */
export async function killRounds(call: KillRoundsOptions = {}): Promise<KillRoundsReport> {
  const { rounds = 20, seed = 1, signal, onProgress } = call;
  const folder = mkdtempSync(join(tmpdir(), 'patchwise-kill-'));
  const disk = mountSmallDisk(join(folder, 'disk'), diskMebibytes);
  const kinds = (call.kinds ?? killKinds).filter((kind) => kind !== 'disk' || typeof disk !== 'string');
  const skipped = typeof disk === 'string' ? [`disk: ${disk}`] : [];
  const before = process.env.PATCHWISE_RUNS;
  try {
    process.env.PATCHWISE_RUNS = join(folder, 'runs');
    const undisturbed = await train(options);
    await undisturbed.done;
    const wanted = await outcome(undisturbed);
    const done: Round[] = [];
    for (let i = 0; i < rounds; i++) {
      signal?.throwIfAborted();
      const kind = kinds[i % kinds.length]!;
      process.env.PATCHWISE_RUNS = join(folder, kind === 'disk' ? 'disk' : 'runs');
      let round = await disturbed(kind, new Dice(`${seed} ${kind} ${i}`), wanted);
      for (let again = 1; again < throws && round.missed && round.problems.length === 0; again++)
        round = await disturbed(kind, new Dice(`${seed} ${kind} ${i} ${again}`), wanted);
      done.push(round);
      onProgress?.({
        done: i + 1,
        total: rounds,
        what: `rounds (${kind}${round.problems.length ? ' FAILED' : round.missed ? ' MISSED' : ''})`,
      });
    }
    const failed = done.filter(({ problems }) => problems.length > 0).length;
    const missed = done.filter((round) => round.missed && round.problems.length === 0).length;
    return {
      bench: 'kill-rounds',
      machine: machine(),
      rounds: done,
      skipped,
      passed: rounds - failed - missed,
      failed,
      missed,
    };
  } finally {
    if (before === undefined) delete process.env.PATCHWISE_RUNS;
    else process.env.PATCHWISE_RUNS = before;
    if (typeof disk !== 'string') disk.unmount();
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  }
}

async function disturbed(kind: string, dice: Dice, wanted: Outcome): Promise<Round> {
  const started = performance.now();
  const own = { ...options, heartbeat: kind === 'hung' ? heartbeat.hung : heartbeat.others };
  const run =
    kind === 'starter'
      ? await attach(await startAndKillStarter(join(__dirname, 'starter.js'), own))
      : await train(own);
  const problems: string[] = [];
  let missed: string | undefined;
  await wounds[kind]!(run, dice).catch((error: Error) => {
    if (error instanceof Missed) missed = error.message;
    else problems.push(error.message);
  });
  const reasons: string[] = [];
  await finish(run, reasons).catch((error: Error) => problems.push(error.message));
  problems.push(...differences(await outcome(run), wanted));
  for (let waited = 0; processesOf(run).length > 0 && waited < 50; waited++) await setTimeout(100);
  const left = processesOf(run);
  if (left.length > 0) problems.push(`${left.length} processes are left over: ${left.join(', ')}`);
  for (const pid of left) process.kill(pid, 'SIGKILL');
  const { restarts, restartReason } = await run.status();
  const resumes = reasons.length;
  if (restartReason) reasons.push(restartReason);
  if (interrupts.includes(kind) && reasons.length === 0) missed ??= 'the run was not interrupted';
  if (kind === 'disk' && resumes > 0) problems.push('the run did not survive the full disk');
  // The small disk has space for few.
  if (problems.length === 0) rmSync(run.dir, { recursive: true });
  const seconds = (performance.now() - started) / 1000;
  return { kind, restarts, resumes, reasons, seconds, problems, ...(missed && { missed }) };
}

/** Waits for the end. Resumes a run whose supervisor was killed, as its status tells the user to. */
async function finish(run: Run, reasons: string[]): Promise<void> {
  for (;;) {
    const error = await run.done.then(
      () => undefined,
      (reason: unknown) => reason,
    );
    if (error === undefined) return;
    if (!isPatchwiseError(error, 'RunFailed') || reasons.length === 3) throw error;
    reasons.push(error.message);
    for (let waited = 0; processesOf(run).length > 0 && waited < 100; waited++) await setTimeout(50);
    await run.resume();
  }
}

interface Outcome {
  readonly weights: string;
  readonly records: readonly string[];
  readonly halfWritten: readonly string[];
}

async function outcome(run: Run): Promise<Outcome> {
  const hash = createHash('sha256');
  const dir = await run.checkpoint('last').catch(() => undefined);
  for (const name of dir
    ? readdirSync(dir)
        .filter((file) => file.endsWith('.safetensors'))
        .sort()
    : [])
    hash.update(readFileSync(join(dir!, name)));
  const records = (await run.records()).map((record) => JSON.stringify(withoutClock(record)));
  const files = readdirSync(run.dir, { recursive: true }) as string[];
  return { weights: hash.digest('hex'), records, halfWritten: files.filter((file) => file.endsWith('.tmp')) };
}

function differences(found: Outcome, wanted: Outcome): string[] {
  const problems: string[] = [];
  if (found.weights !== wanted.weights) problems.push('the final weights differ');
  const [lost, doubled] = [missing(wanted.records, found.records), missing(found.records, wanted.records)];
  if (lost.length > 0) problems.push(`${lost.length} metrics are lost, the first: ${lost[0]}`);
  if (doubled.length > 0)
    problems.push(`${doubled.length} metrics are doubled or different, the first: ${doubled[0]}`);
  if (problems.length === 0 && found.records.join() !== wanted.records.join())
    problems.push('metrics are out of order');
  if (found.halfWritten.length > 0) problems.push(`half-written files: ${found.halfWritten.join(', ')}`);
  return problems;
}

/** The elements of `all` that are missing in `some`, with their multiplicity. */
function missing(all: readonly string[], some: readonly string[]): string[] {
  const rest = [...some];
  return all.filter((record) => {
    const at = rest.indexOf(record);
    if (at >= 0) rest.splice(at, 1);
    return at < 0;
  });
}

/** Living processes whose command line names the run. */
function processesOf(run: Run): number[] {
  const { stdout } = spawnSync('ps', ['-eo', 'pid=,stat=,args='], { encoding: 'utf8' });
  return stdout
    .split('\n')
    .filter((line) => line.includes(run.dir) && !/^\s*\d+\s+Z/.test(line))
    .map((line) => Number.parseInt(line, 10));
}
