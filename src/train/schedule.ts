import type { RunConfig } from './config';

/** What a cosine ends at, as a fraction of the learning rate: the last steps still move. */
const floor = 0.02;

/**
 * The learning rate of a step, a pure function of where the run is: the config's, all the way or falling along half
 * a cosine to nearly nothing at the last step.
 * @param step steps done before this one
 */
export function learningRateAt(
  { learningRate, schedule }: Pick<RunConfig, 'learningRate' | 'schedule'>,
  step: number,
  steps: number,
): number {
  if (schedule === 'constant') return learningRate;
  const falling = 0.5 * (1 + Math.cos((Math.PI * step) / steps));
  return learningRate * (floor + (1 - floor) * falling);
}
