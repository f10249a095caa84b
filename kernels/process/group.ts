/**
 * The process group of a kernel: the kernel and the children that its cells wait for, which a terminal's Ctrl-C reaches
 * too. Training runs have groups of their own, so no signal from here reaches them.
 */
import { identify } from '../../src/process-identity';

/** Signals the whole group if this process leads one, as a kernel of Jupyter's does; otherwise this process alone. */
export function signalGroup(signal: NodeJS.Signals): void {
  process.kill(leadsGroup(process.pid) ? -process.pid : process.pid, signal);
}

/** A group is named after its leader. The first process of a container leads none: -1 stands for every process. */
export function leadsGroup(pid: number): boolean {
  return process.platform !== 'win32' && pid > 1 && probe(-pid) !== 'none';
}

const POLL_MS = 1000;

/**
 * Calls `leave` once the process named in JPY_PARENT_PID has died, so that no kernel outlives its server by accident.
 * jupyter_client and our own client set the variable. A kernel without it is meant to be independent.
 */
export function watchParent(leave: () => void): void {
  const parent = Number(process.env.JPY_PARENT_PID);
  if (!Number.isInteger(parent) || parent <= 1) return;
  const direct = process.ppid === parent;
  const timer = setInterval(() => {
    // A child gets another parent. A grandchild, started by a shell in between, asks whether the process lives.
    const gone = direct ? process.ppid !== parent : !lives(parent);
    if (gone) leave();
  }, POLL_MS);
  timer.unref();
}

/** Another user's process lives. Off Linux, where only `ps` tells a zombie, a zombie lives too. */
function lives(pid: number): boolean {
  const found = probe(pid);
  if (found !== 'ours' || process.platform !== 'linux') return found !== 'none';
  return identify(pid) !== undefined;
}

/** Whether a process, or a group with a negative number, is there and whether we may signal it. */
function probe(pid: number): 'ours' | 'foreign' | 'none' {
  try {
    process.kill(pid, 0);
    return 'ours';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM' ? 'foreign' : 'none';
  }
}
