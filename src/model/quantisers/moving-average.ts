import * as tf from '@tensorflow/tfjs-core';
import { mse } from '../../compute/ops/ops';
import type { StoredTensor } from '../../safetensors';
import { type ConfigOf, flag } from '../../setting';
import { Codebook, type CodebookStatistics } from '../codebook';
import { estimate, estimator, unitRows } from './estimators';
import { chooseNearest, unit } from './onnx';
import {
  type Chosen,
  type CodeSizes,
  type GlobalBatch,
  type Quantised,
  type Quantiser,
  type QuantiserStatistics,
  quantiserKind,
  type RowRange,
} from './quantiser';
import { initialisation, startCodebook } from './start';

const options = {
  initialisation,
  estimator,
  cosine: flag({ default: false, meaning: 'Compare latents and codes by their angle, both at unit length.' }),
};

type Options = CodeSizes & ConfigOf<typeof options>;

/**
 * One codebook whose codes are moving averages of the latents that chose them (VQ-VAE's EMA variant). With `cosine`
 * latents and codes are scaled to unit length first and compared by their angle (ViT-VQGAN, Yu et al. 2022).
 */
export class MovingAverageQuantiser implements Quantiser {
  readonly codebook: Codebook;
  readonly codebooks = 1;

  constructor(private readonly options: Options) {
    this.codebook = new Codebook(options);
  }

  get size(): number {
    return this.codebook.codes;
  }

  get initialised(): boolean {
    return this.codebook.initialised;
  }

  async prepare({ latents, rows, sum }: GlobalBatch): Promise<void> {
    if (this.initialised) return;
    const given = await latents?.();
    const compared = given && tf.tidy(() => tf.clone(this.compared(given)));
    await startCodebook(this.codebook, compared, rows, sum, this.options);
    tf.dispose([given, compared].filter((tensor) => tensor !== undefined));
  }

  quantise(latents: tf.Tensor2D): Chosen {
    return this.codebook.quantise(this.compared(latents));
  }

  forward(latents: tf.Tensor2D): Quantised {
    const z = this.compared(latents);
    const { codes, embeddings } = this.codebook.quantise(z);
    const commitment = mse(z, embeddings);
    return {
      codes,
      embeddings: estimate(z, embeddings, this.options.estimator),
      commitment,
      loss: tf.mul(commitment, this.options.commitment),
    };
  }

  embed(codes: ArrayLike<number>): tf.Tensor2D {
    return embedRows(this.codebook, codes);
  }

  statistics(
    latents: tf.Tensor2D,
    codes: tf.Tensor1D,
    rows: RowRange & { readonly step: number },
  ): CodebookStatistics {
    return tf.tidy(() => this.codebook.statistics(this.compared(latents), codes, rows));
  }

  noStatistics(): CodebookStatistics {
    return this.codebook.noStatistics();
  }

  apply(statistics: QuantiserStatistics): number {
    return this.codebook.apply(statistics as CodebookStatistics);
  }

  state(): Map<string, StoredTensor> {
    return this.codebook.state();
  }

  load(state: ReadonlyMap<string, StoredTensor>): void {
    this.codebook.load(state);
  }

  dispose(): void {
    this.codebook.dispose();
  }

  /** The latents as they are compared with the codes. */
  private compared(latents: tf.Tensor2D): tf.Tensor2D {
    return this.options.cosine ? unitRows(latents) : latents;
  }
}

/** Rows of a codebook, [m, codeDim]. */
export function embedRows(codebook: Codebook, codes: ArrayLike<number>): tf.Tensor2D {
  const { codeDim } = codebook;
  const table = codebook.embeddings();
  const rows = new Float32Array(codes.length * codeDim);
  for (let i = 0; i < codes.length; i++)
    rows.set(table.subarray(codes[i]! * codeDim, (codes[i]! + 1) * codeDim), i * codeDim);
  return tf.tensor2d(rows, [codes.length, codeDim]);
}

export const ema = quantiserKind({
  meaning: 'a codebook of moving averages',
  options,
  averagesLatents: true,
  create: (config) => new MovingAverageQuantiser(config),
  tables: (_, state) => [state.get('codebook.embeddings')!.data],
  choose: (graph, rows, { cosine, codeDim }, tables) =>
    chooseNearest(graph, cosine ? unit(graph, rows) : rows, codeDim, tables),
});
