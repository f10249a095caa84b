import type * as tf from '@tensorflow/tfjs-core';
import type { GlobalBatch } from './quantiser';

/** Where latents lie: their mean [width], and a lower triangle L [width, width] with covariance L L'. */
interface Spread {
  readonly mean: Float64Array;
  readonly triangle: Float64Array;
}

/** Keeps the triangle regular when channels are constant or equal. */
const LEAST_DEVIATION = 1e-3;

/** Mean and covariance of the latents of all ranks, equal on every rank. `latents` are this rank's, if it has any. */
export async function spreadOf(
  latents: tf.Tensor2D | undefined,
  width: number,
  { rows, sum }: Pick<GlobalBatch, 'rows' | 'sum'>,
): Promise<Spread> {
  const values = latents?.dataSync<'float32'>() ?? new Float32Array(0);
  const total = new Float64Array(width);
  for (let i = 0; i < values.length; i++) total[i % width]! += values[i]!;
  const means = Float32Array.from(total, (value) => value / rows.total);
  await sum([means]);
  const products = new Float64Array(width * width);
  for (let start = 0; start < values.length; start += width)
    for (let i = 0; i < width; i++)
      for (let j = 0; j <= i; j++)
        products[i * width + j]! += (values[start + i]! - means[i]!) * (values[start + j]! - means[j]!);
  const covariance = Float32Array.from(products, (value) => value / rows.total);
  await sum([covariance]);
  return { mean: Float64Array.from(means), triangle: cholesky(covariance, width) };
}

/** L with L L' = a + LEAST_DEVIATION^2 I; `a` is given by its lower triangle. */
function cholesky(a: Float32Array, width: number): Float64Array {
  const triangle = new Float64Array(width * width);
  for (let i = 0; i < width; i++)
    for (let j = 0; j <= i; j++) {
      let rest = a[i * width + j]! + (i === j ? LEAST_DEVIATION ** 2 : 0);
      for (let k = 0; k < j; k++) rest -= triangle[i * width + k]! * triangle[j * width + k]!;
      if (i === j) triangle[i * width + i] = Math.sqrt(Math.max(rest, LEAST_DEVIATION ** 2));
      else triangle[i * width + j] = rest / triangle[j * width + j]!;
    }
  return triangle;
}
