/** Slices of patches, and what is done with a slice's gradient: plain functions, not on the tape. */
import * as tf from '@tensorflow/tfjs-core';
import { InvalidArgument } from '../../errors';

/** Of [n, d, h, w, c]: 0 is depth (z), 1 height (y), 2 width (x). */
export type SliceAxis = 0 | 1 | 2;

/**
 * One slice of every patch x [n, d, h, w, c], across `axis` at `indices[patch]`: [n, 1, a, b, c], where a and b are the
 * other two axes in their order.
 */
export function takeSlices(x: tf.Tensor5D, axis: SliceAxis, indices: readonly number[]): tf.Tensor5D {
  const { outer, size, inner, sliced } = folded(x.shape, axis, indices);
  return tf.tidy(() => {
    const flat = tf.reshape(x, [x.shape[0] * outer, size, inner]);
    const parts = indices.map((at, i) => tf.slice(flat, [i * outer, at, 0], [outer, 1, inner]));
    return tf.reshape(parts.length === 1 ? parts[0]! : tf.concat(parts, 0), sliced) as tf.Tensor5D;
  });
}

/** The gradient of `takeSlices` with respect to its x of `shape`: zero but for the slices, which are `dy`. */
export function putSlices(
  dy: tf.Tensor5D,
  shape: readonly [number, number, number, number, number],
  axis: SliceAxis,
  indices: readonly number[],
): tf.Tensor5D {
  const { outer, size, inner } = folded(shape, axis, indices);
  return tf.tidy(() => {
    const flat = tf.reshape(dy, [shape[0] * outer, 1, inner]);
    const parts = indices.map((at, i) => {
      const part = tf.slice(flat, [i * outer, 0, 0], [outer, 1, inner]);
      return tf.pad(part, [
        [0, 0],
        [at, size - 1 - at],
        [0, 0],
      ]);
    });
    return tf.reshape(parts.length === 1 ? parts[0]! : tf.concat(parts, 0), [...shape]) as tf.Tensor5D;
  });
}

/** A patch as [outer, size, inner] around the sliced axis. */
function folded(
  shape: readonly [number, number, number, number, number],
  axis: SliceAxis,
  indices: readonly number[],
) {
  const [n, d, h, w, c] = shape;
  const size = shape[axis + 1]!;
  if (indices.length !== n || indices.some((at) => !Number.isInteger(at) || at < 0 || at >= size))
    throw new InvalidArgument('indices', `a slice from 0 to ${size - 1} of each of ${n} patches`, indices);
  const outer = [1, d, d * h][axis]!;
  const inner = [h * w * c, w * c, c][axis]!;
  const [a, b] = [d, h, w].filter((_, i) => i !== axis) as [number, number];
  const sliced: [number, number, number, number, number] = [n, 1, a, b, c];
  return { outer, size, inner, sliced };
}
