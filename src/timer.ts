/** Milliseconds of one wait. setTimeout waits at most 24.8 days; for longer times it calls back at once. */
const slice = 1000;

/**
 * Calls back after a number of seconds without a limit. It counts only time in which this process runs, in slices of a
 * second. Sleep of the laptop or a pause of the virtual machine costs one slice, and changing the clock has no effect.
 * Returns a function that cancels the call.
 */
export function afterSeconds(seconds: number, action: () => void): () => void {
  let left = seconds * 1000;
  let timer: NodeJS.Timeout;
  const wait = () => {
    const next = Math.min(left, slice);
    left -= next;
    timer = setTimeout(left > 0 ? wait : action, next);
  };
  wait();
  return () => clearTimeout(timer);
}
