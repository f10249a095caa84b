import * as tf from '@tensorflow/tfjs-core';
import { mse, stopGradient } from '../../compute/ops/ops';
import type { StoredTensor } from '../../safetensors';
import { type ConfigOf, count } from '../../setting';
import { Codebook, type CodebookStatistics } from '../codebook';
import { estimate, estimator } from './estimators';
import { embedRows } from './moving-average';
import { chooseNearest } from './onnx';
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
  codebooks: count({ default: 2, meaning: 'Codebooks in a row, of `codes` codes each.' }),
};

type Options = CodeSizes & ConfigOf<typeof options>;

/**
 * Residual vector quantisation (Zeghidour et al., "SoundStream", 2021): each codebook quantises the rest that the ones
 * before it leave, and the decoder gets the sum. The codebooks are moving averages. As in EnCodec, the estimator applies
 * once, to the sum; applied to every codebook it would multiply the latents' gradient by the number of codebooks.
 */
class ResidualQuantiser implements Quantiser {
  private readonly books: readonly Codebook[];

  constructor(private readonly options: Options) {
    this.books = Array.from(
      { length: options.codebooks },
      (_, b) => new Codebook({ ...options, name: `codebook.${b}` }),
    );
  }

  get size(): number {
    return this.books.length * this.options.codes;
  }

  get codebooks(): number {
    return this.books.length;
  }

  get initialised(): boolean {
    return this.books.every((book) => book.initialised);
  }

  async prepare({ latents, rows, sum }: GlobalBatch): Promise<void> {
    if (this.initialised) return;
    let left = await latents?.();
    const { initialisation } = this.options;
    for (const book of this.books) {
      await startCodebook(book, left, rows, sum, { initialisation, cosine: false });
      const before = left;
      left = before && tf.tidy(() => tf.sub(before, book.quantise(before).embeddings));
      before?.dispose();
    }
    left?.dispose();
  }

  quantise(latents: tf.Tensor2D): Chosen {
    const { codes, sum } = this.walk(latents);
    return { codes: this.join(codes), embeddings: sum };
  }

  forward(latents: tf.Tensor2D): Quantised {
    const { codes, sum, commitments } = this.walk(latents);
    const commitment: tf.Scalar = tf.div(
      commitments.reduce((total, part) => tf.add(total, part)),
      commitments.length,
    );
    return {
      codes: this.join(codes),
      embeddings: estimate(latents, sum, this.options.estimator),
      commitment,
      loss: tf.mul(commitment, this.options.commitment),
    };
  }

  embed(codes: ArrayLike<number>): tf.Tensor2D {
    return tf.tidy(() => {
      const parts = this.books.map((book, b) => embedRows(book, this.codesOf(codes, b)));
      return parts.reduce((sum, part) => tf.add(sum, part));
    });
  }

  statistics(
    latents: tf.Tensor2D,
    codes: tf.Tensor1D,
    rows: RowRange & { readonly step: number },
  ): QuantiserStatistics {
    const chosen = codes.dataSync<'int32'>();
    return tf.tidy(() => {
      let left = latents;
      const parts = this.books.map((book, b) => {
        const own = this.codesOf(chosen, b);
        const part = book.statistics(left, tf.tensor1d(own, 'int32'), rows);
        left = tf.sub(left, embedRows(book, own));
        return part;
      });
      return joinStatistics(parts);
    });
  }

  noStatistics(): QuantiserStatistics {
    return joinStatistics(this.books.map((book) => book.noStatistics()));
  }

  apply({ counts, sums, candidates }: QuantiserStatistics): number {
    const { codes, codeDim } = this.options;
    return this.books.reduce((restarted, book, b) => {
      const part = (array: Float32Array, width: number) =>
        array.subarray(b * codes * width, (b + 1) * codes * width);
      const own = {
        counts: part(counts, 1),
        sums: part(sums!, codeDim),
        candidates: part(candidates!, codeDim),
      };
      return restarted + book.apply(own);
    }, 0);
  }

  state(): Map<string, StoredTensor> {
    return new Map(this.books.flatMap((book) => [...book.state()]));
  }

  load(state: ReadonlyMap<string, StoredTensor>): void {
    for (const book of this.books) book.load(state);
  }

  dispose(): void {
    for (const book of this.books) book.dispose();
  }

  /** Codes [m] of each codebook, the sum of their embeddings [m, codeDim], and each one's commitment. */
  private walk(latents: tf.Tensor2D): { codes: tf.Tensor1D[]; sum: tf.Tensor2D; commitments: tf.Scalar[] } {
    let sum: tf.Tensor2D | undefined;
    const codes: tf.Tensor1D[] = [];
    const commitments: tf.Scalar[] = [];
    for (const book of this.books) {
      const left = sum ? tf.sub(latents, stopGradient(sum)) : latents;
      const chosen = book.quantise(stopGradient(left) as tf.Tensor2D);
      codes.push(chosen.codes);
      commitments.push(mse(left, chosen.embeddings));
      sum = sum ? tf.add(sum, chosen.embeddings) : chosen.embeddings;
    }
    return { codes, sum: sum!, commitments };
  }

  /** Codes [m] of each codebook as one tensor [m * codebooks], codebook b's numbers from b * codes on. */
  private join(codes: readonly tf.Tensor1D[]): tf.Tensor1D {
    const parts = codes.map((chosen) => chosen.dataSync<'int32'>());
    const joined = new Int32Array(parts.length * parts[0]!.length);
    for (let i = 0; i < joined.length; i++) {
      const b = i % parts.length;
      joined[i] = parts[b]![Math.floor(i / parts.length)]! + b * this.options.codes;
    }
    return tf.tensor1d(joined, 'int32');
  }

  /** Codebook b's part of joined codes, numbered from 0. */
  private codesOf(joined: ArrayLike<number>, b: number): Int32Array {
    const { length } = this.books;
    const first = b * this.options.codes;
    return Int32Array.from({ length: joined.length / length }, (_, i) => joined[i * length + b]! - first);
  }
}

function joinStatistics(parts: readonly CodebookStatistics[]): QuantiserStatistics {
  const join = (name: keyof CodebookStatistics & string) => {
    const arrays = parts.map((part) => part[name]!);
    const joined = new Float32Array(arrays.length * arrays[0]!.length);
    arrays.forEach((array, i) => {
      joined.set(array, i * array.length);
    });
    return joined;
  };
  return { counts: join('counts'), sums: join('sums'), candidates: join('candidates') };
}

export const residual = quantiserKind({
  meaning: 'several ema codebooks, each of what the ones before left over',
  options,
  averagesLatents: true,
  codebooks: ({ codebooks }) => codebooks,
  create: (config) => new ResidualQuantiser(config),
  tables: ({ codebooks }, state) =>
    Array.from({ length: codebooks }, (_, b) => state.get(`codebook.${b}.embeddings`)!.data),
  choose: (graph, rows, { codeDim }, tables) => chooseNearest(graph, rows, codeDim, tables),
});
