import { setTimeout as sleep } from 'node:timers/promises';
import { RunFailed } from '../../errors';

interface WaitOptions {
  readonly run: string;
  /** Seconds to wait for free space. */
  readonly patience: number;
  readonly signal?: AbortSignal;
  /** Called when the waiting begins, and with nothing when it ends. */
  readonly warn: (message: string | undefined) => void;
}

/**
 * Writes. While the disk is full it waits and tries again, so that nothing computed is lost. A write that fails must
 * leave nothing behind.
 * @throws RunFailed if the disk stays full too long, or the run is stopped meanwhile; the run can be resumed
 */
export async function whenDiskHasSpace<T>(what: string, write: () => T, options: WaitOptions): Promise<T> {
  const { run, patience, signal, warn } = options;
  for (let waited = 0; ; waited += pause) {
    try {
      const result = write();
      if (waited > 0) warn(undefined);
      return result;
    } catch (cause) {
      if (!isFull(cause)) throw cause;
      if (waited === 0) warn(`the disk is full: waiting for space for ${what}`);
      const reason = `no space for ${what}; resume it when there is`;
      if (waited >= patience || signal?.aborted)
        throw new RunFailed(run, 'ran out of disk space', reason, { cause });
      await sleep(pause * 1000);
    }
  }
}

const pause = 0.25;

export function isFull(error: unknown): boolean {
  const { code } = (error ?? {}) as { code?: string };
  return code === 'ENOSPC' || code === 'EDQUOT';
}

/** A log that cannot be written (a full disk, a closed pipe) must not end the process that writes it. */
export function outliveLogs(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.off('error', ignore);
    stream.on('error', ignore);
  }
}

function ignore(): void {}
