/**
 * Interrupting what no signal reaches. V8 stops the synchronous part of a cell on SIGINT, but a loop after an await runs
 * outside of it, and after the await is given up the loop would go on unseen. So every loop in asynchronous code of a
 * cell asks, once a turn, whether its run was interrupted (cell-syntax.ts, tslab-loop-checks.ts). An endless loop in a
 * timer or an event handler belongs to a run that has long ended: it asks whether the main thread is stuck.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { countInterruptible } from './run-interruptible';
import { SigintGate } from './sigint-gate';

/** Slots of the memory that the main thread shares with the control thread. */
export const HAPPENED = 0; // 1 while work of an interrupted run may be left
const RUNNING = 1; // the number of the present run, 0 for none
const LAST = 2; // the number of the run interrupted last
export const STUCK = 3; // 1 once the main thread has left an interrupt unanswered
const ASKED = 4; // interrupts that the control thread was asked for
const ANSWERED = 5; // how many of them the main thread knows of
const SIGNALLED = 6; // above 0 while SIGINT ends what the main thread does
/** One for each run, used again after many: 1 once a run of that slot was interrupted. `check` knows which. */
const FIRST_RUN = 7;
const RUN_SLOTS = 1024;
/** The slot of what belongs to no run. Never set. */
const NO_RUN = FIRST_RUN + RUN_SLOTS;
const GATE = NO_RUN + 1; // see sigint-gate.ts
const SLOTS = GATE + 1;

/** Under this registered symbol cells find the checks. */
export const INTERRUPTS = Symbol.for('patchwise.interrupts');

export class CellInterrupted extends Error {
  override readonly name = 'CellInterrupted';
}

interface Run {
  readonly number: number;
  readonly slot: number;
}

export class Interrupts {
  readonly #run = new AsyncLocalStorage<Run>();
  #runs = 0;
  readonly #interrupted = new Set<number>();
  /** What ends each wait that an interrupt has to end. */
  readonly #waits = new Set<(reason: Error) => void>();
  /** Told of a run when nothing that it has started is left. */
  readonly #ended = new FinalizationRegistry<number>((number) => this.#forget(number));

  /** The control thread makes one of the memory of the main thread's. */
  constructor(
    readonly flags: Int32Array = new Int32Array(new SharedArrayBuffer(SLOTS * Int32Array.BYTES_PER_ELEMENT)),
  ) {}

  /** Runs a cell, or shows its value: what that leaves running keeps being that run's. */
  async within<T>(work: () => Promise<T>): Promise<T> {
    const number = ++this.#runs;
    const slot = FIRST_RUN + (number % RUN_SLOTS);
    Atomics.store(this.flags, slot, 0);
    Atomics.store(this.flags, RUNNING, number);
    const run: Run = { number, slot };
    this.#ended.register(run, number);
    try {
      return await this.#run.run(run, work);
    } finally {
      Atomics.compareExchange(this.flags, RUNNING, number, 0);
    }
  }

  /** Marks the present run as interrupted; from either thread. */
  mark(): void {
    const number = Atomics.load(this.flags, RUNNING);
    if (number === 0) return;
    Atomics.store(this.flags, LAST, number);
    Atomics.store(this.flags, FIRST_RUN + (number % RUN_SLOTS), 1);
    Atomics.store(this.flags, HAPPENED, 1);
  }

  /** Asks the main thread to stop what it does. On the control thread. */
  ask(): void {
    this.mark();
    Atomics.add(this.flags, ASKED, 1);
  }

