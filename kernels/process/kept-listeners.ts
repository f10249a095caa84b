/**
 * Keeps the listeners of the process that the kernel and Node itself have set up. A cell, or a library of it, may call
 * `process.removeAllListeners()`: then no interrupt would come, and an error in a timer would end the kernel.
 */
export function keepListeners(): void {
  const kept = process
    .eventNames()
    .filter((event) => event !== 'SIGINT') // sigint.ts sets that up again, at a time when V8 lets it
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

/** What listens to listeners comes first: Node sets signals up through it. */
function order(event: string | symbol): number {
  return event === 'newListener' ? 0 : 1;
}
