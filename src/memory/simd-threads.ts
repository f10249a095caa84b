import { Worker } from 'node:worker_threads';
import { compiledFile } from '../package';
import { type SimdFunction, type SimdMemory, type SimdPart, simdModule } from './simd';
import type { VoxelMemory } from './voxel-memory';

/** Numbers that a call takes at most. Addresses are whole, so a float64 holds each of them exactly. */
const MOST_ARGUMENTS = 11;

/** How many calls may wait. */
const PLACES = 1024;

/** The function, the call that must be done first (-1 for none), the arguments. */
const CALL = 2 + MOST_ARGUMENTS;

/** Words that all threads watch: how many calls were sent and taken, whether to end, whether a thread failed. */
const [SENT, TAKEN, ENDED, BROKEN] = [0, 1, 2, 3] as const;
/** From here on, for every place, the number of the last call done there, plus 1. */
const DONE = 4;

/** A call takes microseconds and a thread starts in a fraction of a second; a thread that is this late is dead. */
const LONGEST_WAIT = 30_000;

/** A queue's memory, which all its threads share. */
function newArrays() {
  return {
    words: new Int32Array(new SharedArrayBuffer(4 * (DONE + PLACES))),
    calls: new Float64Array(new SharedArrayBuffer(8 * PLACES * CALL)),
  };
}

/**
 * Calls that several threads take one after the other, in the order in which they were sent. A call may name an earlier
 * one that must be done first, so that sums come out the same however the threads share the calls. Only one thread
 * sends. Waiting blocks: calls take microseconds.
 */
export class SimdQueue {
  /** How many calls were sent, which is the number of the next one. */
  private sent = 0;
  /** All calls before this one are known to be done. */
  private finished = 0;
  private readonly words: Int32Array;
  private readonly calls: Float64Array;

  constructor(
    private readonly functions: readonly SimdFunction[],
    protected readonly arrays = newArrays(),
  ) {
    this.words = arrays.words;
    this.calls = arrays.calls;
  }

  /** Sends a call and gives its number; it begins when the call `after` is done. */
  send(fn: number, args: readonly number[], after = -1): number {
    this.finish(this.sent - PLACES);
    const at = (this.sent % PLACES) * CALL;
    this.calls[at] = fn;
    this.calls[at + 1] = after;
    this.calls.set(args, at + 2);
    this.sent++;
    Atomics.store(this.words, SENT, this.sent);
    Atomics.notify(this.words, SENT);
    return this.sent - 1;
  }

  /** Waits until a call and all before it are done. Meanwhile makes calls itself. */
  finish(call = this.sent - 1): void {
    for (; this.finished <= call; this.finished++)
      while (!this.isDone(this.finished)) if (!this.help(call + 1)) this.waitFor(this.finished);
  }

  /** A thread's loop until the queue ends. */
  serve(): void {
    while (!Atomics.load(this.words, ENDED)) {
      const sent = Atomics.load(this.words, SENT);
      if (!this.help(Number.POSITIVE_INFINITY)) Atomics.wait(this.words, SENT, sent);
    }
  }

  /** Takes back all calls that no thread has begun, waits for the others, and ends the threads. */
  end(): void {
    const taken = Atomics.exchange(this.words, TAKEN, this.sent);
    Atomics.store(this.words, ENDED, 1);
    Atomics.store(this.words, SENT, -1);
    Atomics.notify(this.words, SENT);
    for (let call = Math.max(0, taken - PLACES); call < taken; call++) this.waitFor(call);
  }

  /** Tells all waiting threads that one has failed. */
  break(): void {
    Atomics.store(this.words, BROKEN, 1);
    for (let place = 0; place < PLACES; place++) Atomics.notify(this.words, DONE + place);
  }

  /** Takes the next call and makes it; false if there is none below `before`. */
  private help(before: number): boolean {
    for (;;) {
      const call = Atomics.load(this.words, TAKEN);
      if (call >= before || call >= Atomics.load(this.words, SENT)) return false;
      if (Atomics.compareExchange(this.words, TAKEN, call, call + 1) !== call) continue;
      const at = (call % PLACES) * CALL;
      const after = this.calls[at + 1]!;
      if (after >= 0) this.waitFor(after);
      this.functions[this.calls[at]!]!(...this.calls.subarray(at + 2, at + CALL));
      const place = DONE + (call % PLACES);
      Atomics.store(this.words, place, call + 1);
      Atomics.notify(this.words, place);
      return true;
    }
  }

  private isDone(call: number): boolean {
    return Atomics.load(this.words, DONE + (call % PLACES)) > call;
  }

  /** Waits until a taken call is done. */
  private waitFor(call: number): void {
    const place = DONE + (call % PLACES);
    while (!this.isDone(call)) {
      if (Atomics.load(this.words, BROKEN)) throw new Error('a thread of the voxel loops failed');
      const last = Atomics.load(this.words, place);
      if (last > call) return;
      if (Atomics.wait(this.words, place, last, LONGEST_WAIT) === 'timed-out')
        throw new Error(`a thread of the voxel loops did nothing for ${LONGEST_WAIT / 1000} s`);
    }
  }
}

export interface ThreadData {
  readonly compiled: object;
  readonly memory: SimdMemory;
  readonly names: readonly string[];
  readonly arrays: ReturnType<typeof newArrays>;
}

/**
 * Threads that call the loops of a part while the caller prepares the next calls. A caller that would have to wait makes
 * calls itself, so it counts as one of the threads. After `end` no thread touches the memory any more.
 */
export class SimdThreads extends SimdQueue {
  /** @param names the functions to call, by their number in `send` */
  constructor(part: SimdPart, memory: VoxelMemory, names: readonly string[], threads: number) {
    super(names.map((name) => memory.loops<Record<string, SimdFunction>>(part)[name]!));
    const { arrays } = this;
    const workerData: ThreadData = { compiled: simdModule(part), memory: memory.shared, names, arrays };
    for (let n = 1; n < threads; n++)
      new Worker(compiledFile('src', 'memory', 'simd-worker.js'), { workerData }).unref();
  }
}
