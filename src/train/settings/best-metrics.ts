/** Whether a validation measure is better when it is higher. */
export const higherIsBetter = {
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
