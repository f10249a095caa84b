import * as tf from '@tensorflow/tfjs-core';
import { gatherCodes, nearestCode } from '../compute/ops/ops';
import { sumsByCode } from '../compute/ops/sums-by-code';
import { InvalidArgument } from '../errors';
import { Random } from '../random';
import type { StoredTensor } from '../safetensors';
import type { QuantiserStatistics, RowRange } from './quantisers/quantiser';
import { drawRows, toUnitRows } from './rows';

/** What ranks sum over all of them before `apply`: plain sums, so any number of ranks gives the same codebook. */
export interface CodebookStatistics extends QuantiserStatistics {
  /** Latents per code, [codes]. */
  readonly counts: Float32Array;
  /** Sum of the latents of each code, [codes * codeDim]. */
  readonly sums: Float32Array;
  /** For every code the latent it would restart from, on the rank that owns it; zero on the others. */
  readonly candidates: Float32Array;
}

interface CodebookOptions {
  readonly codes: number;
  readonly codeDim: number;
  readonly decay: number;
  /** A share of the latents that a code gets where all are chosen alike. */
  readonly restartBelow: number;
  /** Codes of unit length, which latents of unit length are to be compared with; default false. */
  readonly cosine?: boolean;
  /** What the names of its state start with; default `codebook`. */
  readonly name?: string;
}

/** Keeps a code that no latent has chosen from dividing by zero (the value of the original implementation). */
const SMOOTHING = 1e-7;

/**
 * The vector-quantisation codebook, learnt by exponential moving averages (van den Oord et al., "Neural Discrete
 * Representation Learning", 2017, appendix A.1): each code is the average of the latents that chose it. A code
 * that is hardly chosen is dead and restarts from a latent of the current global batch.
 *
 * A restarted code gets a count of twice the threshold, at least 1: unchosen it lives for half a life of the averages.
 * The original redraws a dead code in every step until its count has grown to the threshold.
 *
 * `statistics` and `initialisation` give what one rank adds to a sum over all ranks; `apply` and `initialise` take
 * the sum, and leave bit-identical codebooks wherever the sum is: they run in plain arrays, in one fixed order.
 */
export class Codebook {
  readonly codes: number;
  readonly codeDim: number;
  private readonly name: string;
  private embedding: Float32Array; // [codes * codeDim]
  private counts: Float32Array; // moving average of latents per code, [codes]
  private sums: Float32Array; // moving average of the sum of those latents, [codes * codeDim]
  private ready = false;
  private tensor: tf.Tensor2D | undefined;

  constructor(private readonly options: CodebookOptions) {
    const { codes, codeDim, name = 'codebook' } = options;
    this.codes = codes;
    this.codeDim = codeDim;
    this.name = name;
    this.embedding = new Float32Array(codes * codeDim);
    this.counts = new Float32Array(codes);
    this.sums = new Float32Array(codes * codeDim);
  }

  /** Whether the codes have been set, from latents or from a saved state. Until then nothing can be quantised. */
  get initialised(): boolean {
    return this.ready;
  }

  /** Nearest code of each latent [m, codeDim] as int32 [m], and those codes' embeddings [m, codeDim]. */
  quantise(latents: tf.Tensor2D): { codes: tf.Tensor1D; embeddings: tf.Tensor2D } {
    if (!this.ready)
      throw new InvalidArgument('codebook', 'codes initialised from latents or loaded', 'neither');
    this.tensor ??= tf.keep(tf.tensor2d(this.embedding, [this.codes, this.codeDim]));
    const codes = nearestCode(latents, this.tensor);
    return { codes, embeddings: gatherCodes(this.tensor, codes) };
  }

  /** The embeddings of codes, [m, codeDim]. */
  embed(codes: ArrayLike<number>): tf.Tensor2D {
    const { codeDim } = this;
    const rows = new Float32Array(codes.length * codeDim);
    for (let i = 0; i < codes.length; i++)
      rows.set(this.embedding.subarray(codes[i]! * codeDim, (codes[i]! + 1) * codeDim), i * codeDim);
    return tf.tensor2d(rows, [codes.length, codeDim]);
  }

  /** What this rank's latents [m, codeDim] and their codes, int32 [m], add to the sum that `apply` takes. */
  statistics(
    latents: tf.Tensor2D,
    codes: tf.Tensor1D,
    rows: RowRange & { readonly step: number },
  ): CodebookStatistics {
    const { counts, sums } = sumsByCode(latents, codes, this.codes);
    const random = new Random(rows.seed, `${this.name} restart`, rows.step);
    const candidates =
      this.options.restartBelow > 0
        ? drawRows(latents, this.codes, rows, random)
        : new Float32Array(this.codes * this.codeDim);
    return { counts, sums, candidates };
  }

