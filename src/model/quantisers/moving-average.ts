import * as tf from '@tensorflow/tfjs-core';
import { mse } from '../../compute/ops/ops';
import type { StoredTensor } from '../../safetensors';
import { type ConfigOf, count, flag } from '../../setting';
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

const shared = { initialisation, estimator };

type Options = CodeSizes & ConfigOf<typeof shared> & { readonly cosine?: boolean };

/**
 * Codebooks whose codes are moving averages of the latents that chose them. With `cosine` latents and codes are scaled to
 * unit length first and compared by their angle (ViT-VQGAN, Yu et al. 2022).
 *
 * With several codebooks this is residual vector quantisation (Zeghidour et al., "SoundStream", 2021): each quantises the
 * rest that the ones before it leave, and the decoder gets the sum. As in EnCodec, the estimator applies once, to the sum;
 * applied to every codebook it would multiply the latents' gradient by the number of codebooks.
 */
export class MovingAverageQuantiser implements Quantiser {
  readonly books: readonly Codebook[];
  private readonly cosine: boolean;

  /** @param names of the codebooks in the state */
  constructor(
    private readonly options: Options,
    names: readonly string[],
  ) {
    this.cosine = options.cosine ?? false;
    this.books = names.map((name) => new Codebook({ ...options, name }));
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
    const given = await latents?.();
    let left = given && tf.tidy(() => tf.clone(this.compared(given)));
    given?.dispose();
    for (const book of this.books) {
      const before = left;
      await startCodebook(book, before, rows, sum, { ...this.options, cosine: this.cosine });
      const last = book === this.books.at(-1);
      left = before && !last ? tf.tidy(() => tf.sub(before, book.quantise(before).embeddings)) : undefined;
      before?.dispose();
    }
  }

  quantise(latents: tf.Tensor2D): Chosen {
    return this.walk(this.compared(latents));
  }

  forward(latents: tf.Tensor2D): Quantised {
    const z = this.compared(latents);
    const commitments: tf.Scalar[] = [];
    const { codes, embeddings } = this.walk(z, (left, chosen) => commitments.push(mse(left, chosen)));
    const total = commitments.reduce((sum, part) => tf.add(sum, part));
    const commitment: tf.Scalar = this.codebooks === 1 ? total : tf.div(total, this.codebooks);
    return {
      codes,
      embeddings: estimate(z, embeddings, this.options.estimator),
      commitment,
      loss: tf.mul(commitment, this.options.commitment),
    };
  }

  embed(codes: ArrayLike<number>): tf.Tensor2D {
    return tf.tidy(() => {
      const parts = this.books.map((book, b) => book.embed(this.codesOf(codes, b)));
      return parts.reduce((sum, part) => tf.add(sum, part));
    });
  }

  statistics(
    latents: tf.Tensor2D,
    codes: tf.Tensor1D,
    rows: RowRange & { readonly step: number },
  ): CodebookStatistics {
    let found!: CodebookStatistics;
    // Returns nothing: tfjs would look for tensors among all numbers of the arrays, which takes a second for 2 million.
    tf.tidy(() => {
      found = this.statisticsOf(latents, codes, rows);
    });
    return found;
  }

  private statisticsOf(
    latents: tf.Tensor2D,
    codes: tf.Tensor1D,
    rows: RowRange & { readonly step: number },
  ): CodebookStatistics {
    let left = this.compared(latents);
    if (this.codebooks === 1) return this.books[0]!.statistics(left, codes, rows);
    const chosen = codes.dataSync<'int32'>();
    const parts = this.books.map((book, b) => {
      const own = this.codesOf(chosen, b);
      const statistics = book.statistics(left, tf.tensor1d(Int32Array.from(own), 'int32'), rows);
      if (book !== this.books.at(-1)) left = tf.sub(left, book.embed(own));
      return statistics;
    });
    return joinStatistics(parts);
  }

  noStatistics(): CodebookStatistics {
    return joinStatistics(this.books.map((book) => book.noStatistics()));
  }

