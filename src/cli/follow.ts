import type { Run, RunStatus } from '../index';
import { type MeasureName, measureText, runNotices } from '../internal';
import type { Answer } from './command';
import { interruptible } from './terminal';

/** Shows a run's progress until it ends; Ctrl-C leaves the run alone and says how to come back. */
export async function follow(run: Run, json: boolean): Promise<void> {
  const call = interruptible(run.id);
  const { steps } = await run.status();
  const tellNew = noticeTeller(run);
  try {
    for await (const record of run.metrics({ signal: call.signal })) {
      await tellNew();
      if (record.split === 'train') call.onProgress?.({ done: record.step, total: steps, what: 'steps' });
      else if (!json) process.stderr.write(`\n${recordLine(record)}\n`);
    }
  } catch (error) {
    if (!call.signal?.aborted) throw error;
    process.stderr.write(`\n${run.id} goes on; stop it with: npx patchwise runs stop ${run.id}\n`);
    return;
  }
  await tellNew(true); // a short run may be over before its status has them
  await run.done;
}

/** Prints the run's notices to stderr, each once; looks at most once a second. */
function noticeTeller(run: Run): (atOnce?: boolean) => Promise<void> {
  const told = new Set<string>();
  let looked = Number.NEGATIVE_INFINITY;
  return async (atOnce = false) => {
    if (!atOnce && performance.now() - looked < 1000) return;
    looked = performance.now();
    for (const notice of runNotices(await run.status())) {
      if (!told.has(notice)) process.stderr.write(`\n${notice}\n`);
      told.add(notice);
    }
  };
}

/** A run's state and its notices. */
export function summary(run: Run, status: RunStatus): string[] {
  const error = status.error ? `: ${status.error}` : '';
  return [
    `${run.id}  ${status.state}${error}  step ${status.step}/${status.steps}  ${run.dir}`,
    ...runNotices(status),
  ];
}

/** The answer of a command that has acted on a run. */
export function told(run: Run, status: RunStatus, ...more: readonly string[]): Answer {
  const { id, dir } = run;
  return [{ id, dir, status }, [...summary(run, status), ...more]];
}

export function recordLine(record: { split: string; step: number }): string {
  const figures = Object.entries(record)
    .filter(([key, value]) => typeof value === 'number' && key !== 'step' && key !== 'epoch')
    .map(([key, value]) => measureText(key as MeasureName, value as number));
  return `${record.split.padEnd(10)} step ${record.step}  ${figures.join('  ')}`;
}
