import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, statfsSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { visibleGpus } from '../../compute/machine/gpus';
import { rankThreads } from '../../compute/machine/threads';
import { useBackend } from '../../compute/use-backend';
import { InvalidArgument } from '../../errors';
import { makeFolder } from '../../make-folder';
import { compiledFile, nodeArguments } from '../../package';
import type { LongCall } from '../../progress';
import { afterSeconds } from '../../timer';
import { builtC10d } from '../collective/c10d/addon';
import type { CollectiveName } from '../collective/connect';
import { pinGpu } from '../collective/devices';
import { freePort } from '../collective/free-port';
import { makeSecret } from '../collective/run-secret';
import { worldEnvironment } from '../collective/world';
import { runsRoot } from '../record/run-folder';
import { heartbeatVariable, supervisorVariable } from './parent-watch';
import { type ProbeMessage, type ProbeResult, type ProbeTask, probeVariable } from './probe';

export interface RanksCheckOptions extends LongCall {
  readonly ranks: number;
  /** Seconds of sums; 5 by default. */
  readonly seconds?: number;
  /** `auto` by default, as in a run's config. */
  readonly collective?: CollectiveName;
  /** Folder that all ranks share; by default where runs go. */
  readonly folder?: string;
}

/** One thing that ranks need: what the check found, or what is wrong and how to cure it. */
export interface RanksFinding {
  readonly part: string;
  readonly found?: string;
  readonly wrong?: string;
}

export interface RanksCheck {
  readonly findings: readonly RanksFinding[];
  /** Undefined where the ranks did not come to an end. */
  readonly measured?: ProbeResult;
  readonly ok: boolean;
}

/**
 * Tries what a run of so many ranks on this host needs: a port, devices, the collectives that are built, the shared
 * folder; then starts the ranks as a run does, and lets them sum for some seconds.
 * @throws InvalidArgument for a number of ranks that makes no sense
 */
