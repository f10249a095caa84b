/** Several runs: found, listed, live, side by side. */
import { existsSync, readdirSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { InvalidArgument } from '../errors';
import { type CheckpointState, readState } from './record/checkpoint';
import { paceOf } from './record/course';
import { isRunFolder, knownRunsRoots, runsRoot, type StoredConfig } from './record/run-folder';
import type { RunStatus } from './record/status';
import { LiveView, Run } from './run';
import { byPath } from './settings/config';
import { measures, type SummaryMeasure, summaryMeasures } from './settings/measures';

/**
 * A run by its folder or its id. Looks in the folder of runs (`runsRoot`), then in all others in which this user has
 * started runs. @throws InvalidArgument with the places where it looked and the latest runs
 *
 * ```ts
 * const [latest] = await pw.listRuns();
 * const run = await pw.attach(latest!.id); // tomorrow, or from another notebook
 * console.log((await run.status()).state);
 * ```
 */
export async function attach(idOrDir: string): Promise<Run> {
  const root = runsRoot();
  const others = basename(idOrDir) === idOrDir ? knownRunsRoots().filter((other) => other !== root) : [];
  const places = [join(root, idOrDir), resolve(idOrDir), ...others.map((other) => join(other, idOrDir))];
  const dir = places.find(isRunFolder);
  if (dir !== undefined) return new Run(dir);
  const elsewhere = others.length > 0 ? ` or in ${others.length} other folder(s) of earlier runs` : '';
  const latest = (await listRuns()).slice(0, 10).map((run) => run.id);
  throw new InvalidArgument(
    'run',
    `the folder of a run, or the id of one in ${root}${elsewhere} (PATCHWISE_RUNS names another folder)`,
    idOrDir,
    latest,
  );
}

/**
 * All runs of a folder, newest first.
 *
 * ```ts
 * for (const run of await pw.listRuns()) console.log(run.id, (await run.status()).state);
 * ```
 */
export async function listRuns(root: string = runsRoot()): Promise<Run[]> {
  // A run that is being removed has a name with a dot.
  const names = existsSync(root) ? readdirSync(root).filter((name) => !name.startsWith('.')) : [];
  const dirs = names.map((name) => join(root, name)).filter(isRunFolder);
  return dirs
    .sort()
    .reverse()
    .map((dir) => new Run(dir));
}

/** Several runs in one live figure, each in its own colour. @throws InvalidArgument for none */
export function live(runs: Run | readonly Run[]): LiveView {
  const all = runs instanceof Run ? [runs] : runs;
  if (all.length === 0) throw new InvalidArgument('runs', 'at least one run', all);
  return new LiveView(all);
}

/** Several runs side by side. */
export interface RunsSideBySide {
  /** Settings in which they differ, as dotted paths, with the value of each run. */
  readonly differences: readonly { readonly setting: string; readonly values: readonly unknown[] }[];
  readonly results: readonly RunResult[];
}

/** With the summary measures of its last training step and of its best validation. */
export interface RunResult extends Readonly<Partial<Record<SummaryMeasure, number>>> {
  readonly id: string;
  readonly state: string;
  readonly step: number;
  readonly steps: number;
  readonly backend?: string;
  /** Step of the validation with the highest PSNR, from the start of the discriminators on if there are any. */
  readonly bestStep?: number;
  readonly patchesPerSecond?: number;
}

/** A run in a list. */
export interface RunSummary extends RunStatus {
  readonly id: string;
  readonly dir: string;
  readonly preset?: string;
  readonly data?: readonly string[];
  /** The best checkpoint so far, by the metric that the run ranks by. */
  readonly best?: CheckpointState['best'];
}

/** One summary for each run. Leaves out runs that are removed meanwhile. */
export async function runSummaries(runs: readonly Run[]): Promise<RunSummary[]> {
  const found = await Promise.allSettled(
    runs.map(async (run) => {
      const status = await run.status();
      // A damaged run may lack either.
      const config = await run.config().catch(() => undefined);
      const last = run.checkpoint('last').then(readState);
      const state = await last.catch(() => undefined);
      return {
        id: run.id,
        dir: run.dir,
        ...status,
        ...(config && { preset: config.preset, data: config.data }),
        ...(state?.best && { best: state.best }),
      };
    }),
  );
  return found.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
}

/** The differences between the configs of runs, and their results. */
export async function runsSideBySide(runs: readonly Run[]): Promise<RunsSideBySide> {
  const configs = await Promise.all(runs.map(async (run) => settingsByPath(await run.config())));
  const settings = [...new Set(configs.flatMap((config) => [...config.keys()]))].sort();
  const differences = settings
    .map((setting) => ({ setting, values: configs.map((config) => config.get(setting)) }))
    .filter(({ values }) => new Set(values.map((value) => JSON.stringify(value))).size > 1);
  return { differences, results: await Promise.all(runs.map(resultOf)) };
}

async function resultOf(run: Run): Promise<RunResult> {
  const [status, course] = [await run.status(), await run.course()];
  const { best } = course;
  const pace = paceOf(course.records, status);
  const { state, step, steps, backend } = status;
  const summary = summaryMeasures.flatMap((name) => {
    const value = (measures[name].summary === 'train' ? course.last('train') : best)?.[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  return {
    id: run.id,
    state,
    step,
    steps,
    ...Object.fromEntries(summary),
    ...(backend && { backend }),
    ...(best && { bestStep: best.step }),
    ...(pace && { patchesPerSecond: pace.patchesPerSecond }),
  };
}

/** Without what belongs to the run's folder alone. */
function settingsByPath(config: StoredConfig): Map<string, unknown> {
  const { id: _id, created: _created, resolved: _resolved, resumed: _resumed, ...settings } = config;
  return byPath(settings);
}
