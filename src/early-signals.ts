import { close, url } from 'node:inspector';

/**
 * Our programs import this first. Until somebody listens to SIGUSR1, Node opens a debugger port on it, and any user of
 * the machine can run code through that port; SIGUSR2 ends the process. Both ask a rank for a checkpoint, and there
 * is nothing to keep yet.
 */
function ignore(): void {}

process.on('SIGUSR1', ignore);
process.on('SIGUSR2', ignore);

/** Closes what a signal has opened before this file was read, unless the user has asked for a debugger. */
function closeDebugger(): void {
  const options = [...process.execArgv, process.env.NODE_OPTIONS ?? ''].join(' ');
  if (url() && !/--inspect(?!-p)/.test(options)) close();
}

closeDebugger();
// Node opens it from a thread of its own, which may take a moment on a loaded machine.
const looks = setInterval(closeDebugger, 20).unref();
setTimeout(() => clearInterval(looks), 2000).unref();