  apply(statistics: QuantiserStatistics): number {
    return this.books.reduce((restarted, book, b) => {
      const part = (array: Float32Array) => {
        const size = array.length / this.codebooks;
        return array.subarray(b * size, (b + 1) * size);
      };
      const { counts, sums, candidates } = statistics as CodebookStatistics;
      return restarted + book.apply({ counts: part(counts), sums: part(sums), candidates: part(candidates) });
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

  /** The latents as they are compared with the codes. */
  private compared(latents: tf.Tensor2D): tf.Tensor2D {
    return this.cosine ? unitRows(latents) : latents;
  }

  /**
   * Codes [m * codebooks] and the sum of their embeddings [m, codeDim]. `each` gets what each codebook was given and the
   * embeddings that it chose.
   */
  private walk(latents: tf.Tensor2D, each?: (left: tf.Tensor2D, chosen: tf.Tensor2D) => void): Chosen {
    let sum: tf.Tensor2D | undefined;
    const codes: tf.Tensor1D[] = [];
    for (const book of this.books) {
      const left: tf.Tensor2D = sum ? tf.sub(latents, sum) : latents;
      const { codes: own, embeddings } = book.quantise(left);
      codes.push(own);
      each?.(left, embeddings);
      sum = sum ? tf.add(sum, embeddings) : embeddings;
    }
    return { codes: this.join(codes), embeddings: sum! };
  }

  /** Codes [m] of each codebook as one tensor [m * codebooks], codebook b's numbers from b * codes on. */
  private join(codes: readonly tf.Tensor1D[]): tf.Tensor1D {
    if (codes.length === 1) return codes[0]!;
    const parts = codes.map((chosen) => chosen.dataSync<'int32'>());
    const joined = new Int32Array(parts.length * parts[0]!.length);
    for (let i = 0; i < joined.length; i++) {
      const b = i % parts.length;
      joined[i] = parts[b]![Math.floor(i / parts.length)]! + b * this.options.codes;
    }
    return tf.tensor1d(joined, 'int32');
  }

  /** Codebook b's part of joined codes, numbered from 0. */
  private codesOf(joined: ArrayLike<number>, b: number): ArrayLike<number> {
    const { length } = this.books;
    if (length === 1) return joined;
    const first = b * this.options.codes;
    return Int32Array.from({ length: joined.length / length }, (_, i) => joined[i * length + b]! - first);
  }
}

function joinStatistics(parts: readonly CodebookStatistics[]): CodebookStatistics {
  if (parts.length === 1) return parts[0]!;
  const join = (name: 'counts' | 'sums' | 'candidates') => {
    const size = parts[0]![name].length;
    const joined = new Float32Array(parts.length * size);
    for (const [i, part] of parts.entries()) joined.set(part[name], i * size);
    return joined;
  };
  return { counts: join('counts'), sums: join('sums'), candidates: join('candidates') };
}

export const ema = quantiserKind({
  meaning: 'a codebook of moving averages',
  options: {
    ...shared,
    cosine: flag({
      default: false,
      meaning: 'Compare latents and codes by their angle, both at unit length.',
    }),
  },
  averagesLatents: true,
  create: (config) => new MovingAverageQuantiser(config, ['codebook']),
  tables: (_, state) => [state.get('codebook.embeddings')!.data],
  choose: (graph, rows, { cosine, codeDim }, tables) =>
    chooseNearest(graph, cosine ? unit(graph, rows) : rows, codeDim, tables),
});

const namesOf = (codebooks: number) => Array.from({ length: codebooks }, (_, b) => `codebook.${b}`);

export const residual = quantiserKind({
  meaning: 'several ema codebooks, each of what the ones before left over',
  options: {
    ...shared,
    codebooks: count({ default: 2, meaning: 'Codebooks in a row, of `codes` codes each.' }),
  },
  averagesLatents: true,
  codebooks: ({ codebooks }) => codebooks,
  create: (config) => new MovingAverageQuantiser(config, namesOf(config.codebooks)),
  tables: ({ codebooks }, state) => namesOf(codebooks).map((name) => state.get(`${name}.embeddings`)!.data),
  choose: (graph, rows, { codeDim }, tables) => chooseNearest(graph, rows, codeDim, tables),
});
