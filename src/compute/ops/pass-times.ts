/** How long forward and backward passes took, for whoever reports on a training step. */

/** Seconds. */
const spent = { forward: 0, backward: 0 };
let depth = 0;

/**
 * Seconds in forward and in backward passes since the last call. On a GPU a pass ends when its work is queued; what
 * waits for the results (reading the loss, the gradients) pays the rest. A pass that fails counts too, so a step asks once
 * before it begins.
 */
export function takePassTimes(): Readonly<typeof spent> {
  const taken = { ...spent };
  Object.assign(spent, { forward: 0, backward: 0 });
  return taken;
}

/** Times one half of a gradient. What is computed again within a backward pass is part of that pass. */
export function timed<T>(half: keyof typeof spent, run: () => T): T {
  const started = performance.now();
  depth++;
  try {
    return run();
  } finally {
    if (--depth === 0) spent[half] += (performance.now() - started) / 1000;
  }
}
