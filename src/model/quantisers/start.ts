import type * as tf from '@tensorflow/tfjs-core';
import { oneOf } from '../../setting';
import type { Codebook } from '../codebook';
import { kMeans } from './kmeans';
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
