/** Keeps the process's listeners from the code of cells, which may add and remove any. */
import { EventEmitter } from 'node:events';
import type { SigintGate } from './run-interruptible';

/**
 * Keeps SIGINT for the kernel, where it means "stop the cell". Listeners of cells and their libraries are not called,
 * because many of them end the process. A listener that is added while V8 runs an interruptible script is lost when the
 * script ends, because V8 then restores the signal's default, to end the process. So SIGINT is set up again.
 */
export function keepSigint(interrupt: () => void, gate: SigintGate): void {
  const emit = process.emit as (...given: unknown[]) => boolean;
  // When it starts to listen, Node looks `process.emit` up. It calls it with the number of the signal.
  process.emit = function (this: NodeJS.Process, event: unknown, ...rest: unknown[]): boolean {
    if (event !== 'SIGINT' || typeof rest.at(-1) !== 'number') return emit.call(this, event, ...rest);
    interrupt();
    return true;
  } as typeof process.emit;

  const ours = (): void => {}; // as long as somebody listens, the signal does not end the process
  const setUp = (): void => {
    const others = process.rawListeners('SIGINT').filter((listener) => listener !== ours);
    gate.close();
    EventEmitter.prototype.removeAllListeners.call(process, 'SIGINT'); // the process's own method keeps some
    for (const listener of [ours, ...others]) process.on('SIGINT', listener as NodeJS.SignalsListener);
    gate.open();
    isDue = false;
  };
  let isDue = false;
  const restore = (): void => {
    if (isDue || process.listeners('SIGINT').includes(ours)) return;
    isDue = true;
    queueMicrotask(setUp); // after the script, if one runs
  };
  setUp();
  process.on('newListener', (event, listener) => {
    if (event === 'SIGINT' && listener !== ours) restore();
  });
  process.on('removeListener', (event, listener) => {
    if (event === 'SIGINT' && listener === ours && !isDue) queueMicrotask(restore);
  });
}

/**
 * Keeps the listeners that the kernel and Node itself have set up when a cell calls `process.removeAllListeners()`.
 * Without them no interrupt would arrive, and an error in a timer would end the kernel.
 */
export function keepListeners(): void {
  const kept = process
    .eventNames()
    .filter((event) => event !== 'SIGINT') // keepSigint sets that up again, when V8 allows it
    .sort((one, other) => order(one) - order(other))
    .flatMap((event) => process.rawListeners(event).map((listener) => ({ event, listener })));
  const { removeAllListeners } = process;
  process.removeAllListeners = function (this: NodeJS.Process, ...events: [event?: string | symbol]) {
    removeAllListeners.apply(this, events as []);
    for (const { event, listener } of kept)
      if (!process.rawListeners(event).includes(listener)) process.on(event, listener as () => void);
    return this;
  } as typeof process.removeAllListeners;
}

/** Listeners to `newListener` come first: Node sets signals up through them. */
function order(event: string | symbol): number {
  return event === 'newListener' ? 0 : 1;
}
