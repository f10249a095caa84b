import * as tf from '@tensorflow/tfjs-core';
import type { ModelConfig } from '../../src/model/config';
import { VqGan } from '../../src/model/vqgan';
import { Random } from '../../src/random';
import { saveCheckpoint } from '../../src/train/record/checkpoint';
import { findCheckpoint } from '../../src/train/record/choose-checkpoint';
import { resolveConfig } from '../../src/train/settings/config';
import { tiny } from '../train/tiny';

/** A checkpoint, in a folder of its own, of a model whose codes start from noise of the latents' size. */
export async function untrained(folder: string, model: Partial<ModelConfig>): Promise<string> {
  const given = { hidden: 4, groups: 2, codeDim: 4, ...model };
  if (model.quantiser === 'fsq' || model.quantiser === 'lfq') delete (given as { codeDim?: number }).codeDim;
  const config = resolveConfig({ ...tiny, data: ['phantom:16x16x16'], model: given });
  const vqgan = new VqGan(config.model, 3);
  const random = new Random(4, 'codes');
  const { codeDim } = config.model;
  const rows = Float32Array.from({ length: 600 * codeDim }, () => 0.5 * random.normal());
  await vqgan.quantiser.prepare({
    latents: async () => tf.tensor2d(rows, [600, codeDim]),
    rows: { offset: 0, total: 600, seed: 1 },
    onePass: true,
    weights: vqgan.weights,
    sum: async () => {},
  });
  const state = { step: 1, epoch: 0, position: 0, adamSteps: 1, config, intensities: {}, patchwise: '0' };
  saveCheckpoint(folder, { state, model: vqgan.state(), optimiser: new Map() } as never, {
    best: false,
    keep: 1,
  });
  vqgan.dispose();
  return findCheckpoint(folder);
}
