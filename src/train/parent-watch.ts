import { Worker } from 'node:worker_threads';

/** Environment variable with the file descriptor of the pipe that the supervisor listens to for heartbeats. */
export const heartbeatVariable = 'PATCHWISE_HEARTBEAT';

/**
 * Ends this process as soon as the one that started it is gone, and tells that one every second that this one lives. A
 * thread of its own, because a step on a large patch can keep the main thread busy for minutes. Returns what ends the
 * watch.
 */
export function watchParent(parent: number = process.ppid): () => Promise<unknown> {
  const watch = new Worker(
    `const { workerData: { parent, pipe } } = require('node:worker_threads');
     const { writeSync } = require('node:fs');
     setInterval(() => {
       if (process.ppid !== parent) process.kill(process.pid, 'SIGKILL');
     }, 300);
     const beat = () => {
       try { writeSync(pipe, '.'); } catch { /* nobody listens */ }
     };
     if (pipe) setInterval(beat, 1000);`,
    { eval: true, workerData: { parent, pipe: Number(process.env[heartbeatVariable] ?? 0) } },
  );
  watch.unref();
  return () => watch.terminate();
}