  /**
   * If the main thread has not answered yet, every loop on it that asks ends, whoever started it. On the control thread.
   * @returns whether SIGINT would end what it does
   */
  noteIfStuck(): boolean {
    if (!this.#isUnanswered()) return false;
    this.flags.fill(1, FIRST_RUN, GATE);
    Atomics.store(this.flags, HAPPENED, 1);
    Atomics.store(this.flags, STUCK, 1);
    return this.inScript();
  }

  /** Whether SIGINT would end what the main thread does. */
  readonly inScript = (): boolean => Atomics.load(this.flags, SIGNALLED) > 0;

  /** Ends what the interrupted run waits for, the innermost first. On the main thread, which is not stuck therefore. */
  answer(): void {
    Atomics.store(this.flags, ANSWERED, Atomics.load(this.flags, ASKED));
    this.#noteInterrupted();
    if (Atomics.exchange(this.flags, STUCK, 0) === 1) this.#clearSlots();
    if (this.flags[RUNNING] !== this.flags[LAST]) return; // the run that was meant has ended meanwhile
    for (const end of [...this.#waits].reverse()) end(new CellInterrupted('the cell was interrupted'));
  }

  /** Settles as `work` does, or fails once there is an interrupt: an await may last for ever. On the main thread only. */
  orInterrupted<T>(work: T | Promise<T>): Promise<Awaited<T>> {
    const { promise, end } = failure();
    this.#waits.add(end);
    return Promise.race([work, promise]).finally(() => this.#waits.delete(end));
  }

  /** How many functions run that SIGINT ends (run-interruptible.ts). */
  get signalled(): Int32Array {
    return this.flags.subarray(SIGNALLED, SIGNALLED + 1);
  }

  /** Where SIGINT waits until it ends no more than it should. */
  get gate(): SigintGate {
    return new SigintGate(this.flags.subarray(GATE, GATE + 1));
  }

  /** The slot that tells a loop of the present run whether to call `check`. */
  readonly slot = (): number => this.#run.getStore()?.slot ?? NO_RUN;

  /** Called by loops once an interrupt has happened. @throws CellInterrupted in what an interrupted run started */
  readonly check = (): void => {
    if (this.flags[STUCK]) this.yield();
    this.#noteInterrupted();
    const run = this.#run.getStore();
    if (run && this.#interrupted.has(run.number)) throw new CellInterrupted('the cell was interrupted');
  };

  /** Called by endless loops once the main thread was found stuck. @throws CellInterrupted if it is one of them */
  readonly yield = (): void => {
    if (this.#isUnanswered()) throw new CellInterrupted('the main thread was stuck');
    if (Atomics.exchange(this.flags, STUCK, 0) === 1) this.#clearSlots(); // it had just answered
  };

  /** Makes the checks known to cells. */
  expose(): void {
    const { flags, slot, check, yield: give } = this;
    countInterruptible(this.signalled, this.gate);
    (globalThis as Record<symbol, unknown>)[INTERRUPTS] = { flags, slot, check, yield: give };
  }

  #isUnanswered(): boolean {
    return Atomics.load(this.flags, ANSWERED) !== Atomics.load(this.flags, ASKED);
  }

  #noteInterrupted(): void {
    const last = Atomics.load(this.flags, LAST);
    if (last !== 0) this.#interrupted.add(last);
  }

  #clearSlots(): void {
    this.flags.fill(0, FIRST_RUN, GATE);
    for (const number of this.#interrupted) Atomics.store(this.flags, FIRST_RUN + (number % RUN_SLOTS), 1);
  }

  /** Nothing of the run is left: where it was the last interrupted one, checks cost nothing again. */
  #forget(number: number): void {
    this.#noteInterrupted();
    Atomics.compareExchange(this.flags, LAST, number, 0);
    if (!this.#interrupted.delete(number) || this.#interrupted.size > 0) return;
    Atomics.store(this.flags, HAPPENED, 0);
    if (Atomics.load(this.flags, LAST) !== 0) Atomics.store(this.flags, HAPPENED, 1); // marked in between
  }
}

/** A promise that fails when `end` is called. */
function failure(): { promise: Promise<never>; end: (reason: Error) => void } {
  let end!: (reason: Error) => void;
  const promise = new Promise<never>((_, reject) => {
    end = reject;
  });
  return { promise, end };
}
