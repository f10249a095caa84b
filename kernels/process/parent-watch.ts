/** Notices that the process which started the kernel is gone, so that no kernel outlives its server by accident. */
import { identify } from '../../src/process-identity';

const POLL_MS = 1000;

/**
 * Calls `leave` once the process named in JPY_PARENT_PID (set by jupyter_client and by our own client) has died.
 * Without the variable nothing is watched: such a kernel was started to be independent.
 */
export function watchParent(leave: () => void, environment: NodeJS.ProcessEnv = process.env): void {
  const parent = Number(environment.JPY_PARENT_PID);
  if (!Number.isInteger(parent) || parent <= 1) return;
  const direct = process.ppid === parent;
  const timer = setInterval(() => {
    // A child of the parent sees itself adopted; a grandchild (behind a shell) has to ask whether the parent exists.
    const gone = direct ? process.ppid !== parent : !identify(parent);
    if (gone) leave();
  }, POLL_MS);
  timer.unref();
}
