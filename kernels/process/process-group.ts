/**
 * The process group of a kernel: the kernel and the children that its cells wait for, as a terminal's Ctrl-C sees them.
 * Training runs are in groups of their own, so no signal from here reaches them.
 */

/** Signals the whole group of this process if it leads one, as Jupyter starts kernels; else this process alone. */
export function signalGroup(signal: NodeJS.Signals): void {
  process.kill(leadsGroup(process.pid) ? -process.pid : process.pid, signal);
}

/** A group is named after its leader. The first process of a container leads none: -1 stands for every process. */
export function leadsGroup(pid: number): boolean {
  if (process.platform === 'win32' || pid <= 1) return false;
  try {
    return process.kill(-pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
