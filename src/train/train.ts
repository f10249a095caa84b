import { randomInt } from 'node:crypto';
import { rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { RunFailed } from '../errors';
import { makeFolder } from '../make-folder';
import { version } from '../package';
import { runSecret } from './collective/run-secret';
import { findData, keepData, nameOf, type TrainCall } from './find-data';
import { launchSupervisor } from './ranks/launch';
import { rememberRunsRoot, runsRoot, writeStoredConfig } from './record/run-folder';
import { initialStatus, writeStatus } from './record/status';
import { Run } from './run';
import { resolveConfig, type TrainOptions } from './settings/config';

/**
 * Starts a training run in the background. Returns once its folder exists and its supervisor runs; from then on the run
 * does not need this process.
 *
 * ```ts
 * const run = await pw.train({ preset: 'toy', data: 'ct.nii.gz', ranks: 2, steps: 20 });
 * for await (const record of run.metrics()) console.log(record.step, record.loss);
 * ```
 * Volume files that cannot be read are left out; `call.onInspect` gets them, and what is odd about the others.
 * @throws InvalidConfig with everything that is wrong in the options; UnreadableFile for a damaged dataset, and for
 * whatever is left out or odd if the call is strict; RunFailed if the supervisor does not come up
 */
export async function train(options: TrainOptions, call: TrainCall = {}): Promise<Run> {
  const run = await prepareRun(options, call);
  try {
    await launchSupervisor(run.dir, run.id);
  } catch (error) {
    // Such as a full disk: there is no log to read and nothing to resume.
    if (!(error instanceof RunFailed)) rmSync(run.dir, { recursive: true, force: true });
    throw error;
  }
  return run;
}

/**
 * Makes the folder of a run whose ranks a launcher such as torchrun starts:
 * `torchrun --no-python --nproc-per-node=4 -- node dist/src/cli.js rank DIR`.
 * @throws InvalidConfig with everything that is wrong in the options
 */
export async function prepareRun(options: TrainOptions, call: TrainCall = {}): Promise<Run> {
  call.signal?.throwIfAborted();
  const given = options.data === undefined ? [] : [options.data].flat();
  const created = new Date();
  const id = runId(created, options.name ?? options.preset ?? 'toy');
  const dir = join(runsRoot(), id);
  // Checked first, so that bad options leave no folder.
  const found = await findData(given, call);
  const { entries, patients } = found;
  const config = resolveConfig({
    ...options,
    data: entries.map(nameOf),
    patients: options.patients ?? patients,
  });

  try {
    makeFolder(join(dir, 'logs'));
    const { data, patients, ...looked } = await keepData(join(dir, 'data'), found, config, call);
    const versions = { patchwise: version(), node: process.version };
    writeStoredConfig(dir, {
      id,
      created: created.toISOString(),
      versions,
      ...config,
      data,
      patients,
      looked,
    });
    await runSecret(dir);
    writeStatus(dir, initialStatus(config.steps ?? 0));
    call.signal?.throwIfAborted();
    rememberRunsRoot(dirname(dir));
  } catch (error) {
    rmSync(dir, { recursive: true, force: true });
    throw error;
  }
  return new Run(dir);
}

/** Without i, l, o, 0 and 1, which people confuse when they retype an id. */
const alphabet = 'abcdefghjkmnpqrstuvwxyz23456789';

/** Sorts by time: `2026-11-24-203512-toy-k3f9`, in UTC. */
function runId(time: Date, name: string): string {
  const [date, clock] = time.toISOString().slice(0, 19).split('T') as [string, string];
  const random = Array.from({ length: 4 }, () => alphabet[randomInt(alphabet.length)]).join('');
  const plain = name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    // A folder's name holds 255 bytes, and the supervisor's files add some.
    .slice(0, 120)
    .replace(/^-|-$/g, '');
  return [date, clock.replaceAll(':', ''), plain || 'run', random].join('-');
}
