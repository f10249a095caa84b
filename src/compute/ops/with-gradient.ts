import * as tf from '@tensorflow/tfjs-core';

/**
 * An op with a gradient of its own.
 *
 * @param forward its value, then what is kept for `backward`
 * @param backward the gradient of each input, from the value's gradient and what was kept
 */
export function withGradient<X extends tf.Tensor[], Y extends tf.Tensor, K extends tf.Tensor[]>(
  inputs: readonly [...X],
  forward: (...inputs: X) => readonly [value: Y, ...kept: K],
  backward: (dy: Y, ...kept: K) => tf.Tensor | tf.Tensor[],
): Y {
  return tf.customGrad((...given) => {
    const save = given.pop() as unknown as tf.GradSaveFunc;
    const [value, ...kept] = forward(...(given as unknown as X));
    save(kept);
    return {
      value,
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => backward(dy as Y, ...(saved as K)),
    };
  })(...inputs) as Y;
}
