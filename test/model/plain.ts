/** What tests do with a generator alone: no discriminators, no other rank. */
import * as tf from '@tensorflow/tfjs-core';
import type { Codebook } from '../../src/model/codebook';
import { Objective, type ObjectiveResult } from '../../src/model/objective';
import { alone } from '../../src/model/peers';
import { PRESETS } from '../../src/model/presets';
import type { MovingAverageQuantiser } from '../../src/model/quantisers/moving-average';
import type { VqGan } from '../../src/model/vqgan';

/** Patches [n, d, h, w, 1] through the codebook and back. */
export function reconstruct(model: VqGan, x: tf.Tensor5D): tf.Tensor5D {
  return tf.tidy(() => model.decode(model.quantise(model.encode(x)).quantised));
}

/** The codebook of an `ema` model. */
export function codebookOf(model: VqGan): Codebook {
  return (model.quantiser as MovingAverageQuantiser).books[0]!;
}

/** What the trainer computes of a whole batch [n, d, h, w, 1] in one pass. */
export function lossAndGradients(model: VqGan, x: tf.Tensor5D): Promise<ObjectiveResult> {
  const part = { step: 0, offset: 0, total: x.shape[0], peers: alone };
  return new Objective(model, { gan: PRESETS.toy.gan, seed: 0 }).lossAndGradients(x, part);
}
