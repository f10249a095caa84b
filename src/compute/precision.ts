import * as tf from '@tensorflow/tfjs-core';
import { UnavailableBackend } from '../errors';
import { LibtorchTensors } from './libtorch/tensors';

/** What activations of convolutions and norms are stored in. */
export const precisions = ['float32', 'bf16'] as const;
export type Precision = (typeof precisions)[number];

/**
 * Sets what the current backend stores activations in from now on. With `bf16` they take half the memory; weights, norm
 * statistics, the optimiser, latents and losses stay float32, and so do tensors to whoever reads them.
 *
 * @throws UnavailableBackend for `bf16` on another backend than `libtorch`.
 */
export function storeActivationsIn(precision: Precision): void {
  const backend = tf.backend();
  if (backend instanceof LibtorchTensors) {
    backend.addon.halfStorage(precision === 'bf16');
  } else if (precision === 'bf16') {
    const cure = 'Use precision float32, or backend libtorch (`npx patchwise backend build libtorch`)';
    throw new UnavailableBackend(tf.getBackend(), 'it has no bf16', cure);
  }
}
