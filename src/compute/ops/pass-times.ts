/** How long forward and backward passes took, for whoever reports on a training step. */

const spent = { forward: 0, backward: 0 };
let depth = 0;

interface PassTimes {
  /** Seconds. */
  readonly forward: number;
  readonly backward: number;
}

/**
 * Seconds in forward and in backward passes since the last call. On a GPU a pass ends when its work is queued; what
 * waits for the results (reading the loss, the gradients) pays the rest.
 */
export function takePassTimes(): PassTimes {
  const taken = { ...spent };
  spent.forward = 0;
  spent.backward = 0;
  return taken;
}

/** Times one gradient: `forward`, then `backward`. What is recomputed within a backward pass is part of that pass. */
export function timePasses<Y, G>(forward: () => Y, backward: (y: Y) => G): G {
  const outermost = depth++ === 0;
  try {
    const started = performance.now();
    const y = forward();
    const between = performance.now();
    const gradients = backward(y);
    if (outermost) {
      spent.forward += (between - started) / 1000;
      spent.backward += (performance.now() - between) / 1000;
    }
    return gradients;
  } finally {
    depth--;
  }
}

/** Times one half of a gradient that is computed in two calls. */
export function timed<T>(half: keyof PassTimes, run: () => T): T {
  const started = performance.now();
  depth++;
  try {
    return run();
  } finally {
    if (--depth === 0) spent[half] += (performance.now() - started) / 1000;
  }
}
