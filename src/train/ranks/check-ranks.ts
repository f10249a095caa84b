import { mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { visibleGpus } from '../../compute/machine/gpus';
import { rankThreads } from '../../compute/machine/threads';
import { buildCommand } from '../../compute/machine/toolchain';
import { useBackend } from '../../compute/use-backend';
import { InvalidArgument } from '../../errors';
import { makeFolder } from '../../make-folder';
import type { LongCall } from '../../progress';
import { builtC10d } from '../collective/c10d/addon';
import type { CollectiveName } from '../collective/connect';
import { freePort } from '../collective/ports';
import { runsRoot } from '../record/run-folder';
import { logEnd } from '../record/run-logs';
import { RankGroup } from './group';
import { type ProbeResult, type ProbeTask, taskPath } from './probe';

export interface RanksCheckOptions extends LongCall {
  readonly ranks: number;
  /** How long the ranks sum, in seconds; 5 by default. */
  readonly seconds?: number;
  /** `auto` by default, as in a run's config. */
  readonly collective?: CollectiveName;
  /** Folder that all ranks share; by default the folder of runs. */
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
  /** Undefined if a rank failed. */
  readonly measured?: ProbeResult;
  readonly ok: boolean;
}

/**
 * Tries what a run of so many ranks needs on this host: a port, devices, the built collectives, the shared folder. Then
 * starts the ranks as a run does, and lets them sum for some seconds.
 * @throws InvalidArgument for an impossible number of ranks
 */
export async function checkRanks(options: RanksCheckOptions): Promise<RanksCheck> {
  const { ranks, folder = runsRoot() } = options;
  if (!Number.isInteger(ranks) || ranks < 1)
    throw new InvalidArgument('ranks', 'a whole number above 0', ranks);
  const port = await freePort().catch((error: Error) => error);
  const findings: RanksFinding[] = [
    port instanceof Error
      ? { part: 'port', wrong: `no port of 127.0.0.1 can be listened on: ${port.message}` }
      : { part: 'port', found: `127.0.0.1:${port} is free${masterPort()}` },
    await devices(ranks),
    collectives(),
  ];
  let work: string;
  try {
    makeFolder(folder);
    work = mkdtempSync(join(folder, '.probe-'));
  } catch (error) {
    const wrong = `${folder} cannot be written: ${(error as Error).message}`;
    return { findings: [...findings, { part: 'shared folder', wrong }], ok: false };
  }
  try {
    if (port instanceof Error) return { findings, ok: false };
    const { bavail, bsize } = statfsSync(work);
    const { measured, wrong } = await probe(work, port, options);
    const free = `${((bavail * bsize) / 2 ** 30).toFixed(1)} GiB free`;
    findings.push(
      wrong?.includes('did not appear')
        ? { part: 'shared folder', wrong }
        : { part: 'shared folder', found: `${folder}: ${ranks} ranks write and see one another, ${free}` },
      measured
        ? { part: 'all-reduce', found: describe(measured, ranks) }
        : { part: 'all-reduce', wrong: wrong! },
    );
    const ok = findings.every((finding) => finding.wrong === undefined);
    return { findings, ...(measured && { measured }), ok };
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Runs the ranks to their end. A rank that fails, or the signal, ends the others. */
async function probe(
  folder: string,
  port: number,
  { ranks, seconds = 5, collective = 'auto', signal, onProgress }: RanksCheckOptions,
): Promise<{ measured?: ProbeResult; wrong?: string }> {
  signal?.throwIfAborted();
  makeFolder(join(folder, 'logs'));
  const task: ProbeTask = { collective, seconds };
  writeFileSync(taskPath(folder), JSON.stringify(task));
  let measured: ProbeResult | undefined;
  // They start, wait for one another, and sum; then comes their only message.
  const patience = 60 + seconds;
  const group = new RankGroup({
    program: 'probe',
    runDir: folder,
    ranks,
    port,
    silence: patience,
    heartbeat: patience,
    onMessage: (rank, message) => {
      if (message.type === 'measured' && rank === 0) measured = message.result;
    },
  });
  const stop = () => group.stop(0);
  signal?.addEventListener('abort', stop, { once: true });
  const [begun, total] = [performance.now(), Math.ceil(seconds)];
  const progress = setInterval(() => {
    const done = Math.floor((performance.now() - begun) / 1000);
    onProgress?.({ done: Math.min(total, done), total, what: 'seconds' });
  }, 1000);
  const end = await group.ended;
  clearInterval(progress);
  signal?.removeEventListener('abort', stop);
  signal?.throwIfAborted();
  if (end.outcome !== 'failed') return measured ? { measured } : { wrong: 'the ranks measured nothing' };
  if (end.silent) return { wrong: `the ranks did not come to an end within ${patience} s` };
  if (end.mute === undefined) return { wrong: end.reason };
  const log = logEnd(join(folder, 'logs', `rank-${end.mute}.log`), 2 ** 16).text;
  // The first line, with dashes, is our own.
  const last = log.split('\n').findLast((line) => line.trim() !== '' && !line.startsWith('--- '));
  return { wrong: last ? `${end.reason}: ${last}` : end.reason };
}

async function devices(ranks: number): Promise<RanksFinding> {
  const gpus = visibleGpus();
  if (gpus.length === 0) {
    const threads = `${rankThreads(ranks)} thread(s) each`;
    return { part: 'devices', found: `no GPU; ${ranks} ranks on the processor, ${threads}` };
  }
  const shared = ranks > gpus.length ? `, which ${Math.ceil(ranks / gpus.length)} ranks share` : '';
  const found = `GPU ${gpus.slice(0, ranks).join(', ')}${shared}`;
  // The driver may list a GPU on which the backend cannot compute.
  const wrong = await useBackend().then(
    ({ warning }) => warning,
    (error: Error) => error.message,
  );
  return { part: 'devices', found, ...(wrong !== undefined && { wrong }) };
}

function collectives(): RanksFinding {
  const built = builtC10d();
  if (!built) {
    const found = `local; no c10d (Gloo, NCCL) for several hosts and GPUs: \`${buildCommand('libtorch')}\``;
    return { part: 'collectives', found };
  }
  const why = built.ncclProblem?.split('\n')[0] ?? 'its libtorch has no CUDA';
  const nccl = built.nccl ? 'NCCL' : `no NCCL: ${why}`;
  const debug = process.env.NCCL_DEBUG ? `, NCCL_DEBUG=${process.env.NCCL_DEBUG}` : '';
  return {
    part: 'collectives',
    found: `local, c10d of libtorch ${built.libtorch} with Gloo; ${nccl}${debug}`,
  };
}

/** Where the ranks of several hosts meet, if a launcher has set it. */
function masterPort(): string {
  const { MASTER_ADDR, MASTER_PORT } = process.env;
  return MASTER_ADDR
    ? `; several hosts would meet at ${MASTER_ADDR}:${MASTER_PORT ?? '?'} (this is ${hostname()})`
    : '';
}

/** The bandwidth of the algorithm: the bytes of one rank, over the time until it has the sum. */
function describe({ collective, latency, bytes, seconds, operations }: ProbeResult, ranks: number): string {
  const speed = `${(bytes / 2 ** 20 / seconds).toFixed(0)} MiB/s`;
  return (
    `${collective}: ${operations} sums over ${ranks} ranks, all right; ${(1e6 * latency).toFixed(0)} us for one number, ` +
    `${(1000 * seconds).toFixed(1)} ms for ${bytes / 2 ** 20} MiB (${speed})`
  );
}
