import { type CheckpointState, readState } from './record/checkpoint';
import { paceOf } from './record/course';
import type { StoredConfig } from './record/run-folder';
import type { RunStatus } from './record/status';
import type { Run } from './run';
import { measures, type SummaryMeasure, summaryMeasures } from './settings/measures';

/** Several runs side by side. */
export interface RunsSideBySide {
  /** Settings in which they differ, as dotted paths, with the value of each run. */
  readonly differences: readonly { readonly setting: string; readonly values: readonly unknown[] }[];
  readonly results: readonly RunResult[];
}

/** With the measures that sum a run up: of its last training step, and of its best validation. */
export interface RunResult extends Readonly<Partial<Record<SummaryMeasure, number>>> {
  readonly id: string;
  readonly state: string;
  readonly step: number;
  readonly steps: number;
  readonly backend?: string;
  /** The step of its validation with the highest PSNR; once discriminators have joined, of those from then on. */
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

/** What a list of runs says of each; one that is removed meanwhile is left out. */
export async function runSummaries(runs: readonly Run[]): Promise<RunSummary[]> {
  const found = await Promise.allSettled(
    runs.map(async (run) => {
      const status = await run.status();
      // What a damaged run lacks is left out: a list shows it all the same.
      const config = await run.config().catch(() => undefined);
      const state = await run
        .checkpoint('last')
        .then(readState)
        .catch(() => undefined);
      return {
        ...{ id: run.id, dir: run.dir, ...status },
        ...(config && { preset: config.preset, data: config.data }),
        ...(state?.best && { best: state.best }),
      };
    }),
  );
  return found.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
}

/** What differs in the configs of runs, and what came of it. */
export async function runsSideBySide(runs: readonly Run[]): Promise<RunsSideBySide> {
  const configs = await Promise.all(runs.map(async (run) => flatten(await run.config())));
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
    ...{ id: run.id, state, step, steps, ...Object.fromEntries(summary) },
    ...(backend && { backend }),
    ...(best && { bestStep: best.step }),
    ...(pace && { patchesPerSecond: pace.patchesPerSecond }),
  };
}

/** The settings of a config by dotted path, without what belongs to the run's folder alone. */
function flatten(config: StoredConfig): Map<string, unknown> {
  const { id: _id, created: _created, resolved: _resolved, resumed: _resumed, ...settings } = config;
  const flat = new Map<string, unknown>();
  const visit = (value: unknown, path: string) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) flat.set(path, value);
    else for (const [key, part] of Object.entries(value)) visit(part, path ? `${path}.${key}` : key);
  };
  visit(settings, '');
  return flat;
}
