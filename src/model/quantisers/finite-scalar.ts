import * as tf from '@tensorflow/tfjs-core';
import { InvalidArgument } from '../../errors';
import { listOf, positive } from '../../setting';
import { roundStraightThrough } from './estimators';
import { type GraphBuilder, weightedSum } from './onnx';
import { type Chosen, CountingQuantiser, type Quantised, type Quantiser, quantiserKind } from './quantiser';

/** Lets the bound reach the outermost levels; from the paper's code. */
const EPSILON = 1e-3;

/**
 * Finite scalar quantisation (Mentzer et al., "Finite Scalar Quantization: VQ-VAE Made Simple", 2023): every channel
 * of a latent is bounded and rounded to one of a few levels, and a code is a combination of levels. Nothing is learnt
 * and nothing can collapse. What the decoder gets is scaled to [-1, 1].
 */
class FiniteScalarQuantiser extends CountingQuantiser implements Quantiser {
  private readonly basis: readonly number[];
  private readonly halfWidths: readonly number[];

  /** @param gain what latents are multiplied by first; 1 is the paper's */
  constructor(
    private readonly levels: readonly number[],
    private readonly gain: number,
  ) {
    super(product(levels));
    this.basis = basisOf(levels);
    this.halfWidths = levels.map((count) => Math.floor(count / 2));
  }

  quantise(latents: tf.Tensor2D): Chosen {
    return tf.tidy(() => this.choose(tf.round(this.bound(latents))));
  }

  forward(latents: tf.Tensor2D): Quantised {
    const chosen = this.choose(roundStraightThrough(this.bound(latents)));
    // Rounding moves a bounded latent by at most half a level, so there is nothing to commit to.
    return { ...chosen, commitment: tf.scalar(0), loss: tf.scalar(0) };
  }

  embed(codes: ArrayLike<number>): tf.Tensor2D {
    return tf.tensor2d(levelRows(codes, this.levels), [codes.length, this.levels.length]);
  }

  /** Latents [m, channels] where rounding gives each channel's levels, from -floor(levels / 2) on. */
  private bound(latents: tf.Tensor2D): tf.Tensor2D {
    const { scales, offsets, shifts } = boundsOf(this.levels);
    return tf.sub(
      tf.mul(tf.tanh(tf.add(tf.mul(latents, this.gain), tf.tensor1d(shifts))), tf.tensor1d(scales)),
      tf.tensor1d(offsets),
    );
  }

  private choose(rounded: tf.Tensor2D): Chosen {
    const halfWidths = tf.tensor1d([...this.halfWidths]);
    const numbers = tf.sum(tf.mul(tf.add(rounded, halfWidths), tf.tensor1d([...this.basis])), 1);
    return { codes: tf.cast(numbers, 'int32') as tf.Tensor1D, embeddings: tf.div(rounded, halfWidths) };
  }
}

/** What the decoder gets for codes, [codes.length * channels]. */
function levelRows(codes: ArrayLike<number>, levels: readonly number[]): Float32Array {
  const rows = new Float32Array(codes.length * levels.length);
  for (let i = 0; i < codes.length; i++) {
    let rest = codes[i]!;
    levels.forEach((count, channel) => {
      const half = Math.floor(count / 2);
      rows[i * levels.length + channel] = ((rest % count) - half) / half;
      rest = Math.floor(rest / count);
    });
  }
  return rows;
}

/** Per channel, latents z times the gain are bounded by tanh(z + shift) * scale - offset. Even counts of levels are off centre. */
function boundsOf(levels: readonly number[]): {
  scales: number[];
  offsets: number[];
  shifts: number[];
} {
  const scales = levels.map((count) => ((count - 1) * (1 + EPSILON)) / 2);
  const offsets = levels.map((count) => (count % 2 === 0 ? 0.5 : 0));
  return { scales, offsets, shifts: scales.map((scale, i) => Math.atanh(offsets[i]! / scale)) };
}

