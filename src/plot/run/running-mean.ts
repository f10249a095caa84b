/** A mean that follows its values: over the last part of all so far, so that long and short runs look equally smooth. */
export interface RunningMean {
  value: number;
  count: number;
}

/** The values that it is over: this part of all so far, and no fewer than the least. */
const SPAN = { part: 0.05, least: 10 } as const;

/** What a figure says of its lines. */
export const SMOOTHED =
  `bold: mean of the last ${100 * SPAN.part} % of the steps, ${SPAN.least} at least` +
  '<br>faint: each step · dots: validation';

/** Takes a value in; exponential, so that nothing but the mean and the count is kept. A gap changes nothing, and stays one. */
export function follow(mean: RunningMean, value: number | null): number | null {
  if (value === null) return null;
  mean.count++;
  const span = Math.max(SPAN.least, SPAN.part * mean.count);
  // Until the span is full it is the plain mean.
  mean.value += (value - mean.value) * Math.max(2 / (span + 1), 1 / mean.count);
  return mean.value;
}
