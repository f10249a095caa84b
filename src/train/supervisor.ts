import { hostname } from 'node:os';
import { InvalidArgument } from '../errors';
import { identify, isAlive } from '../process-identity';
import { freePort } from './free-port';
import { type GroupEnd, RankGroup } from './group';
import { applyToStatus } from './reporter';
import { outliveLogs } from './room';
import { readStoredConfig } from './run-folder';
import { StatusFile } from './status-file';

/** Ports that may be lost to another program between choosing and listening. */
const portAttempts = 10;

/**
 * Watches over a run: `patchwise supervise --run DIR`. Starts its ranks, keeps `status.json`, starts the whole group
 * again from the last checkpoint when a rank dies (at most `restarts` times), ends everything on SIGTERM, and hands
 * SIGUSR1 on.
 * Returns when the run has ended, however it ended.
 * @throws InvalidArgument if a living supervisor has the run already
 */
export async function supervise(options: { runDir: string; signal?: AbortSignal }): Promise<void> {
  const { runDir } = options;
  outliveLogs();
  const config = readStoredConfig(runDir);
  const status = new StatusFile(runDir);
  const other = status.current.pids.supervisor;
  if (other && other.pid !== process.pid && status.current.host === hostname() && isAlive(other))
    throw new InvalidArgument('run', 'a run that nobody supervises', `one of process ${other.pid}`);
  status.update({
    state: 'starting',
    host: hostname(),
    pids: { supervisor: identify(process.pid), ranks: [] },
    heartbeats: [],
    error: undefined,
    warning: undefined,
  });
  status.flush();

  let group: RankGroup | undefined;
  let stopping = false;
  const stop = () => {
    stopping = true;
    group?.stop(config.grace);
  };
  const save = () => group?.signal('SIGUSR1');
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  process.on('SIGUSR1', save);
  options.signal?.addEventListener('abort', stop, { once: true });
  if (options.signal?.aborted) stop();

  let restarts = 0;
  let ports = 0;
  let end: GroupEnd = { outcome: 'stopped' };
  while (!stopping) {
    group = new RankGroup({
      runDir,
      ranks: config.ranks,
      port: await freePort(),
      silence: config.timeout,
      heartbeat: config.heartbeat,
      onMessage: (rank, message) => applyToStatus(status, rank, message),
    });
    status.update({ pids: { ...status.current.pids, ranks: group.identities } });
    status.flush();
    if (stopping) stop(); // The signal came while the ranks were being started.
    end = await group.ended;
    if (end.outcome !== 'failed' || end.permanent || stopping) break;
    if (end.portTaken && ports++ < portAttempts) continue;
    if (restarts === config.restarts) break;
    restarts++;
    log(`starting again (${restarts} of at most ${config.restarts}): ${end.reason}`);
    status.update({ state: 'starting', restarts: status.current.restarts + 1, restartReason: end.reason });
  }

  process.off('SIGTERM', stop);
  process.off('SIGINT', stop);
  process.off('SIGUSR1', save);
  // Who was asked to stop has stopped, even if some ranks had to be killed for it.
  const state = stopping && end.outcome === 'failed' ? 'stopped' : end.outcome;
  status.update({ state, ...(state === 'failed' && end.outcome === 'failed' && { error: end.reason }) });
  await status.flushEnd();
  log(`${state}${end.outcome === 'failed' ? `: ${end.reason}` : ''}`);
}

function log(message: string): void {
  console.error(`${new Date().toISOString()} ${message}`);
}
