/** Numbers a call takes at most; addresses are whole, so a float64 holds each of them exactly. */
export const MOST_ARGUMENTS = 11;

/** How many calls may wait. */
const PLACES = 1024;

/** The function, the call that must be done first (-1 for none), the arguments. */
const CALL = 2 + MOST_ARGUMENTS;

/** Words that all threads watch: how many calls were sent, how many are taken, whether to end, whether a thread failed. */
const SENT = 0;
const TAKEN = 1;
const ENDED = 2;
const BROKEN = 3;
/** From here on, for every place, the number of the last call done there, plus 1. */
const DONE = 4;

/** A call takes microseconds and a thread starts in a fraction of a second; a thread that is this late is dead. */
const LONGEST_WAIT = 30_000;

export type SimdFunction = (...args: number[]) => void;

/** The arrays of a queue, which all its threads share. */
export interface QueueArrays {
  readonly words: Int32Array; // [DONE + PLACES]
  readonly calls: Float64Array; // [PLACES][CALL]
}

/**
 * Calls that several threads take one after the other, in the order in which they were sent. A call may name an earlier
 * one that must be done first, so that sums come out the same however the threads share the calls. Only one thread
 * sends. Waiting blocks: calls take microseconds.
 */
export class SimdQueue {
  readonly arrays: QueueArrays;
  private readonly words: Int32Array;
  private readonly calls: Float64Array;
  private sent = 0;

  constructor(arrays?: QueueArrays) {
    this.arrays = arrays ?? {
      words: new Int32Array(new SharedArrayBuffer(4 * (DONE + PLACES))),
      calls: new Float64Array(new SharedArrayBuffer(8 * PLACES * CALL)),
    };
    this.words = this.arrays.words;
    this.calls = this.arrays.calls;
  }

  /** How many calls were sent, which is the number of the next one. */
  get count(): number {
    return this.sent;
  }

  /** The call that must be done before the next one can have its place; below 0 if there is none. */
  get inTheWay(): number {
    return this.sent - PLACES;
  }

  /** Sends a call and gives its number. Its place must be free. */
  send(fn: number, args: readonly number[], after = -1): number {
    const at = (this.sent % PLACES) * CALL;
    this.calls[at] = fn;
    this.calls[at + 1] = after;
    this.calls.set(args, at + 2);
    this.sent++;
    Atomics.store(this.words, SENT, this.sent);
    Atomics.notify(this.words, SENT);
    return this.sent - 1;
  }

  /** Takes the next call and makes it; false if there is none below `before`. */
  help(functions: readonly SimdFunction[], before = Number.POSITIVE_INFINITY): boolean {
    for (;;) {
      const call = Atomics.load(this.words, TAKEN);
      if (call >= before || call >= Atomics.load(this.words, SENT)) return false;
      if (Atomics.compareExchange(this.words, TAKEN, call, call + 1) !== call) continue;
      this.make(call, functions);
      return true;
    }
  }

  /** A thread's loop until the queue ends. */
  serve(functions: readonly SimdFunction[]): void {
    while (!Atomics.load(this.words, ENDED)) {
      const sent = Atomics.load(this.words, SENT);
      if (!this.help(functions)) Atomics.wait(this.words, SENT, sent);
    }
  }

  isDone(call: number): boolean {
    return call < 0 || Atomics.load(this.words, DONE + (call % PLACES)) > call;
  }

  /** Waits until a taken call is done. */
  waitFor(call: number): void {
    while (!this.isDone(call)) {
      if (Atomics.load(this.words, BROKEN)) throw new Error('a thread of the voxel loops failed');
      const place = DONE + (call % PLACES);
      const last = Atomics.load(this.words, place);
      if (last > call) return;
      if (Atomics.wait(this.words, place, last, LONGEST_WAIT) === 'timed-out')
        throw new Error(`a thread of the voxel loops did nothing for ${LONGEST_WAIT / 1000} s`);
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

  private make(call: number, functions: readonly SimdFunction[]): void {
    const at = (call % PLACES) * CALL;
    const after = this.calls[at + 1]!;
    if (after >= 0) this.waitFor(after);
    functions[this.calls[at]!]!(...this.calls.subarray(at + 2, at + CALL));
    const place = DONE + (call % PLACES);
    Atomics.store(this.words, place, call + 1);
    Atomics.notify(this.words, place);
  }
}
