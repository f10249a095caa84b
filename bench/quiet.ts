import { cpus } from 'node:os';
import { setTimeout } from 'node:timers/promises';

/** Waits up to `seconds` until other programs are idle. Returns whether they are. */
export async function quiet(seconds = 20, signal?: AbortSignal): Promise<boolean> {
  for (const deadline = Date.now() + seconds * 1000; Date.now() < deadline; ) {
    const before = busy();
    await setTimeout(250, undefined, { signal });
    if (busy() - before < 25) return true;
  }
  return false;
}

/** Processor time of all programs since boot, in milliseconds. */
function busy(): number {
  return cpus().reduce((sum, { times }) => sum + times.user + times.nice + times.sys + times.irq, 0);
}
