import type * as tf from '@tensorflow/tfjs-core';
import type { Size3 } from '../../compute/contract/geometry';
import { createWeights, type WeightShape, type Weights } from '../weights';
import type { GanConfig } from './config';

/** The 2D discriminator sees slices [n, 1, a, b, 1], the 3D one patches [n, d, h, w, 1]. */
export type DiscriminatorKind = 'image' | 'video';

/** One layer: convolution with zeros around, normalisation where there is one, LeakyReLU but for the last. */
export interface Layer {
  /** Of its convolution's weights; PyTorch's module `model<layer>.0`. */
  readonly convolution: string;
  /** Of its norm's weights. */
  readonly norm?: string;
  readonly activated: boolean;
  readonly inputs: number;
  readonly outputs: number;
  readonly kernel: Size3;
  readonly stride: Size3;
  readonly padding: Size3;
}

const KERNEL = 4;
const PADDING = 2;
/** Channels grow up to this many times the first layer's. */
const WIDEST = 8;

/**
 * The layers of a PatchGAN discriminator (Isola et al., 2017, as in pix2pixHD): `layers` of stride 2, then two of
 * stride 1, the last of which gives one logit for each place. A 2D one is a 3D one of depth 1.
 */
export function discriminatorLayers(kind: DiscriminatorKind, config: GanConfig): Layer[] {
  const { channels, layers, norm } = config;
  const size = (value: number, depth: number): Size3 => [kind === 'image' ? depth : value, value, value];
  const width = (layer: number) => channels * Math.min(2 ** layer, WIDEST);
  return Array.from({ length: layers + 2 }, (_, i) => {
    const last = i === layers + 1;
    return {
      convolution: `${kind}_discriminator.model${i}.0`,
      ...(i > 0 && !last && norm !== 'none' && { norm: `${kind}_discriminator.model${i}.1` }),
      activated: !last,
      inputs: i === 0 ? 1 : width(i - 1),
      outputs: last ? 1 : width(i),
      kernel: size(KERNEL, 1),
      stride: size(i < layers ? 2 : 1, 1),
      padding: size(PADDING, 0),
    };
  });
}

/** Names, shapes and starts of the weights: those of PyTorch's defaults for its layers. */
export function discriminatorWeights(kind: DiscriminatorKind, config: GanConfig): WeightShape[] {
  return discriminatorLayers(kind, config).flatMap(({ convolution, norm, inputs, outputs, kernel }) => {
    const start = { uniform: 1 / Math.sqrt(inputs * kernel[0] * kernel[1] * kernel[2]) };
    const shapes: WeightShape[] = [
      { name: `${convolution}.weight`, shape: [...kernel, inputs, outputs], start },
      { name: `${convolution}.bias`, shape: [outputs], start },
    ];
    if (norm)
      shapes.push(
        { name: `${norm}.weight`, shape: [outputs], start: { constant: 1 } },
        { name: `${norm}.bias`, shape: [outputs], start: { constant: 0 } },
      );
    return shapes;
  });
}

/** A discriminator and its weights, on the backend that is current when it is made. */
export class Discriminator {
  readonly layers: readonly Layer[];
  readonly weights: Weights;

  constructor(
    readonly kind: DiscriminatorKind,
    config: GanConfig,
    seed: number,
  ) {
    this.layers = discriminatorLayers(kind, config);
    this.weights = createWeights(discriminatorWeights(kind, config), seed);
  }

  /** A weight as the tensor it is. */
  weight<T extends tf.Tensor>(name: string): T {
    return this.weights.get(name)! as tf.Tensor as T;
  }
}
