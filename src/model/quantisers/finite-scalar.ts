import * as tf from '@tensorflow/tfjs-core';
import { CountingQuantiser } from './counting';
import { roundStraightThrough } from './estimators';
import type { Chosen, Quantised, Quantiser } from './quantiser';

/** Lets the bound reach the outermost levels; the value of the paper's code. */
const EPSILON = 1e-3;

/**
 * Finite scalar quantisation (Mentzer et al., "Finite Scalar Quantization: VQ-VAE Made Simple", 2023): every channel
 * of a latent is bounded and rounded to one of a few levels, and a code is a combination of levels. Nothing is learnt
 * and nothing can collapse. What the decoder gets is scaled to [-1, 1].
 */
export class FiniteScalarQuantiser extends CountingQuantiser implements Quantiser {
  /** How many codes further the next level of each channel is. */
  private readonly basis: readonly number[];
  private readonly halfWidths: readonly number[];

  /** @param gain what latents are multiplied by first; 1 is the paper's */
  constructor(
    private readonly levels: readonly number[],
    private readonly gain: number,
  ) {
    super(levels.reduce((product, count) => product * count, 1));
    this.basis = levels.map((_, i) => levels.slice(0, i).reduce((product, count) => product * count, 1));
    this.halfWidths = levels.map((count) => Math.floor(count / 2));
  }

  quantise(latents: tf.Tensor2D): Chosen {
    return tf.tidy(() => this.choose(tf.round(this.bound(latents))));
  }

  forward(latents: tf.Tensor2D): Quantised {
    const chosen = this.choose(roundStraightThrough(this.bound(latents)));
    // Rounding moves a bounded latent by half a level at most: there is nothing to commit to.
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
export function levelRows(codes: ArrayLike<number>, levels: readonly number[]): Float32Array {
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

/** Per channel: latents z, times the gain, are bounded by tanh(z + shift) * scale - offset. Even counts of levels are off centre. */
export function boundsOf(levels: readonly number[]): {
  scales: number[];
  offsets: number[];
  shifts: number[];
} {
  const scales = levels.map((count) => ((count - 1) * (1 + EPSILON)) / 2);
  const offsets = levels.map((count) => (count % 2 === 0 ? 0.5 : 0));
  return { scales, offsets, shifts: scales.map((scale, i) => Math.atanh(offsets[i]! / scale)) };
}

/** Levels of a channel, and channels, that `levelsFor` chooses from; the paper advises at least 5 levels. */
const FEW = 5;
const MOST = 8;

/**
 * Levels of which there are about so many combinations: those whose product is nearest, and of these those of the
 * fewest channels. Below 5 levels a channel only where the product would be more than a fifth away.
 */
export function levelsFor(codes: number): number[] {
  const distance = (levels: readonly number[]) =>
    Math.abs(Math.log(levels.reduce((product, count) => product * count, 1) / codes));
  const nearest = (least: number) =>
    combinations(codes, least).sort((a, b) => distance(a) - distance(b) || a.length - b.length)[0]!;
  const advised = nearest(FEW);
  return distance(advised) < Math.log(1.2) ? advised : nearest(2);
}

/** Levels in falling order, each at least so many, up to the first product above `codes`. */
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
