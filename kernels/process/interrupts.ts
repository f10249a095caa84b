/**
 * Interrupts code that no signal reaches. On SIGINT V8 stops the synchronous part of a cell. A loop after an await runs
 * outside that part, and would go on unseen once the kernel stops waiting for the cell. So every loop in asynchronous
 * code of a cell asks, once a turn, whether its run was interrupted (cells/interrupt-checks.ts, tslab/rewrite.ts). An
 * endless loop in a timer or an event handler belongs to a run that has ended: it asks whether the main thread is stuck.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { countInterruptible, GATE_SLOTS, SigintGate } from './run-interruptible';

/** Slots of the memory that the main thread shares with the control thread. */
export const HAPPENED = 0; // 1 while work of an interrupted run may go on
const RUNNING = 1; // the number of the run that began last and has not ended, 0 for none
const LAST = 2; // the number of the run interrupted last
export const STUCK = 3; // 1 once the main thread has left an interrupt unanswered
const ASKED = 4; // interrupts that the control thread received
const ANSWERED = 5; // how many of them the main thread knows of
const SIGNALLED = 6; // above 0 while SIGINT ends what the main thread does
const BEGUN = 7; // the number of the run that began last
const MEANT = 8; // an interrupt means the runs up to this number: those that had begun when it came
const OLDEST = 9; // the number of the oldest run that has not ended, 0 for none
/** One for each run, reused after RUN_SLOTS runs: 1 once a run of that slot was interrupted. `check` knows which. */
const FIRST_RUN = 10;
const RUN_SLOTS = 1024;
/** The slot of code that belongs to no run. Never set. */
const NO_RUN = FIRST_RUN + RUN_SLOTS;
const GATE = NO_RUN + 1; // see run-interruptible.ts
const SLOTS = GATE + GATE_SLOTS;

export class CellInterrupted extends Error {
  override readonly name = 'CellInterrupted';
}

export class Interrupts {
  readonly #run = new AsyncLocalStorage<{ readonly number: number; readonly slot: number }>();
  #runs = 0;
  /** The runs that have not ended, in the order of their beginnings: answers of controls run while a cell waits. */
  readonly #running: number[] = [];
  readonly #interrupted = new Set<number>();
  /** Ends each wait that an interrupt must end, with the number of its run. */
  readonly #waits = new Map<(reason: Error) => void, number>();
  /** Hears of a run when nothing that it started is left. */
  readonly #ended = new FinalizationRegistry<number>((number) => this.#forget(number));

  /** @param flags shared memory; the control thread uses that of the main thread */
  constructor(
    readonly flags: Int32Array = new Int32Array(new SharedArrayBuffer(SLOTS * Int32Array.BYTES_PER_ELEMENT)),
  ) {}

