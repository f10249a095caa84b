import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readCheckpoint } from '../../src/train/record/checkpoint';
import { type MetricRecord, withoutClock } from '../../src/train/record/metrics-log';
import type { Run } from '../../src/train/run';
import type { TrainOptions } from '../../src/train/settings/config';
import { train } from '../../src/train/train';

/** A run that takes a second or two: 8 x 8 x 8 patches of a tiny phantom, a model of a few hundred weights. */
export const tiny: TrainOptions = {
  preset: 'toy',
  data: 'phantom:16x16x32',
  patch: [8, 8, 8],
  stride: [6, 6, 6],
  model: { hidden: 4, codes: 16, groups: 2, restartBelow: 0.1 },
  validation: 0.25,
  steps: 5,
  // A run that is made longer equals one that was as long from the start only where the rate knows no end.
  schedule: 'constant',
  validateEvery: 5,
  checkpointEvery: 5,
  compareEvery: 1,
  seed: 11,
  grace: 10,
  timeout: 60,
};

/** A tiny run that has ended. */
export async function finished(options: TrainOptions): Promise<Run> {
  const run = await train({ ...tiny, ...options });
  await run.done;
  return run;
}

/** Points `train` and `attach` at a folder of its own; returns what removes it. */
export function useTemporaryRuns(): () => void {
  const folder = mkdtempSync(join(tmpdir(), 'patchwise-runs-'));
  process.env.PATCHWISE_RUNS = folder;
  return () => {
    delete process.env.PATCHWISE_RUNS;
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  };
}

/** What must be the same in two runs of the same seed: everything but the clock. */
export function curve(records: readonly MetricRecord[]): object[] {
  return records.map(withoutClock);
}

/** Weights, codebook and Adam's moments of the last checkpoint. */
export async function lastState(run: Run): Promise<Map<string, Float32Array>> {
  const { model, optimiser } = readCheckpoint(await run.checkpoint('last'));
  return new Map([...model, ...optimiser].map(([name, { data }]) => [name, data]));
}

/** Pids of all processes whose command line names the run. */
export function processesOf(run: Run): number[] {
  const { stdout } = spawnSync('ps', ['-eo', 'pid=,args='], { encoding: 'utf8' });
  return stdout
    .split('\n')
    .filter((line) => line.includes(run.dir) && !line.includes('<defunct>'))
    .map((line) => Number.parseInt(line, 10));
}

/** Returns once the run has done so many training steps. */
export async function reach(run: Run, step: number): Promise<void> {
  for await (const record of run.metrics()) if (record.split === 'train' && record.step >= step) return;
}

export async function until(condition: () => boolean | Promise<boolean>, seconds = 10): Promise<void> {
  for (const deadline = Date.now() + seconds * 1000; !(await condition()); ) {
    if (Date.now() > deadline) throw new Error(`not within ${seconds} s: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

export function logOf(run: Run, name: string): string {
  return readFileSync(join(run.dir, 'logs', `${name}.log`), 'utf8');
}
