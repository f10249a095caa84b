import * as tf from '@tensorflow/tfjs-core';
import { record } from './tape';

/**
 * f(x), of which only x and the weights are kept: the backward pass computes f again. It costs another forward pass of f
 * and saves the memory of all that f would have kept.
 *
 * @param weights every variable that f uses and gradients are wanted of
 */
export function checkpoint<T extends tf.Tensor>(
  f: (x: T) => tf.Tensor,
  x: T,
  weights: readonly tf.Tensor[],
): tf.Tensor {
  return tf.customGrad((...inputs) => {
    const save = inputs.at(-1) as unknown as tf.GradSaveFunc;
    save([inputs[0] as tf.Tensor]);
    return {
      value: f(inputs[0] as T),
      gradFunc: (dy: tf.Tensor, [saved]: tf.Tensor[]) => {
        // This step frees what it saved itself; the outermost step frees the rest.
        const { outputs, backward } = record(() => [f(saved as T)], [saved!, ...weights]);
        const gradients = backward([dy]);
        tf.dispose([...outputs]);
        return gradients;
      },
    };
  })(x, ...weights);
}
