import { identify } from '../../process-identity';
import { freePort } from '../collective/ports';
import { outliveLogs } from '../record/disk-space';
import { readStoredConfig } from '../record/run-folder';
import { StatusFile, whereWeAre } from '../record/status';
import { adoptClaim } from './claim';
import { type GroupEnd, RankGroup } from './group';
import { applyToStatus, type RankMessage } from './reporter';
import { onSignals } from './signals';

/** Another program may take a free port before rank 0 listens; so often another port is tried. */
const portAttempts = 10;

/**
 * Watches over a run: `patchwise supervise --run DIR`. It starts the ranks and keeps `status.json`. When a rank dies, it
 * starts the whole group again from the last checkpoint, at most `restarts` times. A signal that asks to stop ends all;
 * SIGUSR1 and SIGUSR2 ask for a checkpoint. Returns when the run has ended, in whatever way.
 * @throws InvalidArgument if another process has the run, here or on another machine
 */
export async function supervise({ runDir }: { readonly runDir: string }): Promise<void> {
  outliveLogs();
  const config = readStoredConfig(runDir);
  const { ranks, timeout: silence, heartbeat } = config;
  let group: RankGroup | undefined;
  let stopping = false;
  const stop = () => {
    stopping = true;
    group?.stop(config.grace);
  };
  const endSignals = onSignals(stop, () => group?.requestSave());

  const claim = await adoptClaim(runDir);
  claim.keep();
  const status = new StatusFile(runDir);
  status.update({
    state: 'starting',
    ...whereWeAre(),
    pids: { supervisor: identify(process.pid), ranks: [] },
    heartbeats: [],
    error: undefined,
    warning: undefined,
    idle: undefined,
    note: undefined,
  });
  status.flush();
  reportUp();

  const onMessage = (rank: number, message: RankMessage) => applyToStatus(status, rank, message);
  let restarts = 0;
  let ports = 0;
  let end: GroupEnd = { outcome: 'stopped' };
  while (!stopping) {
    const port = await freePort();
    group = new RankGroup({ program: 'rank', runDir, ranks, port, silence, heartbeat, onMessage });
    status.update({ pids: { ...status.current.pids, ranks: group.identities } });
    status.flush();
    if (stopping) stop(); // the signal came while the ranks started
    end = await group.ended;
    if (end.outcome !== 'failed' || end.permanent || stopping) break;
    if (end.portTaken && ports++ < portAttempts) continue;
    if (restarts === config.restarts) break;
    restarts++;
    log(`starting again (${restarts} of at most ${config.restarts}): ${end.reason}`);
    status.update({ state: 'starting', restarts: status.current.restarts + 1, restartReason: end.reason });
  }

  endSignals();
  // A run that was asked to stop has stopped, even if some ranks had to be killed.
  const reason = end.outcome === 'failed' ? end.reason : undefined;
  const state = stopping && reason !== undefined ? 'stopped' : end.outcome;
  status.update({ state, ...(state === 'failed' && { error: reason }) });
  await status.flushEnd();
  await claim.release();
  log(reason === undefined ? state : `${state}: ${reason}`);
}

/** Tells the launcher, if it still lives, that this process has the run. */
function reportUp(): void {
  if (!process.connected) return;
  process.send!('up', () => {
    if (process.connected) process.disconnect();
  });
}

function log(message: string): void {
  console.error(`${new Date().toISOString()} ${message}`);
}
