import { type ModelConfig, stages, topChannels } from './config';
import type { Layers } from './layers';

/** The decoder's last layer. The adaptive weight of the adversarial loss compares gradients at its weight. */
export const LAST_LAYER = 'decoder.conv_last';

/** Quantised latents [n, d', h', w', codeDim] to patches [n, d, h, w, 1]. */
export function decode<T>(q: T, layers: Layers<T>, config: ModelConfig): T {
  return decodeLast(decodeFeatures(q, layers, config), layers);
}

/**
 * Quantised latents [n, d', h', w', codeDim] to the features [n, d, h, w, c] of full resolution.
 *
 * Channels mirror the encoder's, but each stage keeps its low-resolution channels after upsampling: with 64 hidden
 * channels they go 256 -> 256 -> 128, not 256 -> 128 -> 64. Strides do not mirror the encoder's: as in the original,
 * both count the halvings of each axis down from all of them. With downsampling [4, 4, 2] the encoder's strides on
 * [d, h, w] are (2, 2, 2), then (1, 2, 2), and so are the decoder's.
 */
export function decodeFeatures<T>(q: T, layers: Layers<T>, config: ModelConfig): T {
  const down = stages(config);
  let h = layers.conv(q, 'post_vq_conv', { kernel: 1, channels: topChannels(config) }); // [n, d', h', w', top]
  h = layers.normSilu(h, 'decoder.final_block.0');
  down.forEach(({ stride }, i) => {
    const channels = down.at(-1 - i)!.below;
    h = layers.convTranspose(h, `decoder.conv_blocks.${i}.up`, { kernel: 4, channels, stride }); // twice the size
    for (let b = 1; b <= config.decoderBlocks; b++) h = layers.block(h, `decoder.conv_blocks.${i}.res${b}`);
  });
  return h;
}

/** Features [n, d, h, w, c] to patches [n, d, h, w, 1]. */
export function decodeLast<T>(h: T, layers: Layers<T>): T {
  return layers.conv(h, LAST_LAYER, { kernel: 3, channels: 1 });
}
