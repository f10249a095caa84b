/** The common start of all sides of `bench step`. */
import { writeFile } from 'node:fs/promises';
import * as tf from '@tensorflow/tfjs-core';
import { type ModelConfig, phantom, useBackend, type Vec3 } from '../src/index';
import { resolveIntensity, toModel, VqGan } from '../src/internal';

/**
 * Writes fresh weights, a codebook and patches of chest phantoms to `stem`.json and .bin. The codes are spread wider than
 * the first latents, so for few latents rounding decides between two codes.
 */
export async function writeState(
  stem: string,
  config: ModelConfig,
  size: Vec3,
  seed = 0,
  batch = 1,
): Promise<void> {
  await useBackend('cpu');
  const model = new VqGan(config, seed);
  const arrays = new Map(model.state());
  model.dispose();
  const codes = tf.randomNormal([config.codes, config.codeDim], 0, 1, 'float32', seed + 2);
  const embeddings = codes.dataSync<'float32'>().slice();
  codes.dispose();
  const shape = [config.codes, config.codeDim];
  arrays.set('codebook.embeddings', { shape, data: embeddings });
  arrays.set('codebook.z_avg', { shape, data: embeddings });
  arrays.set('codebook.N', { shape: [config.codes], data: new Float32Array(config.codes).fill(1) });
  arrays.set('codebook.initialised', { shape: [1], data: Float32Array.of(1) });
  const [x, y, z] = size;
  const patches = new Float32Array(batch * x * y * z);
  for (let n = 0; n < batch; n++) {
    const ct = phantom({ shape: size, seed: seed + 1 + n });
    patches.set(toModel(ct.data, resolveIntensity('ctpa', ct)), n * x * y * z);
  }
  arrays.set('x', { shape: [batch, z, y, x, 1], data: patches });
  let offset = 0;
  const index = [...arrays].map(([name, array]) => {
    const entry = { name, shape: array.shape, offset };
    offset += array.data.length;
    return entry;
  });
  const all = new Float32Array(offset);
  for (const { name, offset: at } of index) all.set(arrays.get(name)!.data, at);
  await writeFile(`${stem}.json`, JSON.stringify(index));
  await writeFile(`${stem}.bin`, new Uint8Array(all.buffer));
}
