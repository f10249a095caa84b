import * as tf from '@tensorflow/tfjs-core';
import { nearestCode } from '../../compute/ops/ops';
import { sumsByCode } from '../../compute/ops/sums-by-code';
import { oneOf } from '../../setting';
import type { Codebook } from '../codebook';
import { toUnitRows } from '../rows';
import type { RowRange, SumOverRanks } from './quantiser';

type Initialisation = 'random' | 'kmeans';

export const initialisation = oneOf<Initialisation>(['random', 'kmeans'], {
  default: 'random',
  meaning: 'Where codes start: from latents of the first global batch, or from the centres of its clusters.',
});

/** Starts a codebook from the latents of all ranks, equal on every rank. `latents` are this rank's, if it has any. */
export async function startCodebook(
  codebook: Codebook,
  latents: tf.Tensor2D | undefined,
  rows: RowRange,
  sum: SumOverRanks,
  { initialisation, cosine }: { readonly initialisation: Initialisation; readonly cosine: boolean },
): Promise<void> {
  const { codes, codeDim } = codebook;
  const drawn = latents ? codebook.initialisation(latents, rows) : new Float32Array(codes * codeDim);
  await sum([drawn]);
  // Each code starts with a count of 1, or with the count that keeps it alive in a larger batch.
  const least = Math.max(1, codebook.threshold(rows.total));
  if (initialisation === 'random') {
    codebook.initialise(drawn, new Float32Array(codes).fill(least));
    return;
  }
  const { centres, counts } = await kMeans(latents, drawn, codeDim, sum, { cosine });
  // The code of an empty cluster stays alive until a step shows whether it is needed.
  codebook.initialise(
    centres,
    counts.map((count) => Math.max(least, count)),
  );
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
 * @returns the centres [count * width], and how many latents of all ranks are nearest to each
 */
export async function kMeans(
  latents: tf.Tensor2D | undefined,
  start: Float32Array,
  width: number,
  sum: SumOverRanks,
  { iterations = ITERATIONS, cosine = false } = {},
) {
  const count = start.length / width;
  const centres = start.slice();
  if (cosine) toUnitRows(centres, width);
  let counts: Float32Array = new Float32Array(count);
  for (let iteration = 0; iteration < iterations; iteration++) {
    let found: ReturnType<typeof sumsByCode> = {
      counts: new Float32Array(count),
      sums: new Float32Array(count * width),
    };
    if (latents) {
      const codes = tf.tidy(() => nearestCode(latents, tf.tensor2d(centres, [count, width])));
      found = sumsByCode(latents, codes, count);
      codes.dispose();
    }
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
