import type { RunConfig } from '../settings/config';

/** What a cosine ends at, as a fraction of the learning rate: the last steps still move. */
const floor = 0.02;

/**
 * The learning rate of a step, a pure function of where the run is: the config's, all the way or falling along half
 * a cosine to nearly nothing at the last step; before that it grows in equal steps over the warm-up.
 * @param step steps done before this one
 */
export function learningRateAt(
  { learningRate, schedule, warmup = 0 }: Pick<RunConfig, 'learningRate' | 'schedule'> & { warmup?: number },
  step: number,
  steps: number,
): number {
  if (step < warmup) return (learningRate * (step + 1)) / warmup;
  if (schedule === 'constant') return learningRate;
  const done = (step - warmup) / Math.max(1, steps - warmup);
  const falling = 0.5 * (1 + Math.cos(Math.PI * done));
  return learningRate * (floor + (1 - floor) * falling);
}
