/** Runs a function so that SIGINT ends its synchronous part, as Ctrl+C ends a script's. */
import { Script } from 'node:vm';

const BODY = Symbol.for('patchwise.body');
const call = new Script('globalThis[Symbol.for("patchwise.body")]()', { filename: 'node:vm' });

/** @throws ERR_SCRIPT_EXECUTION_INTERRUPTED on SIGINT, and whatever `body` throws */
export function runInterruptible<T>(body: () => T): T {
  (globalThis as Record<symbol, unknown>)[BODY] = () => {
    delete (globalThis as Record<symbol, unknown>)[BODY];
    return body();
  };
  return call.runInThisContext({ breakOnSigint: true }) as T;
}
