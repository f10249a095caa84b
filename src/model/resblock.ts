import * as tf from '@tensorflow/tfjs-core';
import { checkpoint } from '../compute/ops/checkpoint';
import { residual } from '../compute/ops/ops';
import type { ModelConfig } from './config';
import { convWeights, normSiluConv, normWeights } from './layers';
import type { WeightShape, Weights } from './weights';

/**
 * What a backward pass computes anew: `blocks` every ResBlock, of which only the input is kept. It costs another forward
 * pass of the blocks.
 */
export const checkpointings = ['none', 'blocks'] as const;
export type Checkpointing = (typeof checkpointings)[number];

/** A model's config and how its layers are run. */
export type LayerConfig = ModelConfig & { readonly checkpointing?: Checkpointing };

export function resBlockWeights(name: string, channels: number): WeightShape[] {
  return [
    ...normWeights(`${name}.norm1`, channels),
    ...convWeights(`${name}.conv1`, 3, channels, channels),
    ...normWeights(`${name}.norm2`, channels),
    ...convWeights(`${name}.conv2`, 3, channels, channels),
  ];
}

/** Pre-activation residual block: x + conv(silu(norm(conv(silu(norm(x)))))). Keeps the shape [n, d, h, w, c]. */
export function resBlock(x: tf.Tensor5D, weights: Weights, name: string, config: LayerConfig): tf.Tensor5D {
  if (config.checkpointing !== 'blocks') return computeBlock(x, weights, name, config);
  const used = resBlockWeights(name, x.shape[4]).map((weight) => weights.get(weight.name)!);
  return checkpoint((input) => computeBlock(input, weights, name, config), x, used) as tf.Tensor5D;
}

function computeBlock(x: tf.Tensor5D, weights: Weights, name: string, config: ModelConfig): tf.Tensor5D {
  return tf.tidy(() => {
    const h = normSiluConv(x, weights, `${name}.norm1`, `${name}.conv1`, config); // [n, d, h, w, c]
    return residual(x, normSiluConv(h, weights, `${name}.norm2`, `${name}.conv2`, config));
  });
}
