/**
 * Interrupting loops that no signal reaches. V8 stops the synchronous part of a cell on SIGINT, but a loop after an
 * await runs outside of it, and after the await is given up the loop would go on unseen. So every loop in
 * asynchronous code of a cell asks, once a turn, whether its cell was interrupted (see tslab-loop-checks.ts).
 */
import { AsyncLocalStorage } from 'node:async_hooks';

/** Slots of the memory that the main thread shares with the control thread. */
const HAPPENED = 0; // 1 once any cell was interrupted: the only thing that an ordinary turn of a loop looks at
const RUNNING = 1; // the number of the running cell, 0 for none
const LAST = 2; // the number of the cell interrupted last
const SLOTS = 3;

/** Under this registered symbol cells find the checks. */
export const INTERRUPTS = Symbol.for('patchwise.interrupts');

export class CellInterrupted extends Error {
  override readonly name = 'CellInterrupted';
}

export class Interrupts {
  readonly #cell = new AsyncLocalStorage<number>();
  #runs = 0;
  readonly #interrupted = new Set<number>();
  /** What ends each wait that an interrupt has to end. */
  readonly #waits = new Set<(reason: Error) => void>();

  /** The control thread makes one of the memory of the main thread's. */
  constructor(
    readonly flags: Int32Array = new Int32Array(new SharedArrayBuffer(SLOTS * Int32Array.BYTES_PER_ELEMENT)),
  ) {}

  /** Runs a cell, or shows its value: what that leaves running keeps being that run's. */
  async within<T>(work: () => Promise<T>): Promise<T> {
    const cell = ++this.#runs;
    Atomics.store(this.flags, RUNNING, cell);
    try {
      return await this.#cell.run(cell, work);
    } finally {
      Atomics.compareExchange(this.flags, RUNNING, cell, 0);
    }
  }

  /** Marks the running cell as interrupted; from either thread. */
  mark(): void {
    const cell = Atomics.load(this.flags, RUNNING);
    if (cell === 0) return;
    Atomics.store(this.flags, LAST, cell);
    Atomics.store(this.flags, HAPPENED, 1);
  }

  /** Settles as `work` does, or fails once there is an interrupt: an await may last for ever. On the main thread only. */
  orInterrupted<T>(work: T | Promise<T>): Promise<Awaited<T>> {
    const { promise, end } = failure();
    this.#waits.add(end);
    return Promise.race([work, promise]).finally(() => this.#waits.delete(end));
  }

  /** Ends what waits for something, the innermost first. */
  endWaits(): void {
    for (const end of [...this.#waits].reverse()) end(new CellInterrupted('the cell was interrupted'));
  }

  /** Called by loops once an interrupt has happened. @throws CellInterrupted in what an interrupted cell started. */
  readonly check = (): void => {
    if (!this.flags[HAPPENED]) return;
    this.#interrupted.add(Atomics.load(this.flags, LAST));
    const cell = this.#cell.getStore();
    if (cell !== undefined && this.#interrupted.has(cell))
      throw new CellInterrupted('the cell was interrupted');
  };

  /** Makes the checks known to cells. */
  expose(): void {
    (globalThis as Record<symbol, unknown>)[INTERRUPTS] = { flags: this.flags, check: this.check };
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
