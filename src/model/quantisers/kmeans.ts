import * as tf from '@tensorflow/tfjs-core';
import { nearestCode } from '../../compute/ops/ops';
import { sumsByCode, toUnitRows } from '../rows';
import type { SumOverRanks } from './quantiser';

interface Clusters {
  /** [count * width] */
  readonly centres: Float32Array;
  /** Latents of all ranks that are nearest to each centre. */
  readonly counts: Float32Array;
}

/** As in vector-quantize-pytorch; later iterations change little. */
const ITERATIONS = 10;

/**
 * Lloyd's k-means over the latents of all ranks. Every round sums counts and sums over the ranks, so all ranks find the
 * same centres, and one rank with all latents finds them too. A centre without latents stays where it is.
 *
 * @param latents this rank's [m, width]; undefined for a rank without patches
 * @param start [count * width], equal on all ranks
 * @param cosine whether centres, like the latents, have unit length
 */
export async function kMeans(
  latents: tf.Tensor2D | undefined,
  start: Float32Array,
  width: number,
  sum: SumOverRanks,
  { iterations = ITERATIONS, cosine = false } = {},
): Promise<Clusters> {
  const count = start.length / width;
  const centres = start.slice();
  if (cosine) toUnitRows(centres, width);
  let counts: Float32Array = new Float32Array(count);
  for (let iteration = 0; iteration < iterations; iteration++) {
    const found = latents
      ? sumsByCode(latents.dataSync<'float32'>(), nearest(latents, centres, width), count, width)
      : { counts: new Float32Array(count), sums: new Float32Array(count * width) };
    await sum([found.counts, found.sums]);
    counts = found.counts;
    for (let i = 0; i < centres.length; i++) {
      const members = counts[Math.floor(i / width)]!;
      if (members > 0) centres[i] = found.sums[i]! / members;
    }
    if (cosine) toUnitRows(centres, width);
  }
  return { centres, counts };
}

function nearest(latents: tf.Tensor2D, centres: Float32Array, width: number): Int32Array {
  const codes = tf.tidy(() => nearestCode(latents, tf.tensor2d(centres, [centres.length / width, width])));
  const numbers = codes.dataSync<'int32'>();
  codes.dispose();
  return numbers;
}
