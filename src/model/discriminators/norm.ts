import * as tf from '@tensorflow/tfjs-core';
import type { GroupNorm } from '../../compute/contract/backend';
import { channelSums, groupNormGradients } from '../../compute/ops/backward';
import { normWithStatistics } from '../../compute/ops/ops';
import type { Peers } from '../peers';

/** PyTorch's guards against a zero variance: BatchNorm's and GroupNorm's. */
const EPSILON = 1e-5;
/** Of GroupNorm: at most so many groups, of at least so many channels where there are as many. */
const MOST_GROUPS = 32;
const LEAST_CHANNELS = 4;

/** A normalisation of several tensors [n, d, h, w, c] at once, each for itself, forwards and backwards. */
export interface Norm {
  /** Undefined xs: this rank has nothing, and only takes part in what ranks do together. */
  forward(xs: readonly NormInput[] | undefined, peers: Peers): Promise<Normalised[]>;
  backward(dys: readonly NormGradient[] | undefined, peers: Peers): Promise<NormGradients[]>;
}

interface NormInput {
  readonly x: tf.Tensor5D;
  readonly gamma: tf.Tensor1D;
  readonly beta: tf.Tensor1D;
}

/** What the gradient needs of the way forwards. */
export interface NormMemory {
  readonly saved: readonly tf.Tensor[];
  readonly statistics?: Statistics;
}

interface Normalised extends NormMemory {
  readonly y: tf.Tensor5D;
}

/** Of a batch over all ranks, by channel. */
interface Statistics {
  readonly count: number;
  readonly mean: Float32Array;
  readonly scale: Float32Array;
}

interface NormGradient extends Omit<NormInput, 'x'>, NormMemory {
  readonly dy: tf.Tensor5D;
}

/** dgamma and dbeta are this rank's part: summed over ranks they are the global batch's. */
interface NormGradients {
  readonly dx: tf.Tensor5D;
  readonly dgamma: tf.Tensor1D;
  readonly dbeta: tf.Tensor1D;
}

/**
 * Batch normalisation over the global batch: ranks exchange their means and squared deviations, and on the way back
 * the two sums that the gradient has over the batch. N ranks then compute what one would of all their patches, in
 * value and gradient (PyTorch's SyncBatchNorm in training mode; there is no other mode here).
 */
export const batchNorm: Norm = {
  async forward(xs, peers) {
    const local = (xs ?? []).map(({ x }) => localStatistics(x));
    const gathered = await peers.gather(concat(local.flatMap(({ count, mean, m2 }) => [[count], mean, m2])));
    const reader = gathered.filter((part) => part.length > 0).map((part) => new Reader(part));
    return (xs ?? []).map(({ x, gamma, beta }) => {
      const statistics = combine(reader, x.shape[4]);
      const [y, normalised] = tf.tidy(() => {
        const rows = tf.reshape(x, [-1, x.shape[4]]);
        const centred = tf.sub(rows, tf.tensor1d(statistics.mean));
        const hat = tf.mul(centred, tf.tensor1d(statistics.scale));
        return [tf.reshape(tf.add(tf.mul(hat, gamma), beta), x.shape) as tf.Tensor5D, hat];
      });
      return { y, saved: [normalised], statistics };
    });
  },

  async backward(dys, peers) {
    const local = (dys ?? []).map(({ dy, saved }) =>
      tf.tidy(() => {
        const rows = tf.reshape(dy, [-1, dy.shape[4]]);
        return { dbeta: channelSums(rows), dgamma: channelSums(tf.mul(rows, saved[0]!)) };
      }),
    );
    const arrays = local.flatMap(({ dbeta, dgamma }) => [
      dbeta.dataSync<'float32'>(),
      dgamma.dataSync<'float32'>(),
    ]);
    const gathered = await peers.gather(concat(arrays));
    const reader = gathered.filter((part) => part.length > 0).map((part) => new Reader(part));
    return (dys ?? []).map(({ dy, gamma, saved, statistics }, i) => {
      const channels = dy.shape[4];
      const { count, scale } = statistics!;
      const [sum, product] = [addUp(reader, channels), addUp(reader, channels)];
      const dx = tf.tidy(() => {
        const rows = tf.reshape(dy, [-1, channels]);
        const mean = tf.tensor1d(sum.map((value) => value / count));
        const along = tf.mul(saved[0]!, tf.tensor1d(product.map((value) => value / count)));
        const inner = tf.sub(tf.sub(rows, mean), along);
        return tf.reshape(tf.mul(inner, tf.mul(gamma, tf.tensor1d(scale))), dy.shape) as tf.Tensor5D;
      });
      return { dx, ...local[i]! };
    });
  },
};

