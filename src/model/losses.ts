import * as tf from '@tensorflow/tfjs-core';

/** A loss of the reconstruction, and its gradient there. */
interface ReconstructionLoss {
  /** Unweighted. */
  readonly value: number;
  /** Of `weight` times the loss with respect to the reconstruction; the caller's to dispose. */
  readonly gradient: tf.Tensor5D;
}

/** Mean absolute difference of the reconstruction y to the patches x, both [n, d, h, w, 1]. */
export function l1Reconstruction(x: tf.Tensor5D, y: tf.Tensor5D, weight: number): ReconstructionLoss {
  const [mean, gradient] = tf.tidy(() => {
    const difference = tf.sub(y, x);
    return [
      tf.mean(tf.abs(difference)),
      tf.mul(tf.sign(difference), weight / y.size) as tf.Tensor5D,
    ] as const;
  });
  const value = mean.dataSync()[0]!;
  mean.dispose();
  return { value, gradient };
}
