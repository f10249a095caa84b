import { Worker } from 'node:worker_threads';

/**
 * Ends this process as soon as the one that started it is gone. A thread of its own, because a step on a large patch
 * can keep the main thread busy for minutes. Returns what ends the watch.
 */
export function watchParent(parent: number = process.ppid): () => Promise<unknown> {
  const watch = new Worker(
    `const { workerData } = require('node:worker_threads');
     setInterval(() => {
       if (process.ppid !== workerData) process.kill(process.pid, 'SIGKILL');
     }, 300);`,
    { eval: true, workerData: parent },
  );
  watch.unref();
  return () => watch.terminate();
}
