import type { RunConfig } from '../settings/config';

/** What a cosine ends at, as a fraction of the learning rate: the last steps still move. */
const FLOOR = 0.02;

/**
 * The learning rate of a step: over the warm-up it grows in equal steps; then it stays, or falls along half a cosine to
 * nearly nothing at the last step.
 * @param step steps done before this one
 */
export function learningRateAt(
  { learningRate, schedule, warmup }: Pick<RunConfig, 'learningRate' | 'schedule' | 'warmup'>,
  step: number,
  steps: number,
): number {
  if (step < warmup) return (learningRate * (step + 1)) / warmup;
  if (schedule === 'constant') return learningRate;
  const done = (step - warmup) / Math.max(1, steps - warmup);
  const falling = 0.5 * (1 + Math.cos(Math.PI * done));
  return learningRate * (FLOOR + (1 - FLOOR) * falling);
}
