import { RunFailed } from '../../errors';

export interface RoomOptions {
  readonly run: string;
  /** Seconds to wait for somebody to make room. */
  readonly patience: number;
  readonly signal?: AbortSignal;
  /** Told once, when the waiting begins and when it ends. */
  readonly warn: (message: string | undefined) => void;
}

/**
 * Writes, and where the disk is full waits until there is room again, rather than lose what was computed. The write
 * must leave nothing of itself behind when it fails.
 * @throws RunFailed when nobody has made room in time, or the run is stopped meanwhile; it can be resumed
 */
export async function withRoom<T>(what: string, write: () => T, options: RoomOptions): Promise<T> {
  const { run, patience, signal, warn } = options;
  for (let waited = 0; ; waited += pause) {
    try {
      const result = write();
      if (waited > 0) warn(undefined);
      return result;
    } catch (cause) {
      if (!isFull(cause)) throw cause;
      if (waited === 0) warn(`the disk is full: waiting for room for ${what}`);
      if (waited >= patience || signal?.aborted)
        throw new RunFailed(run, 'ran out of disk space', `no room for ${what}; resume it when there is`, {
          cause,
        });
      await new Promise((resolve) => setTimeout(resolve, pause * 1000));
    }
  }
}

const pause = 0.25;

export function isFull(error: unknown): boolean {
  const { code } = (error ?? {}) as { code?: string };
  return code === 'ENOSPC' || code === 'EDQUOT';
}

/** A log that cannot be written, for want of room or of a reader, must not end the process that writes it. */
export function outliveLogs(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.off('error', ignore);
    stream.on('error', ignore);
  }
}

function ignore(): void {}
