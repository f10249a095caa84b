import * as tf from '@tensorflow/tfjs-core';
import { l1Loss, mse, stopGradient } from '../compute/ops';
import type { ModelConfig } from './config';

/** The generator's losses as scalars; `total` is the weighted sum that is minimised, the others are unweighted. */
export interface GeneratorLosses {
  readonly total: tf.Scalar;
  /** Mean absolute difference of patch and reconstruction. */
  readonly reconstruction: tf.Scalar;
  /** Mean squared distance of the latents to their codes; moves the encoder only. */
  readonly commitment: tf.Scalar;
}

/** x, y: [n, d, h, w, 1]; z and its codes q: [n, d', h', w', codeDim]. */
export function generatorLosses(
  x: tf.Tensor5D,
  y: tf.Tensor5D,
  z: tf.Tensor5D,
  q: tf.Tensor5D,
  config: ModelConfig,
): GeneratorLosses {
  const reconstruction = l1Loss(y, x);
  const commitment = mse(z, stopGradient(q));
  const total: tf.Scalar = tf.add(
    tf.mul(reconstruction, config.reconstruction),
    tf.mul(commitment, config.commitment),
  );
  return { total, reconstruction, commitment };
}
