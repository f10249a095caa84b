import * as tf from '@tensorflow/tfjs-core';
import { UnavailableBackend } from '../errors';
import { cudnnName } from './libtorch/backend';
import { LibtorchTensors } from './libtorch/tensors';

/** What activations of convolutions and norms are stored in. */
export const precisions = ['float32', 'bf16'] as const;
export type Precision = (typeof precisions)[number];

/**
 * Why 3D convolutions in bf16 cannot be trusted on GPUs with these versions; undefined where they can. cuDNN 9.8 to 9.14
 * computes wrong values on large volumes (pytorch#163539); PyTorch 2.9.0 avoids cuDNN for them altogether, which takes
 * 4 times as long and up to 17 times the memory (pytorch#166643).
 */
export function bf16Problem(torch: string, cudnn: number): string | undefined {
  if (torch.startsWith('2.9.0')) return `PyTorch ${torch} computes 3D convolutions in bf16 without cuDNN`;
  if (cudnn >= 90_800 && cudnn < 91_500)
    return `cuDNN ${cudnnName(cudnn)} computes wrong 3D convolutions in bf16 on large volumes`;
  return undefined;
}

/**
 * Sets what the current backend stores activations in from now on. With `bf16` they take half the memory; weights, norm
 * statistics, the optimiser, latents and losses stay float32, and so do tensors to whoever reads them.
 *
 * @throws UnavailableBackend for `bf16` on another backend than `libtorch`.
 */
export function storeActivationsIn(precision: Precision): void {
  const backend = tf.backend();
  if (backend instanceof LibtorchTensors) {
    const { addon } = backend;
    const problem =
      precision === 'bf16' && addon.gpus() > 0 ? bf16Problem(addon.version, addon.cudnn()) : undefined;
    if (problem !== undefined)
      throw new UnavailableBackend(
        'libtorch',
        problem,
        'Use precision float32, or PyTorch 2.9.1 or newer with cuDNN 9.15 or newer',
      );
    addon.halfStorage(precision === 'bf16');
  } else if (precision === 'bf16') {
    const cure = 'Use precision float32, or backend libtorch (`npx patchwise backend build libtorch`)';
    throw new UnavailableBackend(tf.getBackend(), 'it has no bf16', cure);
  }
}
