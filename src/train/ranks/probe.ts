import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { median } from '../../median';
import type { Collective } from '../collective/collective';
import { type CollectiveName, chooseCollective, connectCollective } from '../collective/connect';
import { runSecret } from '../collective/run-secret';
import { worldFromEnvironment } from '../collective/world';
import { failureOf, openReporter } from './reporter';
import { watchParent } from './signals';

/** How the ranks of this machine speak with each other, measured. */
export interface ProbeResult {
  readonly collective: 'local' | 'c10d';
  readonly reason: string;
  /** Median time of a sum of one number, seconds. */
  readonly latency: number;
  readonly operations: number;
  /** Bytes that each rank puts into a large sum, and the median of its seconds. */
  readonly bytes: number;
  readonly seconds: number;
}

export interface ProbeTask {
  readonly collective: CollectiveName;
  /** Time to measure. */
  readonly seconds: number;
}

export function taskPath(folder: string): string {
  return join(folder, 'task.json');
}

/** Numbers of a large sum: 16 MiB, the gradients of some hundred layers. */
const large = 2 ** 22;
/** Seconds that ranks wait for one another. */
const patience = 30;

/**
 * One rank of `doctor --ranks`: waits for the files of the others in the shared folder, sums with them for some seconds,
 * and checks every sum.
 */
export async function runProbe({ runDir }: { readonly runDir: string }): Promise<void> {
  const endWatch = watchParent();
  const world = worldFromEnvironment(process.env);
  const report = openReporter(runDir, world.rank);
  let collective: Collective | undefined;
  try {
    const { collective: name, seconds } = JSON.parse(readFileSync(taskPath(runDir), 'utf8')) as ProbeTask;
    await meetInFolder(runDir, world.rank, world.worldSize);
    collective = await connectCollective({ world, name, secret: await runSecret(runDir), timeout: patience });
    const measured = await measure(collective, seconds);
    await collective.close();
    const { name: chosen, reason } = await chooseCollective(name, world);
    await report({ type: 'measured', result: { collective: chosen, reason, ...measured } });
    await report({ type: 'ended', outcome: 'done' });
  } catch (error) {
    await collective?.close(error instanceof Error ? error.message : String(error));
    await report(failureOf(error, world.rank));
    process.exitCode = 1;
  } finally {
    await endWatch();
    if (process.connected) process.disconnect();
  }
}

/** Leaves a file for the others, renamed into place as checkpoints are, and waits for theirs. */
async function meetInFolder(folder: string, rank: number, worldSize: number): Promise<void> {
  const place = (of: number) => join(folder, `rank-${of}`);
  writeFileSync(`${place(rank)}.new`, String(rank));
  renameSync(`${place(rank)}.new`, place(rank));
  const missing = () => [...Array(worldSize).keys()].filter((of) => !existsSync(place(of)));
  for (const deadline = performance.now() + patience * 1000; missing().length > 0; await pause(20))
    if (performance.now() > deadline)
      throw new Error(`the file of rank ${missing().join(', ')} did not appear in ${folder}`);
}

/** Sums small arrays for a fifth of the time and large ones for the rest. */
async function measure(collective: Collective, seconds: number) {
  const small = await sums(collective, 1, seconds / 5, 'small');
  const big = await sums(collective, large, (4 * seconds) / 5, 'large');
  const operations = small.length + big.length;
  return { latency: median(small), operations, bytes: 4 * large, seconds: median(big) };
}

async function sums(collective: Collective, length: number, limit: number, name: string): Promise<number[]> {
  const { rank, worldSize } = collective;
  const wanted = (worldSize * (worldSize + 1)) / 2;
  const array = new Float32Array(length);
  const times: number[] = [];
  await collective.barrier(name);
  const begun = performance.now();
  for (let goesOn = true; goesOn; ) {
    array.fill(rank + 1);
    const started = performance.now();
    await collective.allReduce([array], name);
    times.push((performance.now() - started) / 1000);
    const wrong = array.findIndex((value) => value !== wanted);
    if (wrong >= 0) throw new Error(`a sum over ${worldSize} ranks came to ${array[wrong]}, not ${wanted}`);
    // Rank 0's clock decides, so that every rank stops at the same operation.
    const enough = Float32Array.of(rank === 0 && performance.now() - begun > limit * 1000 ? 1 : 0);
    await collective.broadcast([enough], 0, `${name} goes on`);
    goesOn = enough[0] === 0;
  }
  return times;
}
