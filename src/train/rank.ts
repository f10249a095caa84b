import { CollectiveFailed, isPatchwiseError } from '../errors';
import type { Collective, World } from './collective/collective';
import { connectCollective } from './collective/connect';
import { watchParent } from './parent-watch';
import { openReporter, type RankMessage } from './reporter';
import { outliveLogs } from './room';
import { readStoredConfig } from './run-folder';
import { runSecret } from './run-secret';
import { trainRank } from './train-rank';
import { worldEnvironment, worldFromEnvironment } from './world';

/**
 * The program of one rank: `patchwise rank --run DIR`, in the environment of torchrun, Slurm or Kubernetes. It trains from the newest whole
 * checkpoint of the run, or from the start, until the steps are done or some rank is asked to stop (SIGTERM, SIGINT,
 * or the signal), and leaves a checkpoint in both cases; SIGUSR1 makes it leave one and go on.
 * @throws what went wrong, after every other rank and the supervisor have been told
 */
export async function runRank(options: { runDir: string; signal?: AbortSignal }): Promise<void> {
  const { runDir } = options;
  outliveLogs();
  const world = worldFromEnvironment(process.env);
  // Backends ask for torchrun's variables, whoever has started this rank.
  Object.assign(process.env, worldEnvironment(world));
  const report = openReporter(runDir, world.rank);
  const endWatch = watchParent();
  const stop = stopSignal(options.signal);
  const saving = saveSignal();
  const progress = { step: 0, training: false };
  const heartbeat = setInterval(() => void report({ type: 'alive', step: progress.step }), 1000);
  let collective: Collective | undefined;
  try {
    const config = readStoredConfig(runDir);
    if (config.threads) process.env.PATCHWISE_THREADS = String(config.threads);
    collective = await connectCollective({
      world,
      name: config.collective ?? 'auto',
      secret: await runSecret(runDir),
      timeout: config.timeout,
      signal: stop.signal,
    });
    const outcome = await trainRank({
      runDir,
      collective,
      stop: stop.signal,
      takeSaveRequest: saving.take,
      report,
      progress,
    });
    await collective.close();
    await report({ type: 'ended', outcome, step: progress.step });
  } catch (error) {
    await collective?.close(error instanceof Error ? error.message : String(error));
    // Asked to stop before there was anything to keep: that is a good end too.
    if (stop.signal.aborted && !progress.training) await report({ type: 'ended', outcome: 'stopped' });
    else {
      await report(failure(error, world));
      throw error;
    }
  } finally {
    clearInterval(heartbeat);
    stop.end();
    saving.end();
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

function stopSignal(outer: AbortSignal | undefined): { signal: AbortSignal; end: () => void } {
  const controller = new AbortController();
  const stop = () => controller.abort();
  outer?.addEventListener('abort', stop, { once: true });
  if (outer?.aborted) stop();
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  const end = () => {
    outer?.removeEventListener('abort', stop);
    process.off('SIGTERM', stop);
    process.off('SIGINT', stop);
  };
  return { signal: controller.signal, end };
}

/** SIGUSR1, as Slurm sends it before it takes a machine away. */
function saveSignal(): { take: () => boolean; end: () => void } {
  let asked = false;
  const ask = () => {
    asked = true;
  };
  process.on('SIGUSR1', ask);
  const take = () => {
    const wanted = asked;
    asked = false;
    return wanted;
  };
  return { take, end: () => process.off('SIGUSR1', ask) };
}
