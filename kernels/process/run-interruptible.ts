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

/**
 * V8 takes the signal over when an interruptible
 * script starts and gives it back when the script ends; during the handover nobody listens. The main thread closes the
 * gate for these moments. The control thread, which sends the signals, waits at it.
 */
export class SigintGate {
  /** @param state one slot of memory that both threads share */
  constructor(private readonly state: Int32Array) {}

  /** Waits until a signal on its way has arrived. On the main thread. */
  close(): void {
    for (;;) {
      const state = Atomics.load(this.state, 0);
      if (state === SENDING) Atomics.wait(this.state, 0, SENDING, 1);
      else if (Atomics.compareExchange(this.state, 0, state, CLOSED) === state) return;
    }
  }

  /** On the main thread. */
  open(): void {
    Atomics.store(this.state, 0, OPEN);
  }

  /** Sends a signal once the gate is open. On the control thread. @param inScript tells whether V8 has the signal now */
  async pass(send: () => void, inScript: () => boolean): Promise<void> {
    const deadline = performance.now() + LONGEST_WAIT_MS;
    while (Atomics.compareExchange(this.state, 0, OPEN, SENDING) !== OPEN) {
      if (performance.now() > deadline) return send();
      await sleep(1);
    }
    const next = inScript() ? SENT : OPEN;
    send();
    Atomics.compareExchange(this.state, 0, SENDING, next); // unless the script has ended already
    Atomics.notify(this.state, 0);
  }
}

const BODY = Symbol.for('patchwise.body');
const call = new Script('globalThis[Symbol.for("patchwise.body")]()', { filename: 'node:vm' });

/** How many such functions run now, one inside another. The control thread reads it. */
let depth: Int32Array = new Int32Array(1);
let gate = new SigintGate(new Int32Array(new SharedArrayBuffer(4)));

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
  try {
    return call.runInThisContext({ breakOnSigint: true }) as T;
  } finally {
    Atomics.store(depth, 0, before); // an interrupted script runs no `finally`
    gate.open();
  }
}
