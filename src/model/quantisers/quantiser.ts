import type * as tf from '@tensorflow/tfjs-core';
import type { StoredTensor } from '../../safetensors';
import type { ConfigOf, Settings } from '../../setting';
import type { WeightShape, Weights } from '../weights';
import type { CodeTable, GraphBuilder } from './onnx';

/** This rank's rows of the global batch's latents: [offset, offset + m) of `total`. */
export interface RowRange {
  readonly offset: number;
  readonly total: number;
  readonly seed: number;
}

/**
 * What the ranks sum before `apply`. The sums are plain, so any number of ranks gives the same codes. `counts` holds the
 * number of latents that chose each code, [size].
 */
export interface QuantiserStatistics {
  readonly counts: Float32Array;
  readonly [name: string]: Float32Array;
}

/** Sums arrays over all ranks, in place. Every rank must make the same calls, with arrays of the same lengths. */
export type SumOverRanks = (arrays: Float32Array[]) => Promise<void>;

/** The latents of the patches of one step on all ranks. */
export interface GlobalBatch {
  /** Computes this rank's latents [m, codeDim], the caller's to dispose; undefined for a rank without patches. */
  readonly latents: (() => Promise<tf.Tensor2D>) | undefined;
  /** Their rows among those of all ranks. */
  readonly rows: RowRange;
  /** Whether one rank takes the whole batch in one pass. */
  readonly onePass: boolean;
  /** The model's, equal on all ranks; a quantiser whose weights start from the latents sets its own. */
  readonly weights: Weights;
  readonly sum: SumOverRanks;
}

/** The codes of latents and what the decoder gets for them. */
export type Chosen = {
  /** int32 [m * codebooks], row by row: numbers in [0, size). */
  readonly codes: tf.Tensor1D;
  /** [m, codeDim] */
  readonly embeddings: tf.Tensor2D;
};

/** The same on the tape, with a gradient for the latents (`estimators.ts`) and the losses. */
export type Quantised = Chosen & {
  /** The quantiser's own losses, weighted and summed. */
  readonly loss: tf.Scalar;
  /** Mean squared distance of the latents to their codes, unweighted. */
  readonly commitment: tf.Scalar;
};

/**
 * Stands between encoder and decoder and replaces every latent by one of finitely many vectors.
 *
 * A training step calls, on every rank, `prepare`, then `forward` inside the gradient, `statistics`, and `apply` with
 * the statistics summed over all ranks. What gradients train is among the model's weights and is passed in. What is
 * learnt in other ways is the quantiser's state, bit-identical on all ranks.
 */
export interface Quantiser {
  /** Distinct codes over all codebooks: the length of `counts`. Codebook b's codes are [b * codes, (b + 1) * codes). */
  readonly size: number;
  /** Codes of one latent; above 1 only for `residual`. */
  readonly codebooks: number;
  /** Whether the codes have been set. Until then nothing can be quantised. */
  readonly initialised: boolean;

  /**
   * All ranks call it before the gradients of every step. It starts the codes from the latents of the first global
   * batch, or collects what the loss needs of the global batch.
   */
  prepare(batch: GlobalBatch): Promise<void>;

  /** Codes of latents [m, codeDim], without gradients. */
  quantise(latents: tf.Tensor2D, weights: Weights): Chosen;

  /** The same for training. */
  forward(latents: tf.Tensor2D, weights: Weights): Quantised;

  /** What the decoder gets for codes [m * codebooks], as [m, codeDim]. */
  embed(codes: ArrayLike<number>, weights: Weights): tf.Tensor2D;

  /** What this rank's latents [m, codeDim] and their codes add to the sum that `apply` takes. */
  statistics(
    latents: tf.Tensor2D,
    codes: tf.Tensor1D,
    rows: RowRange & { readonly step: number },
  ): QuantiserStatistics;

  /** What a rank without patches adds. */
  noStatistics(): QuantiserStatistics;

  /**
   * Ends a step: learns from its statistics, summed over all ranks.
   * @returns how many dead codes restarted; undefined where codes do not die
   */
  apply(statistics: QuantiserStatistics): number | undefined;

  /** What a checkpoint needs beside the weights, by name. Copies. */
  state(): Map<string, StoredTensor>;

  /** Takes a state of the same sizes, already checked by the model. */
  load(state: ReadonlyMap<string, StoredTensor>): void;

  /** Frees what it keeps on the backend. */
  dispose(): void;
}

/** How often each of `size` codes was chosen. */
export function countCodes(codes: ArrayLike<number>, size: number): Float32Array {
  const counts = new Float32Array(size);
  for (let i = 0; i < codes.length; i++) counts[codes[i]!]!++;
  return counts;
}

/** Shared by quantisers whose codes are fixed or learnt by gradients: their statistics are counts only. */
export abstract class CountingQuantiser {
  readonly codebooks = 1;

  constructor(readonly size: number) {}

  get initialised(): boolean {
    return true;
  }

  async prepare(_batch: GlobalBatch): Promise<void> {}

  statistics(_latents: tf.Tensor2D, codes: tf.Tensor1D): QuantiserStatistics {
    return { counts: countCodes(codes.dataSync<'int32'>(), this.size) };
  }

  noStatistics(): QuantiserStatistics {
    return { counts: new Float32Array(this.size) };
  }

  apply(_statistics: QuantiserStatistics): undefined {}

  state(): Map<string, StoredTensor> {
    return new Map();
  }

  load(_state: ReadonlyMap<string, StoredTensor>): void {}

  dispose(): void {}
}

/** What a quantiser needs to know of the model: settings of `ModelConfig`. */
export type CodeSizes = {
  readonly codes: number;
  readonly codeDim: number;
  readonly commitment: number;
  readonly decay: number;
  readonly restartBelow: number;
};

/**
 * A kind of quantiser: everything that the rest of the project knows about it. Each kind has a file of its own and one
 * entry in `registry.ts`.
 */
export interface QuantiserKind<S extends Settings = Settings> {
  /** A phrase for the help. */
  readonly meaning: string;
  /** Settings of this kind, below `model`. */
  readonly options: S;
  /** Its codes are averages of the latents that choose them, so most learn nothing in a step with few latents. */
  readonly averagesLatents?: boolean;

  /** What follows from the other settings, where the user has not set it. */
  derive?(config: CodeSizes & Partial<ConfigOf<S>>, given: Partial<CodeSizes>): Partial<CodeSizes> & object;

  /** @throws InvalidArgument where settings do not go together */
  check?(config: CodeSizes & ConfigOf<S>): void;

  /** Codebooks in a row; default 1. */
  codebooks?(options: ConfigOf<S>): number;

  /** What it learns by gradients. */
  weights?(sizes: CodeSizes): WeightShape[];

  /** @param seed the model's */
  create(config: CodeSizes & ConfigOf<S>, seed: number): Quantiser;

  /** The vector of every code, [codes * codeDim], of each codebook, from a model's state alone. */
  tables(config: CodeSizes & ConfigOf<S>, state: ReadonlyMap<string, StoredTensor>): Float32Array[];

  /**
   * Adds the ONNX nodes that choose codes.
   * @param rows latents [n, d, h, w, codeDim]
   * @returns the codes [n, d, h, w] of each codebook, from 0
   */
  choose(
    graph: GraphBuilder,
    rows: string,
    config: CodeSizes & ConfigOf<S>,
    tables: readonly CodeTable[],
  ): string[];
}

/** Keeps the types of a kind's options. */
export function quantiserKind<S extends Settings>(kind: QuantiserKind<S>): QuantiserKind<S> {
  return kind;
}
