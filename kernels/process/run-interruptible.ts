/**
 * Runs a function so that SIGINT ends its synchronous part, as Ctrl+C ends a script's; and the gate that keeps the
 * signal out of the moments in which it would end the process.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Script } from 'node:vm';

const OPEN = 0;
const CLOSED = 1;
const SENDING = 2;
/** A signal is ending a script: the main thread cannot close the gate before it arrives. */
const SENT = 3;

/** A script that runs longer after a signal waits for a child or for native code. */
const LONGEST_WAIT_MS = 500;

/** On a busy machine a signal may take so long. */
const LONGEST_WAY_MS = 5000;
/** Some never come: Node leaves one out that comes right before a script begins. The next run waits no longer for it. */
const PATIENCE_MS = 500;

/** Slots of a gate: its state; when the last signal passed (0 once it is taken); how many have passed in all. */
const STATE = 0;
const PASSED = 1;
const COUNT = 2;
export const GATE_SLOTS = 3;

/**
 * V8 takes SIGINT over when an interruptible script starts, and gives it back when the script ends. During each handover
 * nobody listens, and a signal would end the process. So the main thread closes the gate for these moments, and the
 * control thread, which sends the signals, waits until it is open.
 */
export class SigintGate {
  /** @param state GATE_SLOTS of memory that both threads share */
  constructor(private readonly state: Int32Array) {}

  /** How many signals have passed so far. */
  get passed(): number {
    return Atomics.load(this.state, COUNT);
  }

  /** Whether a signal has passed since there were `before` of them, and was not taken. */
  hasPassedSince(before: number): boolean {
    return this.passed > before && Atomics.load(this.state, PASSED) !== 0;
  }

  /** Resolves once a signal that has passed has come. Without it: at once. On the main thread. */
  async arrival(): Promise<void> {
    while (this.isOnItsWay) await sleep(2);
  }

  /** Whether a signal has passed that has not come yet. */
  get isOnItsWay(): boolean {
    return Atomics.load(this.state, STATE) === SENDING || this.#sinceLast < PATIENCE_MS;
  }

  /** Whether the signal that has come is one that passed here. On the main thread, once for each signal. */
  take(): boolean {
    const isOurs = this.#sinceLast < LONGEST_WAY_MS;
    Atomics.store(this.state, PASSED, 0);
    return isOurs;
  }

  /** Milliseconds since the last signal passed; infinite once it was taken. */
  get #sinceLast(): number {
    const passed = Atomics.load(this.state, PASSED);
    return passed === 0 ? Number.POSITIVE_INFINITY : now() - passed;
  }

  /** Waits until a signal on its way has arrived, and lets none in. On the main thread. */
  close(): void {
    for (;;) {
      const state = Atomics.load(this.state, STATE);
      if (state === SENDING) Atomics.wait(this.state, STATE, SENDING, 1);
      else if (Atomics.compareExchange(this.state, STATE, state, CLOSED) === state) return;
    }
  }

  /** On the main thread. */
  open(): void {
    Atomics.store(this.state, STATE, OPEN);
  }

  /**
   * Sends a signal once the gate is open. On the control thread.
   * @param isMeant asked while no run of a cell can begin: false if there is nothing left to interrupt
   * @param inScript tells whether V8 has the signal now
   */
  async pass(signal: () => void, isMeant: () => boolean, inScript: () => boolean): Promise<void> {
    const send = (): boolean => {
      if (!isMeant()) return false;
      Atomics.store(this.state, PASSED, now());
      Atomics.add(this.state, COUNT, 1);
      signal();
      return true;
    };
    const deadline = performance.now() + LONGEST_WAIT_MS;
    while (Atomics.compareExchange(this.state, STATE, OPEN, SENDING) !== OPEN) {
      if (performance.now() > deadline) return void send();
      await sleep(1);
    }
    const ended = inScript() ? SENT : OPEN;
    const next = send() ? ended : OPEN;
    Atomics.compareExchange(this.state, STATE, SENDING, next); // unless the script has ended already
    Atomics.notify(this.state, STATE);
  }
}

/** Milliseconds that fit a slot, the same on all threads. */
function now(): number {
  return Date.now() % 2 ** 30 || 1;
}

const BODY = Symbol.for('patchwise.body');
const idle = new Script('for (;;);', { filename: 'node:vm' });
const call = new Script('globalThis[Symbol.for("patchwise.body")]()', { filename: 'node:vm' });

/** How many such functions run now, one inside another. The control thread reads it. */
let depth: Int32Array = new Int32Array(1);
let gate = new SigintGate(new Int32Array(new SharedArrayBuffer(4 * GATE_SLOTS)));

/** Keeps the count in memory that another thread sees, and uses the gate at which that thread waits. */
export function countInterruptible(shared: Int32Array, sharedGate: SigintGate): void {
  depth = shared;
  gate = sharedGate;
}

/** @throws ERR_SCRIPT_EXECUTION_INTERRUPTED on SIGINT, and whatever `body` throws */
export function runInterruptible<T>(body: () => T): T {
  const before = Atomics.load(depth, 0);
  (globalThis as Record<symbol, unknown>)[BODY] = () => {
    delete (globalThis as Record<symbol, unknown>)[BODY];
    // Inside the script: a signal before V8 listens, or after, would end the process.
    Atomics.store(depth, 0, before + 1);
    gate.open();
    try {
      return body();
    } finally {
      gate.close();
      Atomics.store(depth, 0, before);
    }
  };
  gate.close();
  const passed = gate.passed;
  try {
    return call.runInThisContext({ breakOnSigint: true }) as T;
  } finally {
    if (Atomics.exchange(depth, 0, before) !== before)
      gate.take(); // an interrupted script runs no `finally`
    else if (before === 0 && gate.hasPassedSince(passed)) absorb();
    gate.open();
  }
}

/** A signal on its way to a script needs no longer on a busy machine. */
const ABSORB_MS = 200;

/**
 * The script ended by itself while a signal was on its way to it. Node keeps that signal and ends the next script with
 * it: that is one with nothing to lose.
 */
function absorb(): void {
  try {
    idle.runInThisContext({ breakOnSigint: true, timeout: ABSORB_MS });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_SCRIPT_EXECUTION_INTERRUPTED') gate.take();
  }
}
