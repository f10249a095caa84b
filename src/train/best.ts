/** Whether a validation measure is better when it is higher. */
const higherIsBetter = {
  psnr: true,
  ssim: true,
  loss: false,
  reconstruction: false,
  commitment: false,
  mae: false,
  perplexity: true,
  usage: true,
} as const;

/** A measure of the validation that checkpoints can be ranked by. */
export type BestMetric = keyof typeof higherIsBetter;

export const bestMetrics = Object.keys(higherIsBetter) as BestMetric[];

/** A checkpoint worth keeping for what it reached. */
export interface Ranked {
  readonly step: number;
  readonly value: number;
}

/** Whether so many validations in a row have brought nothing better. */
export function hasStalled(
  ranking: readonly Ranked[],
  step: number,
  { patience, validateEvery }: { readonly patience: number; readonly validateEvery: number },
): boolean {
  if (patience === 0 || validateEvery === 0 || !ranking[0]) return false;
  return (step - ranking[0].step) / validateEvery >= patience;
}

/** The best checkpoints so far, the best first. A later one that only equals an earlier one does not displace it. */
export function rankedWith(
  ranking: readonly Ranked[],
  found: Ranked,
  metric: BestMetric,
  keep: number,
): Ranked[] {
  const sign = higherIsBetter[metric] ? 1 : -1;
  const better = (a: Ranked, b: Ranked) =>
    // What is not a number is worse than anything.
    (Number.isNaN(a.value) ? 1 : 0) - (Number.isNaN(b.value) ? 1 : 0) ||
    sign * (b.value - a.value) ||
    a.step - b.step;
  return [...ranking.filter(({ step }) => step !== found.step), found].sort(better).slice(0, keep);
}
