/** How a process of a run learns that it should end or save: by signals, and by the end of its parent. */
import { Worker } from 'node:worker_threads';

/** Environment variable with the file descriptor of the supervisor's pipe for heartbeats. */
export const heartbeatVariable = 'PATCHWISE_HEARTBEAT';
/** Environment variable with the pid of our process that started this one. */
export const supervisorVariable = 'PATCHWISE_SUPERVISOR';

/**
 * Watches the process that started this one, and sends it a heartbeat every second. If our supervisor is gone, this
 * process is killed at once, because nobody keeps the run's status. If a launcher is gone (npx, torchrun, srun), it gets
 * SIGTERM, so that a rank writes a checkpoint. The watch has its own thread, because a step on a large patch can keep the
 * main thread busy for minutes. Returns a function that ends the watch.
 */
export function watchParent(): () => Promise<unknown> {
  const { [supervisorVariable]: supervisor, [heartbeatVariable]: pipe } = process.env;
  const watch = new Worker(
    `const { workerData: { parent, signal, pipe } } = require('node:worker_threads');
     const { readFileSync, writeSync } = require('node:fs');
     const fieldsOf = (pid) => {
       try {
         const stat = readFileSync('/proc/' + pid + '/stat', 'utf8');
         const [, ppid] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
         return { name: stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')')), parent: Number(ppid) };
       } catch { return undefined; }
     };
     // npx starts a shell that starts this process, and the shell outlives npx.
     const shell = process.env.npm_command && fieldsOf(parent);
     const launcher = shell && shell.name === 'sh' ? shell.parent : undefined;
     const look = () => {
       if (process.ppid === parent && (!launcher || fieldsOf(parent)?.parent === launcher)) return;
       clearInterval(looking);
       process.kill(process.pid, signal);
     };
     const looking = setInterval(look, 300);
     look();
     const beat = () => {
       try { writeSync(pipe, '.'); } catch { /* nobody listens */ }
     };
     if (pipe) setInterval(beat, 1000);`,
    {
      eval: true,
      workerData: {
        // The supervisor may already be gone, and this process have another parent.
        parent: Number(supervisor ?? process.ppid),
        signal: supervisor === undefined ? 'SIGTERM' : 'SIGKILL',
        pipe: Number(pipe ?? 0),
      },
    },
  );
  watch.unref();
  return () => watch.terminate();
}

/** Launchers, terminals and systems send these to end a process. */
const stopSignals = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGXCPU'] as const;
/** Slurm and other queues send these when time is nearly over. */
const saveSignals = ['SIGUSR1', 'SIGUSR2'] as const;

/** Calls back on each signal that asks to stop, or to save and go on. Returns a function that ends this. */
export function onSignals(stop: () => void, save: () => void): () => void {
  for (const signal of stopSignals) process.on(signal, stop);
  for (const signal of saveSignals) process.on(signal, save);
  return () => {
    for (const signal of stopSignals) process.off(signal, stop);
    for (const signal of saveSignals) process.off(signal, save);
  };
}