export async function checkRanks(options: RanksCheckOptions): Promise<RanksCheck> {
  const { ranks, seconds = 5, collective = 'auto', folder = runsRoot(), signal } = options;
  if (!Number.isInteger(ranks) || ranks < 1)
    throw new InvalidArgument('ranks', 'a whole number above 0', ranks);
  const findings: RanksFinding[] = [];
  const port = await freePort().catch((error: Error) => error);
  findings.push(
    port instanceof Error
      ? { part: 'port', wrong: `no port of 127.0.0.1 can be listened on: ${port.message}` }
      : { part: 'port', found: `127.0.0.1:${port} is free${masterPort()}` },
    await devices(ranks),
    collectives(),
  );
  let work: string | undefined;
  try {
    makeFolder(folder);
    work = mkdtempSync(join(folder, '.probe-'));
  } catch (error) {
    findings.push({
      part: 'shared folder',
      wrong: `${folder} cannot be written: ${(error as Error).message}`,
    });
  }
  if (!work || port instanceof Error) return { findings, ok: false };
  try {
    const { bavail, bsize } = statfsSync(work);
    const task: ProbeTask = { collective, seconds, secret: makeSecret() };
    const started = probes(work, ranks, port, task, signal);
    const timer = progressTimer(options, seconds);
    const { measured, wrong } = await started.finally(() => clearInterval(timer));
    const free = `${((bavail * bsize) / 2 ** 30).toFixed(1)} GiB free`;
    const lost = wrong?.includes('did not appear');
    findings.push(
      lost
        ? { part: 'shared folder', wrong: wrong! }
        : { part: 'shared folder', found: `${folder}: ${ranks} ranks write and see one another, ${free}` },
      measured
        ? { part: 'all-reduce', found: describe(measured, ranks) }
        : { part: 'all-reduce', wrong: wrong ?? 'the ranks ended without a word' },
    );
    const ok = measured !== undefined && findings.every(({ wrong }) => wrong === undefined);
    return { findings, ...(measured && { measured }), ok };
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Starts the ranks and waits for all of them. The first that fails, or the signal, ends the others. */
async function probes(
  folder: string,
  ranks: number,
  port: number,
  task: ProbeTask,
  signal: AbortSignal | undefined,
): Promise<{ measured?: ProbeResult; wrong?: string }> {
  const gpus = visibleGpus();
  let measured: ProbeResult | undefined;
  let wrong: string | undefined;
  const children: ChildProcess[] = [];
  const endAll = () => {
    for (const child of children) child.kill('SIGKILL');
  };
  // Time to start, to wait for one another, and to sum.
  const endDeadline = afterSeconds(60 + task.seconds, () => {
    wrong ??= `the ranks did not come to an end within ${60 + task.seconds} s`;
    endAll();
  });
  signal?.addEventListener('abort', endAll, { once: true });
  const ends = Array.from({ length: ranks }, (_, rank) => {
    const place = { rank, worldSize: ranks, localRank: rank, localWorldSize: ranks };
    const world = worldEnvironment({ ...place, address: '127.0.0.1', port });
    const child = spawn(
      process.execPath,
      nodeArguments(compiledFile('src', 'train', 'ranks', 'main.js'), 'probe', '--run', folder),
      {
        stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
        env: {
          ...withoutLauncher(),
          ...world,
          ...pinGpu(rank, gpus, ranks),
          [supervisorVariable]: String(process.pid),
          [probeVariable]: JSON.stringify(task),
        },
      },
    );
    children.push(child);
    let said = '';
    child.stderr!.on('data', (data) => {
      said += data;
    });
    child.on('message', (message: ProbeMessage) => {
      if (message.type === 'failed') wrong ??= `rank ${message.rank}: ${message.message}`;
      else if (message.rank === 0) measured = message.result;
    });
    return new Promise<void>((resolve) => {
      child.on('error', (error) => {
        wrong ??= `rank ${rank} could not be started: ${error.message}`;
        resolve();
      });
      child.on('close', (code, by) => {
        if (code !== 0)
          wrong ??= `rank ${rank} ended by ${by ?? `code ${code}`}: ${said.trim().split('\n').at(-1)}`;
        if (code !== 0) setTimeout(endAll, 2000).unref();
        resolve();
      });
    });
  });
  await Promise.all(ends);
  endDeadline();
  signal?.removeEventListener('abort', endAll);
  signal?.throwIfAborted();
  return wrong === undefined && measured ? { measured } : { wrong: wrong ?? 'no rank has answered' };
}

async function devices(ranks: number): Promise<RanksFinding> {
  const gpus = visibleGpus();
  if (gpus.length === 0) {
    const threads = `${rankThreads(ranks)} thread(s) each`;
    return { part: 'devices', found: `no GPU; ${ranks} ranks on the processor, ${threads}` };
  }
  const shared = ranks > gpus.length ? `, which ${Math.ceil(ranks / gpus.length)} ranks share` : '';
  const found = `GPU ${gpus.slice(0, ranks).join(', ')}${shared}`;
  // That the driver lists a GPU does not say that the backend computes on it.
  const wrong = await useBackend().then(
    ({ warning }) => warning,
    (error: Error) => error.message,
  );
  return { part: 'devices', found, ...(wrong !== undefined && { wrong }) };
}

function collectives(): RanksFinding {
  const built = builtC10d();
  if (!built) {
    const cure = '`npx patchwise backend build libtorch`, with libgloo-dev';
    return { part: 'collectives', found: `local; no c10d (Gloo, NCCL) for several hosts and GPUs: ${cure}` };
  }
  const why = built.ncclProblem?.split('\n')[0] ?? 'its libtorch has no CUDA';
  const nccl = built.nccl ? 'NCCL' : `no NCCL: ${why}`;
  const debug = process.env.NCCL_DEBUG ? `, NCCL_DEBUG=${process.env.NCCL_DEBUG}` : '';
  return {
    part: 'collectives',
    found: `local, c10d of libtorch ${built.libtorch} with ${built.gloo ? 'Gloo' : 'no Gloo'}; ${nccl}${debug}`,
  };
}

/** What a launcher's environment says of the port where ranks of several hosts meet. */
function masterPort(): string {
  const { MASTER_ADDR, MASTER_PORT } = process.env;
  return MASTER_ADDR
    ? `; several hosts would meet at ${MASTER_ADDR}:${MASTER_PORT ?? '?'} (this is ${hostname()})`
    : '';
}

/** The environment without a launcher's variables: the check starts its own ranks. */
function withoutLauncher(): NodeJS.ProcessEnv {
  const environment = { ...process.env };
  for (const name of Object.keys(environment))
    if (/^(TORCHELASTIC_|SLURM_|GROUP_|ROLE_)/.test(name) || name === heartbeatVariable)
      delete environment[name];
  return environment;
}

/** Bandwidth is of the algorithm: what a rank put in, over the time until it had the sum. */
function describe({ collective, latency, bytes, seconds, operations }: ProbeResult, ranks: number): string {
  const speed = `${(bytes / 2 ** 20 / seconds).toFixed(0)} MiB/s`;
  return (
    `${collective}: ${operations} sums over ${ranks} ranks, all right; ${(1e6 * latency).toFixed(0)} us for one number, ` +
    `${(1000 * seconds).toFixed(1)} ms for ${bytes / 2 ** 20} MiB (${speed})`
  );
}

function progressTimer({ onProgress }: LongCall, seconds: number): NodeJS.Timeout | undefined {
  const begun = performance.now();
  const total = Math.ceil(seconds);
  const look = () =>
    onProgress?.({
      done: Math.min(total, Math.floor((performance.now() - begun) / 1000)),
      total,
      what: 'seconds',
    });
  return onProgress && setInterval(look, 1000);
}
