/** Names, shapes and starts of the generator's weights: what encoder and decoder ask for, run over channels. */
import type { ModelConfig } from './config';
import { decode } from './decoder';
import { encode } from './encoder';
import { type BlockLayers, type ConvolutionSize, type Layers, resBlock } from './layers';
import { quantiserWeights } from './quantisers/registry';
import { sizeOf, type WeightShape } from './weights';

/** All trainable weights, without allocating them. */
export function weightShapes(config: ModelConfig): WeightShape[] {
  const [encoder, decoder] = [new WeightLayers(), new WeightLayers()];
  encode(1, encoder, config);
  decode(config.codeDim, decoder, config);
  return [...encoder.shapes, ...quantiserWeights(config), ...decoder.shapes];
}

/** The weights of the residual block called `name`. */
export function blockWeights(name: string, channels: number): readonly WeightShape[] {
  const layers = new WeightLayers();
  layers.block(channels, name);
  return layers.shapes;
}

/** Number of trainable parameters; a codebook that is not trained by gradients does not count. */
export function parameterCount(config: ModelConfig): number {
  return weightShapes(config).reduce((sum, { shape }) => sum + sizeOf(shape), 0);
}

/** Lists the weights of layers that work on channels. */
class WeightLayers implements Layers<number>, BlockLayers<number> {
  readonly shapes: WeightShape[] = [];

  conv(inputs: number, name: string, { kernel, channels }: ConvolutionSize): number {
    return this.kernelAndBias(`${name}.conv`, kernel, inputs, channels, inputs);
  }

  /** PyTorch counts a transposed convolution's fan in over the *output* channels. */
  convTranspose(inputs: number, name: string, { kernel, channels }: ConvolutionSize): number {
    return this.kernelAndBias(`${name}.convt`, kernel, inputs, channels, channels);
  }

  normSilu(channels: number, name: string): number {
    this.shapes.push(
      { name: `${name}.weight`, shape: [channels], start: { constant: 1 } },
      { name: `${name}.bias`, shape: [channels], start: { constant: 0 } },
    );
    return channels;
  }

  block(channels: number, name: string): number {
    return resBlock(channels, name, this);
  }

  normSiluConv(channels: number, norm: string, conv: string): number {
    return this.conv(this.normSilu(channels, norm), conv, { kernel: 3, channels });
  }

  add(channels: number): number {
    return channels;
  }

  /** They start as in PyTorch: uniform within 1 / sqrt(fan in). */
  private kernelAndBias(name: string, k: number, inputs: number, outputs: number, fan: number): number {
    const start = { uniform: 1 / Math.sqrt(fan * k ** 3) };
    this.shapes.push(
      { name: `${name}.weight`, shape: [k, k, k, inputs, outputs], start },
      { name: `${name}.bias`, shape: [outputs], start },
    );
    return outputs;
  }
}
