import { Worker } from 'node:worker_threads';
import { type AddPlane, ARGUMENTS } from './add-plane';
import { builtFile, type SimdMemory } from './simd';

/** How many planes may wait for the thread, and how many of them may wait in the places that memory has for them. */
export const QUEUE = 1024;
export const PLACES = 16;

/** The words that both threads watch: how many planes were sent, how many are added, whether to end, whether it broke. */
export const SENT = 0;
export const ADDED = 1;
export const ENDED = 2;
export const BROKEN = 3;

/** A plane takes microseconds and a thread starts in a fraction of a second; a thread that is this late is dead. */
const LONGEST_WAIT = 30_000;

export interface ThreadData {
  readonly compiled: object;
  readonly memory: SimdMemory;
  readonly words: Int32Array;
  /** [QUEUE][ARGUMENTS] */
  readonly queue: Float64Array;
}

/**
 * A thread that adds planes while the caller prepares the next ones. Calls block where they must wait: the queue is
 * short and a plane takes microseconds.
 */
export class BlendThread {
  private readonly words = new Int32Array(new SharedArrayBuffer(4 * 4));
  private readonly queue = new Float64Array(new SharedArrayBuffer(8 * QUEUE * ARGUMENTS));
  private sent = 0;

  constructor(compiled: object, memory: SimdMemory) {
    const workerData: ThreadData = { compiled, memory, words: this.words, queue: this.queue };
    new Worker(builtFile('patch', 'blend-worker.js'), { workerData }).unref();
  }

  /** Waits for a place and gives its number. */
  place(): number {
    this.waitFor(this.sent - PLACES + 1);
    return this.sent % PLACES;
  }

  /** Sends a plane: of the place given last, or one that stays where it is until it is added. */
  send(plane: AddPlane): void {
    this.waitFor(this.sent - QUEUE + 1);
    this.queue.set(plane, (this.sent % QUEUE) * ARGUMENTS);
    this.sent++;
    Atomics.store(this.words, SENT, this.sent);
    Atomics.notify(this.words, SENT);
  }

  /** How many planes were sent. */
  get count(): number {
    return this.sent;
  }

  /** Waits until that many planes are added; all where the number is left out. */
  finish(planes = this.sent): void {
    this.waitFor(planes);
  }

  end(): void {
    Atomics.store(this.words, ENDED, 1);
    Atomics.store(this.words, SENT, -1);
    Atomics.notify(this.words, SENT);
  }

  private waitFor(planes: number): void {
    for (;;) {
      const added = Atomics.load(this.words, ADDED);
      if (Atomics.load(this.words, BROKEN)) throw new Error('a blending thread failed');
      if (added >= planes) return;
      const woken = Atomics.wait(this.words, ADDED, added, LONGEST_WAIT);
      if (woken === 'timed-out')
        throw new Error(`a blending thread did nothing for ${LONGEST_WAIT / 1000} s`);
    }
  }
}
