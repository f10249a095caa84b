/** Replacements for the gradient of quantisation, which is zero almost everywhere. */
import * as tf from '@tensorflow/tfjs-core';
import { straightThrough } from '../../compute/ops/ops';
import { withGradient } from '../../compute/ops/with-gradient';
import { oneOf } from '../../setting';

const estimatorNames = ['straight-through', 'rotation'] as const;

type Estimator = (typeof estimatorNames)[number];

export const estimator = oneOf(estimatorNames, {
  default: 'straight-through',
  meaning: 'The gradient that replaces that of quantisation, which is zero almost everywhere.',
});

/** Prevents a division by zero for latents of zero length. */
const TINY = 1e-6;

/** The value of `quantised` [m, d] with a gradient for the latents [m, d], none for the codes. */
export function estimate(latents: tf.Tensor2D, quantised: tf.Tensor2D, estimator: Estimator): tf.Tensor2D {
  return estimator === 'rotation' ? rotateTo(latents, quantised) : straightThrough(latents, quantised);
}

/**
 * The rotation trick (Fifty et al., "Restructuring Vector Quantization with the Rotation Trick", 2024, section 4.2):
 * the code is seen as the latent, rotated and scaled onto it by a constant matrix, so the angle between gradient and
 * code becomes that between gradient and latent. With unit vectors u of the latent and v of the code and
 * w = (u + v) / |u + v| the matrix is |code| / |latent| (I - 2 w w' + 2 v u'), and the gradient meets its transpose.
 */
export function rotateTo(latents: tf.Tensor2D, quantised: tf.Tensor2D): tf.Tensor2D {
  return withGradient(
    [latents, quantised],
    (z, q) => [tf.clone(q), z, q],
    (dy, z, q) => {
      const [u, from] = directions(z);
      const [v, to] = directions(q);
      const [w] = directions(tf.add(u, v));
      const dot = (a: tf.Tensor2D, b: tf.Tensor2D) => tf.sum(tf.mul(a, b), 1, true); // [m, 1]
      const turned = tf.add(tf.sub(dy, tf.mul(tf.mul(w, dot(w, dy)), 2)), tf.mul(tf.mul(u, dot(v, dy)), 2));
      return [tf.mul(turned, tf.div(to, from)), tf.zerosLike(q)];
    },
  );
}

/** Rounds to whole numbers, halves to even; the gradient passes unchanged. */
export function roundStraightThrough<T extends tf.Tensor>(x: T): T {
  return withGradient(
    [x],
    (x) => [tf.round(x)],
    (dy) => tf.clone(dy),
  );
}

/** Rows of unit length; the gradient flows. */
export function unitRows(x: tf.Tensor2D): tf.Tensor2D {
  const lengths = tf.sqrt(tf.maximum(tf.sum(tf.square(x), 1, true), TINY ** 2)); // [m, 1]
  return tf.div(x, lengths);
}

/** Unit vectors of rows, and their lengths [m, 1]. */
function directions(x: tf.Tensor2D): [tf.Tensor2D, tf.Tensor2D] {
  const lengths = tf.maximum(tf.sqrt(tf.sum(tf.square(x), 1, true)), TINY) as tf.Tensor2D;
  return [tf.div(x, lengths), lengths];
}
