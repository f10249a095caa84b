import { CollectiveFailed, isPatchwiseError } from '../../errors';
import type { Collective, World } from '../collective/collective';
import { connectCollective } from '../collective/connect';
import { runSecret } from '../collective/run-secret';
import { worldEnvironment, worldFromEnvironment } from '../collective/world';
import { outliveLogs } from '../record/disk-space';
import { isRunFolder, readStoredConfig } from '../record/run-folder';
import { Claim, claimRun } from './claim';
import { supervisorVariable, watchParent } from './parent-watch';
import { openReporter, type RankMessage } from './reporter';
import { onSignals } from './stop-signals';
import { trainRank } from './training-loop';

/**
 * The program of one rank: `patchwise rank --run DIR`, in the environment of torchrun, Slurm or Kubernetes. It trains from the newest whole
 * checkpoint of the run, or from the start, until the steps are done or some rank is asked to stop (by the signal,
 * SIGTERM, SIGINT, SIGHUP, SIGQUIT or SIGXCPU), and leaves a checkpoint in both cases. SIGUSR1 and SIGUSR2 make it leave
 * one and go on.
 * @throws what went wrong, after it has been reported to every other rank and the supervisor
 */
export async function runRank(options: { runDir: string; signal?: AbortSignal }): Promise<void> {
  const { runDir } = options;
  if (!isRunFolder(runDir)) readStoredConfig(runDir); // throws: a wrong path needs no world to be told
  outliveLogs();
  const world = worldFromEnvironment(process.env);
  // Backends read torchrun's variables, whichever launcher has started this rank.
  Object.assign(process.env, worldEnvironment(world));
  const asked = listen(options.signal);
  // Under a supervisor the run is the supervisor's, under a launcher rank 0's.
  const isOwner = world.rank === 0 && process.env[supervisorVariable] === undefined;
  const claim = isOwner ? await claimRun(runDir, 'rank').catch((error: Error) => error) : undefined;
  const refusal = claim instanceof Error ? claim : undefined;
  if (claim instanceof Claim) claim.keep();
  const report = refusal ? async () => {} : openReporter(runDir, world.rank);
  const endWatch = watchParent();
  const progress = { step: 0, training: false };
  const heartbeat = setInterval(() => void report({ type: 'alive', step: progress.step }), 1000);
  let collective: Collective | undefined;
  try {
    const config = readStoredConfig(runDir);
    if (config.threads) process.env.PATCHWISE_THREADS = String(config.threads);
    collective = await connectCollective({
      world,
      name: config.collective ?? 'auto',
      secret: await runSecret(runDir, world.rank === 0 && !refusal),
      timeout: config.timeout,
      signal: asked.stop,
    });
    // Only now can the other ranks learn of it.
    if (refusal) throw refusal;
    const outcome = await trainRank({
      runDir,
      collective,
      stop: asked.stop,
      takeSaveRequest: asked.takeSaveRequest,
      report,
      progress,
    });
    await collective.close();
    await report({ type: 'ended', outcome, step: progress.step });
  } catch (cause) {
    const error = refusal ?? cause;
    await collective?.close(error instanceof Error ? error.message : String(error));
    // Asked to stop before there was anything to keep: that is a good end too.
    if (!refusal && asked.stop.aborted && !progress.training)
      await report({ type: 'ended', outcome: 'stopped' });
    else {
      await report(failure(error, world));
      throw error;
    }
  } finally {
    clearInterval(heartbeat);
    asked.end();
    if (claim instanceof Claim) await claim.release();
    await endWatch();
    if (process.connected) process.disconnect();
  }
}

/** Errors that come from the config, the data or the machine, and will come again. */
const permanentTags = [
  'InvalidArgument',
  'InvalidConfig',
  'UnreadableFile',
  'UnavailableBackend',
  'RunFailed',
];

function failure(error: unknown, { rank }: World): RankMessage {
  const message = error instanceof Error ? error.message : String(error);
  const cause = error instanceof Error ? (error.cause as { code?: string } | undefined) : undefined;
  return {
    type: 'failed',
    message: message.startsWith('rank ') ? message : `rank ${rank}: ${message}`,
    permanent: isPatchwiseError(error) && permanentTags.includes(error.tag),
    secondary: error instanceof CollectiveFailed,
    portTaken: error instanceof CollectiveFailed && cause?.code === 'EADDRINUSE',
  };
}

/** What signals have asked of this rank. */
function listen(outer: AbortSignal | undefined): {
  stop: AbortSignal;
  takeSaveRequest: () => boolean;
  end: () => void;
} {
  const controller = new AbortController();
  const stop = () => controller.abort();
  let saveAsked = false;
  const save = () => {
    saveAsked = true;
  };
  const endSignals = onSignals(stop, save);
  outer?.addEventListener('abort', stop, { once: true });
  if (outer?.aborted) stop();
  return {
    stop: controller.signal,
    takeSaveRequest: () => {
      const wanted = saveAsked;
      saveAsked = false;
      return wanted;
    },
    end: () => {
      outer?.removeEventListener('abort', stop);
      endSignals();
    },
  };
}
