import type * as tf from '@tensorflow/tfjs-core';
import { currentBackend, runKernel } from '../contract/registry';

/**
 * How many latents chose each of `count` codes, and their sums, added in doubles so that any split over ranks rounds
 * almost alike. Where the backend adds, the latents stay on it. Not on the tape.
 *
 * @param latents [m, width]
 * @param codes int32 [m]
 * @returns [count] and [count * width]
 */
export function sumsByCode(
  latents: tf.Tensor2D,
  codes: tf.Tensor1D,
  count: number,
): { counts: Float32Array; sums: Float32Array } {
  if (currentBackend().optimiser) {
    const made = runKernel('sumByCode', { z: latents, codes }, { count });
    const [counts, sums] = made.map((tensor) => tensor.dataSync<'float32'>());
    for (const tensor of made) tensor.dispose();
    return { counts: counts!, sums: sums! };
  }
  const counts = new Float32Array(count);
  const sums = new Float64Array(count * latents.shape[1]);
  addByCode(latents.dataSync<'float32'>(), codes.dataSync<'int32'>(), counts, sums);
  return { counts, sums: new Float32Array(sums) };
}

/** A function of its own: in a longer one V8 leaves a compiled loop for the interpreter at code it has not run before. */
function addByCode(
  latents: Float32Array,
  codes: ArrayLike<number>,
  counts: Float32Array,
  sums: Float64Array,
): void {
  const width = sums.length / counts.length;
  for (let row = 0; row < codes.length; row++) {
    const code = codes[row]!;
    counts[code]!++;
    for (let c = 0; c < width; c++) sums[code * width + c]! += latents[row * width + c]!;
  }
}
