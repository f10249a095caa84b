import { close, url } from 'node:inspector';

/**
 * Our programs import this first. Without a listener, Node opens a debugger port on SIGUSR1, through which any user of the
 * machine can run code, and SIGUSR2 ends the process. Both signals ask a rank for a checkpoint, and before the first step
 * there is nothing to save.
 */
for (const signal of ['SIGUSR1', 'SIGUSR2'] as const) process.on(signal, () => {});

/** Closes a port that a signal opened before this file ran, unless the user asked for a debugger. */
function closeDebugger(): void {
  const options = [...process.execArgv, process.env.NODE_OPTIONS ?? ''].join(' ');
  if (url() && !/--inspect(?!-p)/.test(options)) close();
}

closeDebugger();
// Node opens the port from another thread, which may take a moment on a busy machine.
const looks = setInterval(closeDebugger, 20).unref();
setTimeout(() => clearInterval(looks), 2000).unref();
