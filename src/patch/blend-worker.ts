/** What a blending thread runs: adds planes in the order they come until it is told to end. */
import { workerData } from 'node:worker_threads';
import { type AddPlane, ARGUMENTS, type BlendLoops } from './add-plane';
import { ADDED, BROKEN, ENDED, QUEUE, SENT, type ThreadData } from './blend-thread';
import { instantiate } from './simd';

const { compiled, memory, words, queue } = workerData as ThreadData;
try {
  const loops = instantiate<BlendLoops>(compiled, memory);
  for (let added = 0; !Atomics.load(words, ENDED); ) {
    if (Atomics.load(words, SENT) === added) {
      Atomics.wait(words, SENT, added);
      continue;
    }
    const at = (added % QUEUE) * ARGUMENTS;
    loops.addPlane(...(queue.subarray(at, at + ARGUMENTS) as unknown as AddPlane));
    added++;
    Atomics.store(words, ADDED, added);
    Atomics.notify(words, ADDED);
  }
} catch (error) {
  Atomics.store(words, BROKEN, 1);
  Atomics.notify(words, ADDED);
  throw error;
}
