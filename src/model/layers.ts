import type { Stride } from './config';

/** GroupNorm's guard against a zero variance. */
export const EPSILON = 1e-6;

/** The kernel, cubic, and the output's channels of a convolution. */
export interface ConvolutionSize {
  readonly kernel: number;
  readonly channels: number;
  /** 1 by default. */
  readonly stride?: Stride;
}

/**
 * The layers that encoder and decoder are made of. Both are written once, as functions over whatever the layers work
 * on: tensors compute, channels list the weights, shapes forecast the memory, names of values export to ONNX.
 */
export interface Layers<T> {
  /** Convolution by the weights called `name`, padded by replication; an axis of stride 2 becomes half as long. */
  conv(x: T, name: string, size: ConvolutionSize): T;
  /** Transposed convolution by the weights called `name`; an axis of stride 2 becomes twice as long. */
  convTranspose(x: T, name: string, size: ConvolutionSize): T;
  /** GroupNorm with the scale and shift called `name`, then SiLU. */
  normSilu(x: T, name: string): T;
  /** `resBlock`, with whatever belongs around it. */
  block(x: T, name: string): T;
}

/** The layers inside a residual block. */
export interface BlockLayers<T> {
  /** `normSilu` called `norm`, then a 3x3x3 convolution called `conv` that keeps the channels. */
  normSiluConv(x: T, norm: string, conv: string): T;
  add(a: T, b: T): T;
}

/** Pre-activation residual block: x + conv(silu(norm(conv(silu(norm(x)))))). Keeps the shape [n, d, h, w, c]. */
export function resBlock<T>(x: T, name: string, layers: BlockLayers<T>): T {
  const h = layers.normSiluConv(x, `${name}.norm1`, `${name}.conv1`);
  return layers.add(x, layers.normSiluConv(h, `${name}.norm2`, `${name}.conv2`));
}
