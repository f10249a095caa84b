/** The code of a thread of `SimdThreads`. It makes calls in the order they come, until it is told to end. */
import { workerData } from 'node:worker_threads';
import { instantiate, type SimdFunction } from './simd';
import { SimdQueue, type ThreadData } from './simd-threads';

const { compiled, memory, names, arrays } = workerData as ThreadData;
try {
  const loops = instantiate<Record<string, SimdFunction>>(compiled, memory);
  const functions = names.map((name) => loops[name]!);
  new SimdQueue(functions, arrays).serve();
} catch (error) {
  new SimdQueue([], arrays).break();
  throw error;
}
