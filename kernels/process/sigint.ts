import { EventEmitter } from 'node:events';
import type { SigintGate } from './sigint-gate';

/**
 * Keeps SIGINT for the kernel. It means "stop the cell" here, so listeners that cells and their libraries add to it, of
 * which many end the process, are not called. And whoever adds one while a script runs that V8 ends on SIGINT gets it
 * only until the script's end, when V8 sets the signal back to what ends the process: it is then set up again.
 */
export function keepSigint(interrupt: () => void, gate: SigintGate): void {
  const emit = process.emit as (...given: unknown[]) => boolean;
  // Node calls what `process.emit` is when it starts to listen, with the number of the signal.
  process.emit = function (this: NodeJS.Process, event: unknown, ...rest: unknown[]): boolean {
    if (event !== 'SIGINT' || typeof rest.at(-1) !== 'number') return emit.call(this, event, ...rest);
    interrupt();
    return true;
  } as typeof process.emit;

  const ours = (): void => {}; // as long as somebody listens, the signal does not end the process
  const setUp = (): void => {
    const others = process.rawListeners('SIGINT').filter((listener) => listener !== ours);
    gate.close();
    EventEmitter.prototype.removeAllListeners.call(process, 'SIGINT'); // that of the process keeps some of them
    for (const listener of [ours, ...others]) process.on('SIGINT', listener as NodeJS.SignalsListener);
    gate.open();
    isDue = false;
  };
  let isDue = false;
  const setUpSoon = (): void => {
    if (isDue) return;
    isDue = true;
    queueMicrotask(setUp); // after the script, if one runs
  };
  setUp();
  process.on('newListener', (event, listener) => {
    if (event === 'SIGINT' && listener !== ours && !process.listeners('SIGINT').includes(ours)) setUpSoon();
  });
  process.on('removeListener', (event, listener) => {
    if (event === 'SIGINT' && listener === ours && !isDue) queueMicrotask(restore);
  });
  const restore = (): void => {
    if (!process.listeners('SIGINT').includes(ours)) setUpSoon();
  };
}