/** The fewest levels that the paper advises for a channel; the most levels and channels that `levelsFor` tries. */
const FEW = 5;
const MOST = 8;

/**
 * The levels whose product is nearest to `codes`, on the fewest channels. A channel has fewer than 5 levels only if the
 * product would otherwise be more than a fifth away.
 */
export function levelsFor(codes: number): number[] {
  const distance = (levels: readonly number[]) => Math.abs(Math.log(product(levels) / codes));
  const nearest = (least: number) =>
    combinations(codes, least).sort((a, b) => distance(a) - distance(b) || a.length - b.length)[0]!;
  const advised = nearest(FEW);
  return distance(advised) < Math.log(1.2) ? advised : nearest(2);
}

/** Lists of levels in falling order, each at least `least`, up to the first product above `codes`. */
function combinations(codes: number, least: number): number[][] {
  const found: number[][] = [];
  const extend = (levels: number[], product: number): void => {
    if (levels.length >= 2) found.push(levels);
    if (levels.length === MOST || product > codes) return;
    for (let count = levels.at(-1) ?? MOST; count >= least; count--)
      extend([...levels, count], product * count);
  };
  extend([], 1);
  return found;
}

function product(levels: readonly number[]): number {
  return levels.reduce((all, count) => all * count, 1);
}

/** How many codes further the next level of each channel is. */
function basisOf(levels: readonly number[]): number[] {
  return levels.map((_, i) => product(levels.slice(0, i)));
}

export const fsq = quantiserKind({
  meaning: 'finite scalar: each channel is rounded to one of a few levels',
  options: {
    levels: listOf(
      'a list of whole numbers, 2 or more',
      (count) => (Number.isSafeInteger(count) && (count as number) >= 2 ? (count as number) : undefined),
      { meaning: 'Levels of each channel: `codeDim` numbers whose product is `codes`.' },
    ),
    // With the paper's 1, few codes are in use after 500 steps on a chest CT (`bench quantisers`).
    gain: positive({
      default: 3,
      formerly: 1,
      meaning: 'What latents are multiplied by before they are bounded; the paper has 1.',
    }),
  },
  derive({ levels: wanted, codes }, given) {
    if (wanted !== undefined && !Array.isArray(wanted)) return {}; // refused when it is checked
    const levels: readonly number[] = wanted ?? levelsFor(codes);
    return {
      levels,
      codes: given.codes ?? product(levels),
      codeDim: given.codeDim ?? levels.length,
    };
  },
  check({ levels, codes, codeDim }) {
    if (levels.length !== codeDim)
      throw new InvalidArgument('model.levels', `${codeDim} numbers, as many as model.codeDim`, levels);
    if (product(levels) !== codes)
      throw new InvalidArgument('model.codes', `the product of model.levels (${product(levels)})`, codes);
  },
  create: ({ levels, gain }) => new FiniteScalarQuantiser(levels, gain),
  tables: ({ levels, codes }) => [levelRows([...Array(codes).keys()], levels)],
  choose: (graph, rows, { levels, gain }) => [chooseLevels(graph, rows, levels, gain)],
});

function chooseLevels(graph: GraphBuilder, rows: string, levels: readonly number[], gain: number): string {
  const { scales, offsets, shifts } = boundsOf(levels);
  const constant = (name: string, values: readonly number[]) =>
    graph.floats(`fsq.${name}`, [levels.length], Float32Array.from(values));
  const amplified = graph.node('Mul', [rows, graph.floats('fsq.gain', [], Float32Array.of(gain))]);
  const shifted = graph.node('Add', [amplified, constant('shifts', shifts)]);
  const scaled = graph.node('Mul', [graph.node('Tanh', [shifted]), constant('scales', scales)]);
  const rounded = graph.node('Round', [graph.node('Sub', [scaled, constant('offsets', offsets)])]);
  const halves = levels.map((count) => Math.floor(count / 2));
  const numbers = graph.node('Add', [rounded, constant('halves', halves)]);
  return weightedSum(graph, numbers, constant('basis', basisOf(levels)));
}
