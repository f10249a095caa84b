/** Adam on backends that update weights where they are: none of these numbers comes to JavaScript. Not on the tape. */
import type * as tf from '@tensorflow/tfjs-core';
import type { AdamStep } from '../contract/backend';
import { currentBackend, runKernel } from '../contract/registry';

/** The next weights and moments; frees none of the given ones. For a backend with an `optimiser`. */
export function adamStep(
  w: tf.Tensor,
  g: tf.Tensor,
  m: tf.Tensor,
  v: tf.Tensor,
  step: AdamStep,
): { w: tf.Tensor; m: tf.Tensor; v: tf.Tensor } {
  const [nextW, nextM, nextV] = runKernel('adam', { w, g, m, v }, step);
  return { w: nextW!, m: nextM!, v: nextV! };
}

/** The sum of the squares of all values of all tensors. For a backend with an `optimiser`. */
export function sumOfSquares(tensors: readonly tf.Tensor[]): number {
  return currentBackend().optimiser!.squares(tensors);
}