  /** What a rank without latents adds. */
  noStatistics(): CodebookStatistics {
    const size = this.codes * this.codeDim;
    return {
      counts: new Float32Array(this.codes),
      sums: new Float32Array(size),
      candidates: new Float32Array(size),
    };
  }

  /**
   * Moves the averages by one step's statistics, summed over all ranks, then restarts the dead codes.
   * @returns how many codes restarted
   */
  apply({ counts, sums, candidates }: CodebookStatistics): number {
    const { codeDim } = this;
    const { decay } = this.options;
    for (let code = 0; code < this.codes; code++) {
      this.counts[code] = decay * this.counts[code]! + (1 - decay) * counts[code]!;
      for (let i = code * codeDim; i < (code + 1) * codeDim; i++)
        this.sums[i] = decay * this.sums[i]! + (1 - decay) * sums[i]!;
    }
    const threshold = this.threshold(counts.reduce((sum, count) => sum + count, 0));
    const total = this.counts.reduce((sum, count) => sum + count, 0);
    let restarted = 0;
    for (let code = 0; code < this.codes; code++) {
      if (this.counts[code]! < threshold) {
        this.restart(code, candidates, Math.max(1, 2 * threshold));
        restarted++;
        continue;
      }
      const count = ((this.counts[code]! + SMOOTHING) / (total + this.codes * SMOOTHING)) * total;
      for (let i = code * codeDim; i < (code + 1) * codeDim; i++) this.embedding[i] = this.sums[i]! / count;
    }
    if (this.options.cosine) toUnitRows(this.embedding, codeDim);
    this.changed();
    return restarted;
  }

  /** The count below which a code is dead, in a step of so many latents over all ranks. */
  threshold(latents: number): number {
    return (this.options.restartBelow * latents) / this.codes;
  }

  /** The rows this rank owns of the latents the codes start from; zero elsewhere. Sum over ranks, then `initialise`. */
  initialisation(latents: tf.Tensor2D, rows: RowRange): Float32Array {
    const random = new Random(rows.seed, `${this.name} initialisation`);
    return drawRows(latents, this.codes, rows, random);
  }

  /** Starts every code from the summed `initialisation`, as if so many latents had chosen it; one by default. */
  initialise(embedding: Float32Array, counts = new Float32Array(this.codes).fill(1)): void {
    this.embedding = embedding.slice();
    if (this.options.cosine) toUnitRows(this.embedding, this.codeDim);
    this.counts = counts.slice();
    this.sums = this.embedding.map((value, i) => value * counts[Math.floor(i / this.codeDim)]!);
    this.ready = true;
    this.changed();
  }

  /** Everything a resumed run needs, by PyTorch's buffer names and the flag its checkpoints lack. */
  state(): Map<string, StoredTensor> {
    return new Map([
      [`${this.name}.embeddings`, { shape: [this.codes, this.codeDim], data: this.embedding.slice() }],
      [`${this.name}.N`, { shape: [this.codes], data: this.counts.slice() }],
      [`${this.name}.z_avg`, { shape: [this.codes, this.codeDim], data: this.sums.slice() }],
      [`${this.name}.initialised`, { shape: [1], data: new Float32Array([this.ready ? 1 : 0]) }],
    ]);
  }

  /** Takes a state of the same sizes, already checked by the model. */
  load(state: ReadonlyMap<string, StoredTensor>): void {
    this.embedding = state.get(`${this.name}.embeddings`)!.data.slice();
    this.counts = state.get(`${this.name}.N`)!.data.slice();
    this.sums = state.get(`${this.name}.z_avg`)!.data.slice();
    this.ready = state.get(`${this.name}.initialised`)!.data[0] === 1;
    this.changed();
  }

  dispose(): void {
    this.changed();
  }

  /**
   * Count and sum restart with the code: kept, they would pull it back and declare it dead again at the next step.
   */
  private restart(code: number, candidates: Float32Array, count: number): void {
    this.counts[code] = count;
    for (let i = code * this.codeDim; i < (code + 1) * this.codeDim; i++) {
      this.embedding[i] = candidates[i]!;
      this.sums[i] = candidates[i]! * count;
    }
  }

  /** Drops the tensor copy of the embedding; `quantise` makes another. */
  private changed(): void {
    this.tensor?.dispose();
    this.tensor = undefined;
  }
}

/** How many codes are in effective use: exp of the entropy of the code frequencies; 1 to the codebook's size. */
export function perplexity(counts: ArrayLike<number>): number {
  const total = Array.from(counts).reduce((sum, count) => sum + count, 0);
  let entropy = 0;
  for (let code = 0; code < counts.length; code++) {
    const frequency = counts[code]! / total;
    if (frequency > 0) entropy -= frequency * Math.log(frequency);
  }
  return Math.exp(entropy);
}

/** Fraction of the codes that were chosen at all; `counts` has one for each code. */
export function usage(counts: ArrayLike<number>): number {
  return Array.from(counts).filter((count) => count > 0).length / counts.length;
}
