/** Runs a function so that SIGINT ends its synchronous part, as Ctrl+C ends a script's. */
import { Script } from 'node:vm';
import { SigintGate } from './sigint-gate';

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
