import { type FSWatcher, watch } from 'node:fs';
import { dirname } from 'node:path';

/**
 * Resolves when something changed in the file's folder, or after `atMost` milliseconds: network folders and
 * containers do not always say. Rejects with the signal's reason when it is aborted.
 */
export function changed(path: string, atMost: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    let watcher: FSWatcher | undefined;
    const finish = (settle: () => void) => {
      clearTimeout(timer);
      watcher?.close();
      signal?.removeEventListener('abort', abort);
      settle();
    };
    const abort = () => finish(() => reject(signal?.reason));
    const timer = setTimeout(() => finish(resolve), atMost);
    try {
      watcher = watch(dirname(path), () => finish(resolve));
      watcher.on('error', () => watcher?.close());
    } catch {
      // No folder yet, or no watches left on this machine: the timer alone then.
    }
    if (signal?.aborted) abort();
    else signal?.addEventListener('abort', abort, { once: true });
  });
}
