import { cpus } from 'node:os';
import { setTimeout } from 'node:timers/promises';

/** Waits until the machine does next to nothing else, at most `seconds`; says whether it came to that. */
export async function quiet(seconds = 20, signal?: AbortSignal): Promise<boolean> {
  for (const deadline = Date.now() + seconds * 1000; Date.now() < deadline; ) {
    const before = busy();
    await setTimeout(250, undefined, { signal });
    if (busy() - before < 25) return true;
  }
  return false;
}

/** Milliseconds of processor time that all programs have had. */
function busy(): number {
  return cpus().reduce((sum, { times }) => sum + times.user + times.nice + times.sys + times.irq, 0);
}
