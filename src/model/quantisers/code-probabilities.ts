/**
 * Soft probabilities of the 2^d sign codes for latents [m, d]: a softmax over the codes of <z, code> * 2 / temperature.
 * Its bits are independent, each with probability sigmoid(4 z / temperature). No array of size [m, 2^d] is kept.
 */
import * as tf from '@tensorflow/tfjs-core';
import { withGradient } from '../../compute/ops/with-gradient';

/** The most probabilities in memory at once. */
const CHUNK = 2 ** 21;

/** Codes as rows of 1 and -1, [codes.length * d], the first channel being the highest bit. */
export function signRows(codes: ArrayLike<number>, width: number): Float32Array {
  const rows = new Float32Array(codes.length * width);
  for (let i = 0; i < rows.length; i++)
    rows[i] = (codes[Math.floor(i / width)]! >> (width - 1 - (i % width))) & 1 ? 1 : -1;
  return rows;
}

/** All codes, [2^d, d]. */
function signTable(width: number): tf.Tensor2D {
  const codes = Array.from({ length: 2 ** width }, (_, code) => code);
  return tf.tensor2d(signRows(codes, width), [codes.length, width]);
}

/**
 * Mean over the latents of each code's probability, [2^d], computed some rows at a time, and again for the gradient:
 * d mean(p_k) / dz = p_k (code_k - sum_j p_j code_j) * 2 / (m * temperature).
 */
export function averageCodeProbabilities(latents: tf.Tensor2D, temperature: number): tf.Tensor1D {
  return withGradient(
    [latents],
    (z) => {
      const average = tf.tidy(() => {
        const codes = signTable(z.shape[1]);
        const sums = chunks(z, (rows) => tf.sum(probabilities(rows, codes, temperature), 0) as tf.Tensor1D);
        const sum = sums.reduce((total, part) => tf.add(total, part));
        return tf.div(sum, z.shape[0]) as tf.Tensor1D;
      });
      return [average, z];
    },
    (dy, z) => {
      const codes = signTable(z.shape[1]);
      const parts = chunks(z, (rows) => {
        const p = probabilities(rows, codes, temperature); // [rows, 2^d]
        const weighted = tf.mul(p, dy) as tf.Tensor2D;
        const mean = tf.mul(tf.sum(weighted, 1, true), tf.matMul(p, codes));
        return tf.sub(tf.matMul(weighted, codes), mean) as tf.Tensor2D; // [rows, d]
      });
      return tf.mul(tf.concat(parts, 0), 2 / (temperature * z.shape[0]));
    },
  );
}

/** Mean over the latents of the entropy of their code: the sum of the bits' entropies, without any code. */
export function averageEntropy(latents: tf.Tensor2D, temperature: number): tf.Scalar {
  const scale = 4 / temperature;
  return withGradient(
    [latents],
    // With a = |scale z| and s = sigmoid(-a) a bit's entropy is log(1 + exp(-a)) + a s.
    (z) => {
      const mean = tf.tidy(() => {
        const a = tf.abs(tf.mul(z, scale));
        const entropy = tf.add(tf.log1p(tf.exp(tf.neg(a))), tf.mul(a, tf.sigmoid(tf.neg(a))));
        return tf.div<tf.Scalar>(tf.sum(entropy), z.shape[0]);
      });
      return [mean, z];
    },
    // Its derivative by a is -a s (1 - s).
    (dy, z) => {
      const a = tf.mul(z, scale);
      const s = tf.sigmoid(a);
      const slope = tf.neg(tf.mul(a, tf.mul(s, tf.sub(1, s))));
      return tf.mul(slope, tf.mul(dy, scale / z.shape[0]));
    },
  );
}

/** Softmax over the codes, [rows, 2^d]. */
function probabilities(rows: tf.Tensor2D, codes: tf.Tensor2D, temperature: number): tf.Tensor2D {
  const logits = tf.mul(tf.matMul(rows, codes, false, true), 2 / temperature);
  // The code of the signs has the largest logit, so no maximum over the codes is needed.
  const largest = tf.mul(tf.sum(tf.abs(rows), 1, true), 2 / temperature);
  const powers = tf.exp(tf.sub(logits, largest));
  return tf.div(powers, tf.sum(powers, 1, true));
}

function chunks<T extends tf.Tensor>(z: tf.Tensor2D, compute: (rows: tf.Tensor2D) => T): T[] {
  const [m, width] = z.shape;
  const size = Math.max(1, Math.floor(CHUNK / 2 ** width));
  return Array.from({ length: Math.ceil(m / size) }, (_, i) =>
    tf.tidy(() => compute(tf.slice(z, [i * size, 0], [Math.min(size, m - i * size), width]))),
  );
}
