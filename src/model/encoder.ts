import { type ModelConfig, stages } from './config';
import type { Layers } from './layers';

/** Patches [n, d, h, w, 1] to latents [n, d', h', w', codeDim]. */
export function encode<T>(x: T, layers: Layers<T>, config: ModelConfig): T {
  let h = layers.conv(x, 'encoder.conv_first', { kernel: 3, channels: config.hidden }); // [n, d, h, w, hidden]
  stages(config).forEach(({ below, stride }, i) => {
    h = layers.conv(h, `encoder.conv_blocks.${i}.down`, { kernel: 4, channels: below, stride }); // half the size
    for (const name of blockNames(config, i)) h = layers.block(h, name);
  });
  h = layers.normSilu(h, 'encoder.final_block.0'); // [n, d', h', w', top]
  return layers.conv(h, 'pre_vq_conv', { kernel: 1, channels: config.codeDim }); // [n, d', h', w', codeDim]
}

/** PyTorch's model has one block a stage and calls it `res`; several are numbered from 1, as in its decoder. */
function blockNames(config: ModelConfig, stage: number): string[] {
  if (config.encoderBlocks === 1) return [`encoder.conv_blocks.${stage}.res`];
  return Array.from({ length: config.encoderBlocks }, (_, b) => `encoder.conv_blocks.${stage}.res${b + 1}`);
}
