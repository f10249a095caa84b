import { existsSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { median } from '../../median';
import type { Collective } from '../collective/collective';
import { type CollectiveName, chooseCollective, connectCollective } from '../collective/connect';
import { worldFromEnvironment } from '../collective/world';
import { watchParent } from './parent-watch';

/** How the ranks of this machine speak with each other, measured. */
export interface ProbeResult {
  readonly collective: 'local' | 'c10d';
  readonly reason: string;
  /** Median time of a sum of one number, seconds. */
  readonly latency: number;
  readonly operations: number;
  /** Bytes that each rank put into a large sum, and seconds that it took; the median. */
  readonly bytes: number;
  readonly seconds: number;
}

/** What a probe sends to the process that started it. */
export type ProbeMessage =
  | { readonly type: 'measured'; readonly rank: number; readonly result: ProbeResult }
  | { readonly type: 'failed'; readonly rank: number; readonly message: string };

/** Environment of a probe: its collective, seconds to measure, and the secret of its group. */
export const probeVariable = 'PATCHWISE_PROBE';
export interface ProbeTask {
  readonly collective: CollectiveName;
  readonly seconds: number;
  readonly secret: string;
}

/** Numbers of a large sum: 16 MiB, some hundred layers' gradients. */
const large = 2 ** 22;
/** Seconds that ranks wait for one another. */
const patience = 30;

/**
 * One rank of `doctor --ranks`: sees that files of the others appear in the shared folder, then sums with them for some
 * seconds, and checks every sum.
 */
export async function runProbe({ runDir }: { readonly runDir: string }): Promise<void> {
  const endWatch = watchParent();
  const world = worldFromEnvironment(process.env);
  const task = JSON.parse(process.env[probeVariable]!) as ProbeTask;
  let collective: Collective | undefined;
  try {
    await meetInFolder(runDir, world.rank, world.worldSize);
    collective = await connectCollective({
      ...{ world, name: task.collective, secret: task.secret, timeout: patience },
    });
    const measured = await measure(collective, task.seconds);
    await collective.close();
    const { name, reason } = chooseCollective(task.collective, world);
    send({ type: 'measured', rank: world.rank, result: { collective: name, reason, ...measured } });
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    await collective?.close(message);
    send({ type: 'failed', rank: world.rank, message });
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
  const missing = () =>
    Array.from({ length: worldSize }, (_, of) => of).filter((of) => !existsSync(place(of)));
  for (const deadline = performance.now() + patience * 1000; missing().length > 0; await pause(20))
    if (performance.now() > deadline)
      throw new Error(`the file of rank ${missing().join(', ')} did not appear in ${folder}`);
}

/** Small sums for a fifth of the time, large ones for the rest. Every rank stops at the same operation. */
async function measure(
  collective: Collective,
  seconds: number,
): Promise<Omit<ProbeResult, 'collective' | 'reason'>> {
  const small = await sums(collective, 1, seconds / 5, 'small');
  const big = await sums(collective, large, (4 * seconds) / 5, 'large');
  return {
    latency: median(small),
    operations: small.length + big.length,
    bytes: 4 * large,
    seconds: median(big),
  };
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
    // Rank 0's clock is the one that counts.
    const enough = Float32Array.of(rank === 0 && performance.now() - begun > limit * 1000 ? 1 : 0);
    await collective.broadcast([enough], 0, `${name} goes on`);
    goesOn = enough[0] === 0;
  }
  return times;
}

function send(message: ProbeMessage): void {
  if (process.connected) process.send!(message);
}
