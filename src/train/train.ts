import { randomInt } from 'node:crypto';
import { existsSync, mkdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { InvalidConfig, RunFailed } from '../errors';
import { makeFolder } from '../make-folder';
import { version } from '../package';
import type { LongCall } from '../progress';
import { withConverted } from '../volume/dicom/convert';
import { type Series, scanDicom } from '../volume/dicom/scan';
import { noVolumes, searchFolder } from '../volume/folder';
import { dicomFiles, matchingSeries } from '../volume/series';
import { isDataset, openDataset } from '../volume/store/dataset';
import { Volume } from '../volume/volume';
import { writeVolume } from '../volume/write';
import { runSecret } from './collective/run-secret';
import { phantomOptions } from './data/loader';
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
 * @throws InvalidConfig with everything that is wrong in the options; UnreadableFile for a damaged dataset; RunFailed
 * if the supervisor does not come up
 */
export async function train(options: TrainOptions, call: LongCall = {}): Promise<Run> {
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
export async function prepareRun(options: TrainOptions, call: LongCall = {}): Promise<Run> {
  call.signal?.throwIfAborted();
  const given = options.data === undefined ? [] : [options.data].flat();
  const volumes = given.filter((entry): entry is Volume => entry instanceof Volume);
  const created = new Date();
  const id = runId(created, options.name ?? options.preset ?? 'toy');
  const dir = join(runsRoot(), id);
  // Checked first, so that bad options leave no folder.
  const found = await Promise.all(
    given.map((entry) => (entry instanceof Volume ? [entry] : findVolumes(entry, call))),
  );
  const stored = [...volumes, ...found.flat().filter(isSeries)];
  const placeOf = (entry: Volume | Series) =>
    join(dir, 'data', entry instanceof Volume ? `volume-${volumes.indexOf(entry)}.nii` : `${entry.name}.nii`);
  const data = found.flat().map((entry) => (typeof entry === 'string' ? entry : placeOf(entry)));
  const config = resolveConfig({ ...options, data });

  try {
    makeFolder(join(dir, 'logs'));
    if (stored.length > 0) mkdirSync(join(dir, 'data'));
    for (const [i, entry] of stored.entries()) {
      call.onProgress?.({ done: i, total: stored.length, what: 'volumes' });
      await storeVolume(placeOf(entry), entry, call);
    }
    const versions = { patchwise: version(), node: process.version };
    writeStoredConfig(dir, { id, created: created.toISOString(), versions, ...config });
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
    .replace(/^-|-$/g, '');
  return [date, clock.replaceAll(':', ''), plain || 'run', random].join('-');
}

/** Writes a volume, or converts a series, so that every rank reads it as a file. */
async function storeVolume(path: string, entry: Volume | Series, { signal }: LongCall): Promise<void> {
  if (entry instanceof Volume) return writeVolume(path, entry, { dtype: 'float32', signal });
  return withConverted(entry, { signal, within: dirname(path) }, async (made) => renameSync(made.path, path));
}

function isSeries(entry: string | Volume | Series): entry is Series {
  return typeof entry === 'object' && !(entry instanceof Volume);
}

/**
 * The volumes that an entry of `data` names: files with absolute paths, and of each DICOM patient the series with the
 * most slices. Several series of one patient could land on both sides of the split.
 */
async function findVolumes(entry: string, call: LongCall): Promise<(string | Series)[]> {
  const fail = (expected: string) => new InvalidConfig([{ key: 'data', expected, received: entry }]);
  if (phantomOptions(entry)) return [entry];
  const path = resolve(entry);
  if (!existsSync(path))
    throw fail(
      'a file or folder that exists, or phantom:XxYxZ (check from which folder you run the command)',
    );
  if (isDataset(path)) {
    openDataset(path); // throws for a damaged or incomplete one, while there is no run yet
    return [path];
  }
  if (!statSync(path).isDirectory() && !dicomFiles(path)) return [path];
  const content = searchFolder(path);
  const dicom = await scanDicom(path, dicomFiles(path) ?? [], { signal: call.signal });
  const series = onePerPatient(dicom.series.filter(({ unusable }) => unusable === undefined));
  const [missing] = content.leftOut;
  if (content.volumes.length + series.length === 0) throw fail(noVolumes(missing));
  if (missing) throw fail(`a folder that can be searched whole (${missing.file}: ${missing.reason})`);
  return [...content.volumes.map((file) => join(path, file)), ...series];
}

function onePerPatient(series: readonly Series[]): Series[] {
  if (series.length === 0) return [];
  const thinFirst = matchingSeries(series, undefined).reverse();
  return [...new Map(thinFirst.map((one) => [one.patient, one])).values()];
}
