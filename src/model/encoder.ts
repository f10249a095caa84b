import * as tf from '@tensorflow/tfjs-core';
import { type ModelConfig, stages, topChannels } from './config';
import { conv, convWeights, normSilu, normWeights } from './layers';
import { type LayerConfig, resBlock, resBlockWeights } from './resblock';
import type { WeightShape, Weights } from './weights';

/** The encoder's weights, and those of the 1x1x1 convolution into the codebook's space. */
export function encoderWeights(config: ModelConfig): WeightShape[] {
  return [
    ...convWeights('encoder.conv_first', 3, 1, config.hidden),
    ...stages(config).flatMap(({ above, below }, i) => [
      ...convWeights(downName(i), 4, above, below),
      ...encoderBlockNames(config, i).flatMap((name) => resBlockWeights(name, below)),
    ]),
    ...normWeights('encoder.final_block.0', topChannels(config)),
    ...convWeights('pre_vq_conv', 1, topChannels(config), config.codeDim),
  ];
}

/** Patches [n, d, h, w, 1] to latents [n, d', h', w', codeDim]. */
export function encode(x: tf.Tensor5D, weights: Weights, config: LayerConfig): tf.Tensor5D {
  return tf.tidy(() => {
    let h = conv(x, weights, 'encoder.conv_first'); // [n, d, h, w, hidden]
    stages(config).forEach(({ stride }, i) => {
      h = conv(h, weights, downName(i), stride); // half the size, twice the channels
      for (const name of encoderBlockNames(config, i)) h = resBlock(h, weights, name, config);
    });
    h = normSilu(h, weights, 'encoder.final_block.0', config); // [n, d', h', w', top]
    return conv(h, weights, 'pre_vq_conv'); // [n, d', h', w', codeDim]
  });
}

export const downName = (stage: number): string => `encoder.conv_blocks.${stage}.down`;

/** PyTorch's model has one block a stage and calls it `res`; more are numbered from 1 as in its decoder. */
export function encoderBlockNames(config: ModelConfig, stage: number): string[] {
  if (config.encoderBlocks === 1) return [`encoder.conv_blocks.${stage}.res`];
  return Array.from({ length: config.encoderBlocks }, (_, b) => `encoder.conv_blocks.${stage}.res${b + 1}`);
}
