import type { GanConfig } from './config';

/** A mean over logits and its gradient with respect to them. */
interface LogitLoss {
  readonly value: number;
  readonly gradient: Float32Array;
}

/** The generator wants its patches taken for real: -mean(logits). */
export function generatorLoss(logits: Float32Array): LogitLoss {
  const n = logits.length;
  return { value: -mean(logits), gradient: new Float32Array(n).fill(-1 / n) };
}

/**
 * What a discriminator minimises: half the loss of real patches and half that of reconstructed ones. Hinge:
 * max(0, 1 - real) and max(0, 1 + fake) (Lim & Ye, 2017); vanilla: softplus(-real) and softplus(fake).
 */
export function discriminatorLoss(logits: Float32Array, real: boolean, loss: GanConfig['loss']): LogitLoss {
  const n = logits.length;
  const sign = real ? -1 : 1;
  const gradient = new Float32Array(n);
  let sum = 0;
  for (let i = 0; i < n; i++) {
    const wrong = sign * logits[i]!;
    const [value, slope] =
      loss === 'hinge'
        ? [Math.max(0, 1 + wrong), wrong > -1 ? 1 : 0]
        : [Math.max(0, wrong) + Math.log1p(Math.exp(-Math.abs(wrong))), 1 / (1 + Math.exp(-wrong))];
    sum += value;
    gradient[i] = (0.5 * sign * slope) / n;
  }
  return { value: (0.5 * sum) / n, gradient };
}

export function mean(values: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]!;
  return sum / values.length;
}
