import type { Precision } from '../../compute/contract/backend';
import type { ModelConfig } from '../config';
import { decode } from '../decoder';
import { encode } from '../encoder';
import type { ConvolutionSize, Layers } from '../layers';
import type { Activation, Added } from './ledger';

/** A convolution as memory sees it. */
export interface ConvolutionShape {
  readonly x: Activation;
  readonly y: Activation;
  readonly kernel: readonly [number, number, number];
  readonly added: Added;
  readonly transposed?: boolean;
}

/** A step of the generator. What the tape keeps of it is its input x. */
export type Layer =
  | ({ readonly kind: 'convolution' } & ConvolutionShape)
  | { readonly kind: 'norm'; readonly x: Activation; readonly y: Activation }
  | { readonly kind: 'block'; readonly x: Activation }
  | { readonly kind: 'codes'; readonly x: Activation };

/** With bf16, convolutions to a multiple of so many channels store half; latents and patches stay floats. */
export const LANES = 16;

/** The generator's layers for a batch of `n` patches [x, y, z], from patch to reconstruction. */
export function generatorLayers(
  config: ModelConfig,
  patch: readonly [number, number, number],
  n: number,
  precision: Precision,
): Layer[] {
  const layers = new PaperLayers(precision === 'bf16' ? 2 : 4);
  const latents = encode({ n, size: [patch[2], patch[1], patch[0]], channels: 1, width: 4 }, layers, config);
  layers.list.push({ kind: 'codes', x: latents });
  decode(latents, layers, config);
  return layers.list;
}

/** Lists layers that work on the shapes of activations. */
class PaperLayers implements Layers<Activation> {
  readonly list: Layer[] = [];

  /** @param half bytes of a number where it may be stored as bfloat16 */
  constructor(private readonly half: number) {}

  conv(x: Activation, _name: string, size: ConvolutionSize): Activation {
    return this.convolution(x, size, false);
  }

  convTranspose(x: Activation, _name: string, size: ConvolutionSize): Activation {
    return this.convolution(x, size, true);
  }

  normSilu(x: Activation): Activation {
    const y = { ...x, width: this.half };
    this.list.push({ kind: 'norm', x, y });
    return y;
  }

  block(x: Activation): Activation {
    this.list.push({ kind: 'block', x });
    return x;
  }

  private convolution(
    x: Activation,
    { kernel, channels, stride = [1, 1, 1] }: ConvolutionSize,
    transposed: boolean,
  ): Activation {
    const size = x.size.map((length, axis) =>
      transposed ? length * stride[axis]! : Math.floor(length / stride[axis]!),
    ) as unknown as Activation['size'];
    const width = kernel > 1 && channels % LANES === 0 ? this.half : 4;
    const y = { ...x, size, channels, width };
    const added = stride.map((step) => kernel - step) as unknown as Added;
    this.list.push({ kind: 'convolution', x, y, kernel: [kernel, kernel, kernel], added, transposed });
    return y;
  }
}

/** Bytes of a convolution's weights. */
export function weightBytes({ kernel, x, y }: ConvolutionShape): number {
  return kernel[0] * kernel[1] * kernel[2] * x.channels * y.channels * 4;
}