/** Group normalisation of every patch for itself: no rank needs to know of another. */
export const groupNorm: Norm = {
  async forward(xs) {
    return (xs ?? []).map(({ x, gamma, beta }) => {
      const [y, ...statistics] = normWithStatistics(x, gamma, beta, normOf(x.shape[4]));
      return { y, saved: [tf.clone(x), ...statistics] };
    });
  },

  async backward(dys) {
    return (dys ?? []).map(({ dy, gamma, beta, saved }) => {
      const [x, mean, scale] = saved as [tf.Tensor, tf.Tensor, tf.Tensor];
      return groupNormGradients(dy, x, gamma, beta, mean, scale, normOf(dy.shape[4]));
    });
  },
};

/** As many groups as a power of two allows that divides the channels. */
function normOf(channels: number): GroupNorm {
  let groups = MOST_GROUPS;
  while (groups > 1 && (channels % groups !== 0 || channels / groups < LEAST_CHANNELS)) groups /= 2;
  return { groups, eps: EPSILON, silu: false };
}

/** Voxels, their mean and the sum of squared deviations from it, by channel. */
function localStatistics(x: tf.Tensor5D): { count: number; mean: Float32Array; m2: Float32Array } {
  const count = x.size / x.shape[4];
  const [mean, m2] = tf.tidy(() => {
    const rows = tf.reshape(x, [-1, x.shape[4]]);
    const centre = tf.div(channelSums(rows), count);
    return [centre, channelSums(tf.square(tf.sub(rows, centre)))] as const;
  });
  const read = { count, mean: mean.dataSync<'float32'>().slice(), m2: m2.dataSync<'float32'>().slice() };
  tf.dispose([mean, m2]);
  return read;
}

/** Statistics of parts to those of the whole (Chan, Golub & LeVeque, 1979), in double precision and rank order. */
function combine(parts: readonly Reader[], channels: number): Statistics {
  const read = parts.map((part) => ({
    count: part.take(1)[0]!,
    mean: part.take(channels),
    m2: part.take(channels),
  }));
  const count = read.reduce((sum, part) => sum + part.count, 0);
  const mean = new Float32Array(channels);
  const scale = new Float32Array(channels);
  for (let c = 0; c < channels; c++) {
    const centre = read.reduce((sum, part) => sum + part.count * part.mean[c]!, 0) / count;
    const squares = read.reduce(
      (sum, part) => sum + part.m2[c]! + part.count * (part.mean[c]! - centre) ** 2,
      0,
    );
    mean[c] = centre;
    scale[c] = 1 / Math.sqrt(squares / count + EPSILON);
  }
  return { count, mean, scale };
}

function addUp(parts: readonly Reader[], channels: number): Float32Array {
  const taken = parts.map((part) => part.take(channels));
  return Float32Array.from({ length: channels }, (_, c) => taken.reduce((sum, part) => sum + part[c]!, 0));
}

/** Takes what one rank sent apart, from front to back. */
class Reader {
  private at = 0;
  constructor(private readonly values: Float32Array) {}

  take(count: number): Float32Array {
    this.at += count;
    return this.values.subarray(this.at - count, this.at);
  }
}

function concat(arrays: readonly ArrayLike<number>[]): Float32Array {
  const all = new Float32Array(arrays.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const array of arrays) {
    all.set(array, at);
    at += array.length;
  }
  return all;
}
