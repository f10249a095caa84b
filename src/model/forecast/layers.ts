import type { Precision } from '../../compute/contract/backend';
import { type ModelConfig, type Stride, stages, topChannels } from '../config';
import { decoderStages } from '../decoder';
import type { Activation, Added } from './ledger';

/** A convolution as memory sees it. */
export interface ConvolutionShape {
  readonly x: Activation;
  readonly y: Activation;
  readonly kernel: readonly [number, number, number];
  readonly added: Added;
  readonly transposed?: boolean;
}

/** A step of the generator. `kept` by the tape is always the layer's input. */
export type Layer =
  | ({ readonly kind: 'convolution' } & ConvolutionShape)
  | { readonly kind: 'norm'; readonly x: Activation; readonly y: Activation }
  | { readonly kind: 'block'; readonly x: Activation }
  | { readonly kind: 'codes'; readonly x: Activation };

/** Wide convolutions, whose channels are multiples of it, may store half; latents and patches stay floats. */
export const LANES = 16;

/** The generator's layers for a batch of `n` patches [x, y, z], from patch to reconstruction. */
export function generatorLayers(
  config: ModelConfig,
  patch: readonly [number, number, number],
  n: number,
  precision: Precision,
): Layer[] {
  const layers: Layer[] = [];
  const half = precision === 'bf16' ? 2 : 4;
  let at: Activation = { n, size: [patch[2], patch[1], patch[0]], channels: 1, width: 4 };
  const convolution = (k: number, channels: number, stride: Stride = [1, 1, 1], transposed = false) => {
    const scale = (size: number, axis: number) =>
      transposed ? size * stride[axis]! : Math.floor(size / stride[axis]!);
    const size = at.size.map(scale) as unknown as Activation['size'];
    const y = { ...at, size, channels, width: k > 1 && channels % LANES === 0 ? half : 4 };
    const added = stride.map((s) => k - s) as unknown as Added;
    layers.push({ kind: 'convolution', x: at, y, kernel: [k, k, k], added, transposed });
    at = y;
  };
  const norm = () => {
    const y = { ...at, width: half };
    layers.push({ kind: 'norm', x: at, y });
    at = y;
  };
  const blocks = (count: number) => {
    for (let i = 0; i < count; i++) layers.push({ kind: 'block', x: at });
  };
  convolution(3, config.hidden);
  for (const { below, stride } of stages(config)) {
    convolution(4, below, stride);
    blocks(config.encoderBlocks);
  }
  norm();
  convolution(1, config.codeDim);
  layers.push({ kind: 'codes', x: at });
  convolution(1, topChannels(config));
  norm();
  for (const { outputs, stride } of decoderStages(config)) {
    convolution(4, outputs, stride, true);
    blocks(config.decoderBlocks);
  }
  convolution(3, 1);
  return layers;
}

/** Bytes of a convolution's weights. */
export function weightBytes({ kernel, x, y }: ConvolutionShape): number {
  return kernel[0] * kernel[1] * kernel[2] * x.channels * y.channels * 4;
}
