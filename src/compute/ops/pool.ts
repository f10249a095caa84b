import * as tf from '@tensorflow/tfjs-core';
import { withGradient } from './with-gradient';

/**
 * Max pooling of 2 x 2 voxels in the plane, stride 2; an odd last row or column is dropped. Where voxels are equal the
 * gradient goes to the first of them, as in PyTorch.
 *
 * @param x [n, d, h, w, c]
 * @returns [n, d, floor(h / 2), floor(w / 2), c]
 */
export function maxPool(x: tf.Tensor5D): tf.Tensor5D {
  const [n, d, h, w, c] = x.shape;
  const [rows, columns] = [Math.floor(h / 2), Math.floor(w / 2)];
  return withGradient(
    [x],
    (x) => [tf.reshape(pooled(x).y, [n, d, rows, columns, c]) as tf.Tensor5D, x],
    (dy, x) => {
      const { top, bottom, left, right } = pooled(x);
      const flat = tf.reshape(dy, [n * d * rows, 1, columns * c]);
      // Up the same tree: to the upper of two rows, to the left of two columns, where they are equal.
      const upper = tf.cast(tf.greaterEqual(top, bottom), 'float32');
      const byRow = tf.concat([tf.mul(flat, upper), tf.mul(flat, tf.sub(1, upper))], 1);
      const byPair = tf.reshape(byRow, [n * d * rows * 2 * columns, 1, c]);
      const first = tf.cast(tf.greaterEqual(left, right), 'float32');
      const spread = tf.concat([tf.mul(byPair, first), tf.mul(byPair, tf.sub(1, first))], 1);
      const even = tf.reshape(spread, [n * d, rows * 2, columns * 2 * c]);
      const padded = tf.pad(even, [
        [0, 0],
        [0, h - 2 * rows],
        [0, (w - 2 * columns) * c],
      ]);
      return tf.reshape(padded, [n, d, h, w, c]);
    },
  );
}

/** The maxima and what they were chosen from: left and right of each pair, then top and bottom of each pair of those. */
function pooled(x: tf.Tensor5D) {
  const [n, d, h, w, c] = x.shape;
  const [rows, columns] = [Math.floor(h / 2), Math.floor(w / 2)];
  const flat = tf.reshape(x, [n * d, h, w * c]);
  const even = tf.slice(flat, [0, 0, 0], [n * d, rows * 2, columns * 2 * c]);
  const pairs = tf.reshape(even, [n * d * rows * 2 * columns, 2, c]);
  const [left, right] = halves(pairs);
  const byRow = tf.reshape(tf.maximum(left, right), [n * d * rows, 2, columns * c]);
  const [top, bottom] = halves(byRow);
  return { left, right, top, bottom, y: tf.maximum(top, bottom) };
}

/** [m, 2, k] as two tensors [m, 1, k]. */
function halves(x: tf.Tensor): [tf.Tensor, tf.Tensor] {
  const [m, , k] = x.shape as [number, number, number];
  return [tf.slice(x, [0, 0, 0], [m, 1, k]), tf.slice(x, [0, 1, 0], [m, 1, k])];
}
