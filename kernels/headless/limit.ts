/** How a cell that should end is asked to: again and again, then its kernel is killed. */
import { afterSeconds } from '../../src/timer';
import type { KernelClient } from './client';

const ASK_AGAIN_MS = 1000;
const PATIENCE_MS = 10_000;

interface CellLimit {
  clear(): void;
  /** Why the cell was asked to end, if it was. */
  reason(): string | undefined;
}

/** Interrupts what runs when its time is over or the caller aborts, and remembers why. */
export function limitCell(
  client: KernelClient,
  { cellTimeout, signal }: { cellTimeout?: number | undefined; signal?: AbortSignal | undefined },
): CellLimit {
  let reason: string | undefined;
  let asking: NodeJS.Timeout | undefined;
  let patience: NodeJS.Timeout | undefined;
  const interrupt = (): void => void client.send('interrupt_request', {}, 'control');
  const stop = (why: string): void => {
    if (reason !== undefined) return;
    reason = why;
    interrupt();
    asking = setInterval(interrupt, ASK_AGAIN_MS); // the first may have come before the cell had begun
    // Code that no interrupt reaches, deep in a native call for instance, goes with its kernel.
    patience = setTimeout(() => client.process.kill(), PATIENCE_MS);
  };
  const onAbort = (): void => stop('aborted');
  const endLimit =
    cellTimeout === undefined
      ? undefined
      : afterSeconds(cellTimeout, () => stop(`took longer than ${cellTimeout} s`));
  signal?.addEventListener('abort', onAbort, { once: true });
  return {
    clear() {
      endLimit?.();
      clearInterval(asking);
      clearTimeout(patience);
      signal?.removeEventListener('abort', onAbort);
    },
    reason: () => reason,
  };
}