  /** Runs a cell, shows its value, or runs an answer of controls. Work that it leaves running stays part of the run. */
  async within<T>(work: () => Promise<T>): Promise<T> {
    if (this.gate.isOnItsWay) await this.gate.arrival(); // it means the runs before, but would end a script of this one
    const number = ++this.#runs;
    const slot = FIRST_RUN + (number % RUN_SLOTS);
    Atomics.store(this.flags, slot, 0);
    Atomics.store(this.flags, BEGUN, number);
    Atomics.store(this.flags, RUNNING, number);
    this.#running.push(number);
    Atomics.store(this.flags, OLDEST, this.#running[0]!);
    const run = { number, slot };
    this.#ended.register(run, number);
    try {
      return await this.#run.run(run, work);
    } finally {
      this.#running.splice(this.#running.indexOf(number), 1);
      Atomics.store(this.flags, OLDEST, this.#running[0] ?? 0);
      Atomics.compareExchange(this.flags, RUNNING, number, this.#running.at(-1) ?? 0);
    }
  }

  /** All runs that have begun are meant. Marks the present one as interrupted. On either thread. */
  mark(): void {
    Atomics.store(this.flags, MEANT, Atomics.load(this.flags, BEGUN));
    const number = Atomics.load(this.flags, RUNNING);
    if (number === 0) return;
    Atomics.store(this.flags, LAST, number);
    Atomics.store(this.flags, FIRST_RUN + (number % RUN_SLOTS), 1);
    Atomics.store(this.flags, HAPPENED, 1);
  }

  /** Asks the main thread to stop its work. On the control thread. */
  ask(): void {
    this.mark();
    Atomics.add(this.flags, ASKED, 1);
  }

  /**
   * If the main thread has not answered yet, ends every loop on it that asks, of any run. On the control thread.
   * @returns whether SIGINT would end what it does
   */
  noteIfStuck(): boolean {
    if (!this.isStuck) return false;
    this.flags.fill(1, FIRST_RUN, GATE);
    Atomics.store(this.flags, HAPPENED, 1);
    Atomics.store(this.flags, STUCK, 1);
    return this.inScript();
  }

  /** Whether an interrupt is unanswered, and what it means still runs. */
  get isStuck(): boolean {
    return this.#isUnanswered() && this.isStillMeant();
  }

  /** False if the runs that were meant have ended and another runs. */
  isStillMeant(): boolean {
    return Atomics.load(this.flags, OLDEST) <= Atomics.load(this.flags, MEANT);
  }

  /** Whether SIGINT would end what the main thread does. */
  readonly inScript = (): boolean => Atomics.load(this.flags, SIGNALLED) > 0;

  /**
   * Ends all runs that had begun when the interrupt came, and what they wait for, the innermost first: a person who
   * interrupts means whatever runs. On the main thread, which is therefore not stuck.
   * @returns false if only later ones run: those that were meant have ended
   */
  answer(): boolean {
    Atomics.store(this.flags, ANSWERED, Atomics.load(this.flags, ASKED));
    this.#noteInterrupted();
    if (Atomics.exchange(this.flags, STUCK, 0) === 1) this.#clearSlots();
    const last = Atomics.load(this.flags, MEANT);
    const meant = this.#running.filter((number) => number <= last);
    if (meant.length === 0) return this.#running.length === 0;
    for (const number of meant) {
      this.#interrupted.add(number);
      Atomics.store(this.flags, FIRST_RUN + (number % RUN_SLOTS), 1);
    }
    for (const [end, number] of [...this.#waits].reverse())
      if (number <= last) end(new CellInterrupted('the cell was interrupted'));
    return true;
  }

  /** Settles as `work` does, or rejects on an interrupt: an await may last for ever. On the main thread. */
  orInterrupted<T>(work: T | Promise<T>): Promise<Awaited<T>> {
    let end!: (reason: Error) => void;
    const interrupted = new Promise<never>((_, reject) => {
      end = reject;
    });
    this.#waits.set(end, this.#run.getStore()?.number ?? 0);
    return Promise.race([work, interrupted]).finally(() => this.#waits.delete(end));
  }

  /** The number of running functions that SIGINT ends (run-interruptible.ts). */
  get signalled(): Int32Array {
    return this.flags.subarray(SIGNALLED, SIGNALLED + 1);
  }

  /** Where SIGINT waits for a safe moment. */
  get gate(): SigintGate {
    return new SigintGate(this.flags.subarray(GATE, SLOTS));
  }

  /** The slot by which a loop of the present run knows whether to call `check`. */
  readonly slot = (): number => this.#run.getStore()?.slot ?? NO_RUN;

  /** Called by loops once an interrupt has happened. @throws CellInterrupted in code that an interrupted run started */
  readonly check = (): void => {
    if (this.flags[STUCK]) this.yield();
    this.#noteInterrupted();
    const run = this.#run.getStore();
    if (run && this.#interrupted.has(run.number)) throw new CellInterrupted('the cell was interrupted');
  };

  /** Called by endless loops once the main thread seems stuck. @throws CellInterrupted if it is */
  readonly yield = (): void => {
    if (this.#isUnanswered()) throw new CellInterrupted('the main thread was stuck');
    if (Atomics.exchange(this.flags, STUCK, 0) === 1) this.#clearSlots(); // it has just answered
  };

  /** Offers the checks to cells, which find them under a registered symbol. */
  expose(): void {
    const { flags, slot, check, yield: give } = this;
    countInterruptible(this.signalled, this.gate);
    const shared = globalThis as Record<symbol, unknown>;
    shared[Symbol.for('patchwise.interrupts')] = { flags, slot, check, yield: give };
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

  /** Nothing of the run is left. If it was the last interrupted one, checks cost nothing again. */
  #forget(number: number): void {
    this.#noteInterrupted();
    Atomics.compareExchange(this.flags, LAST, number, 0);
    if (!this.#interrupted.delete(number) || this.#interrupted.size > 0) return;
    Atomics.store(this.flags, HAPPENED, 0);
    if (Atomics.load(this.flags, LAST) !== 0) Atomics.store(this.flags, HAPPENED, 1); // marked in between
  }
}
