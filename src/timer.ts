/** setTimeout takes at most 24.8 days, and takes more for nothing at all. */
const slice = 1000;

/**
 * Calls back after so many seconds, however many. Only time in which this process runs counts, in slices of a second: a
 * laptop that slept or a virtual machine that was paused loses one slice, and a clock that was set changes nothing.
 * Returns what calls it off.
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
