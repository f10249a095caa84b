import type { Collective } from '../collective/collective';
import { connectCollective } from '../collective/connect';
import { runSecret } from '../collective/run-secret';
import { worldEnvironment, worldFromEnvironment } from '../collective/world';
import { outliveLogs } from '../record/disk-space';
import { isRunFolder, readStoredConfig } from '../record/run-folder';
import { Claim, claimRun } from './claim';
import { failureOf, openReporter } from './reporter';
import { onSignals, supervisorVariable, watchParent } from './signals';
import { trainRank } from './training-loop';

/**
 * One rank: `patchwise rank --run DIR`, in the environment of torchrun, Slurm or Kubernetes. It trains from the newest
 * whole checkpoint, or from the start, until the steps are done or a signal asks some rank to stop. Then it writes a
 * checkpoint. At SIGUSR1 and SIGUSR2 it writes a checkpoint and goes on.
 * @throws the error that ended it, after every other rank and the supervisor know of it
 */
export async function runRank({ runDir }: { readonly runDir: string }): Promise<void> {
  if (!isRunFolder(runDir)) readStoredConfig(runDir); // throws, whatever the environment
  outliveLogs();
  const world = worldFromEnvironment(process.env);
  // Backends read torchrun's variables, also under another launcher.
  Object.assign(process.env, worldEnvironment(world));
  const stop = new AbortController();
  const asked = { save: false };
  const endSignals = onSignals(
    () => stop.abort(),
    () => {
      asked.save = true;
    },
  );
  // The supervisor owns the run; without one, rank 0 does.
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
      signal: stop.signal,
    });
    // Only now can it tell the other ranks.
    if (refusal) throw refusal;
    const outcome = await trainRank({ runDir, collective, stop: stop.signal, asked, report, progress });
    await collective.close();
    await report({ type: 'ended', outcome, step: progress.step });
  } catch (cause) {
    const error = refusal ?? cause;
    await collective?.close(error instanceof Error ? error.message : String(error));
    // A stop before the training is no failure.
    if (!refusal && stop.signal.aborted && !progress.training)
      await report({ type: 'ended', outcome: 'stopped' });
    else {
      await report(failureOf(error, world.rank));
      throw error;
    }
  } finally {
    clearInterval(heartbeat);
    endSignals();
    if (claim instanceof Claim) await claim.release();
    await endWatch();
    if (process.connected) process.disconnect();
  }
}
