/** What a thread of `SimdThreads` runs: calls in the order they come, until it is told to end. */
import { workerData } from 'node:worker_threads';
import { instantiate } from './simd';
import { type SimdFunction, SimdQueue } from './simd-queue';
import type { ThreadData } from './simd-threads';

const { compiled, memory, names, queue: arrays } = workerData as ThreadData;
const queue = new SimdQueue(arrays);
try {
  const loops = instantiate<Record<string, SimdFunction>>(compiled, memory);
  queue.serve(names.map((name) => loops[name]!));
} catch (error) {
  queue.break();
  throw error;
}
