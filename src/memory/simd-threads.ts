import { Worker } from 'node:worker_threads';
import { compiledFile } from '../package';
import { type SimdMemory, type SimdPart, simdModule } from './simd';
import { type QueueArrays, type SimdFunction, SimdQueue } from './simd-queue';
import type { VoxelMemory } from './voxel-memory';

export interface ThreadData {
  readonly compiled: object;
  readonly memory: SimdMemory;
  readonly names: readonly string[];
  readonly queue: QueueArrays;
}

/**
 * Threads that call the loops of a part while the caller prepares the next calls. A caller that would have to wait makes
 * calls itself, so it counts as one of the threads.
 */
export class SimdThreads {
  private readonly queue = new SimdQueue();
  private readonly functions: readonly SimdFunction[];
  /** All calls before this one are known to be done. */
  private finished = 0;

  /** @param names the functions to call, by their number in `send` */
  constructor(part: SimdPart, memory: VoxelMemory, names: readonly string[], threads: number) {
    const loops = memory.loops<Record<string, SimdFunction>>(part);
    this.functions = names.map((name) => loops[name]!);
    const workerData: ThreadData = {
      compiled: simdModule(part),
      memory: memory.shared,
      names,
      queue: this.queue.arrays,
    };
    for (let n = 1; n < threads; n++)
      new Worker(compiledFile('src', 'memory', 'simd-worker.js'), { workerData }).unref();
  }

  /** How many calls were sent. */
  get count(): number {
    return this.queue.count;
  }

  /** Sends a call and gives its number; it begins when the call `after` is done. */
  send(fn: number, args: readonly number[], after?: number): number {
    this.finish(this.queue.inTheWay);
    return this.queue.send(fn, args, after);
  }

  /** Waits until a call and all before it are done. */
  finish(call = this.count - 1): void {
    for (; this.finished <= call; this.finished++) {
      while (!this.queue.isDone(this.finished)) {
        if (!this.queue.help(this.functions, call + 1)) this.queue.waitFor(this.finished);
      }
    }
  }

  /** Ends the threads; none of them touches the memory any more when this returns. */
  end(): void {
    this.queue.end();
  }
}
