import * as tf from '@tensorflow/tfjs-core';
import { type ModelConfig, type Stride, stages, topChannels } from './config';
import { conv, convTranspose, convTransposeWeights, convWeights, normSilu, normWeights } from './layers';
import { type LayerConfig, resBlock, resBlockWeights } from './resblock';
import type { WeightShape, Weights } from './weights';

/** The weights of the 1x1x1 convolution out of the codebook's space, and the decoder's. */
export function decoderWeights(config: ModelConfig): WeightShape[] {
  return [
    ...convWeights('post_vq_conv', 1, config.codeDim, topChannels(config)),
    ...normWeights('decoder.final_block.0', topChannels(config)),
    ...decoderStages(config).flatMap(({ inputs, outputs }, i) => [
      ...convTransposeWeights(upName(i), 4, inputs, outputs),
      ...decoderBlockNames(config, i).flatMap((name) => resBlockWeights(name, outputs)),
    ]),
    ...convWeights(LAST_LAYER, 3, decoderStages(config).at(-1)!.outputs, 1),
  ];
}

/** Quantised latents [n, d', h', w', codeDim] to the features [n, d, h, w, c] of full resolution. */
export function decodeFeatures(q: tf.Tensor5D, weights: Weights, config: LayerConfig): tf.Tensor5D {
  return tf.tidy(() => {
    let h = conv(q, weights, 'post_vq_conv'); // [n, d', h', w', top]
    h = normSilu(h, weights, 'decoder.final_block.0', config);
    decoderStages(config).forEach(({ stride }, i) => {
      h = convTranspose(h, weights, upName(i), stride); // twice the size, channels as decoderStages says
      for (const name of decoderBlockNames(config, i)) h = resBlock(h, weights, name, config);
    });
    return h;
  });
}

/** The decoder's last layer: features [n, d, h, w, c] to patches [n, d, h, w, 1]. */
export function decodeLast(h: tf.Tensor5D, weights: Weights): tf.Tensor5D {
  return conv(h, weights, LAST_LAYER);
}

/** Its weight is where the adaptive weight of the adversarial loss compares gradients. */
export const LAST_LAYER = 'decoder.conv_last';

/**
 * The decoder's stages, from the lowest resolution up. Channels mirror the encoder's, but each stage keeps its
 * low-resolution channels after upsampling: 64 hidden channels go 256 -> 256 -> 128, not 256 -> 128 -> 64. Strides do
 * not mirror the encoder's: as in the original, both count the halvings of each axis down from all of them. With
 * downsampling [4, 4, 2] the encoder's strides on [d, h, w] are (2, 2, 2), then (1, 2, 2), and so are the decoder's.
 */
export function decoderStages(config: ModelConfig): { inputs: number; outputs: number; stride: Stride }[] {
  const down = stages(config);
  return down.map(({ stride }, i) => {
    const { below } = down.at(-1 - i)!;
    return { inputs: i === 0 ? below : 2 * below, outputs: below, stride };
  });
}

export const upName = (stage: number): string => `decoder.conv_blocks.${stage}.up`;

export function decoderBlockNames(config: ModelConfig, stage: number): string[] {
  return Array.from({ length: config.decoderBlocks }, (_, b) => `decoder.conv_blocks.${stage}.res${b + 1}`);
}
