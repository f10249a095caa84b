import * as tf from '@tensorflow/tfjs-core';
import { checkpoint } from '../compute/ops/checkpoint';
import { conv3d, conv3dTranspose, groupNorm, normSiluConv3d, residual } from '../compute/ops/ops';
import { type BlockLayers, type ConvolutionSize, EPSILON, type Layers, resBlock } from './layers';
import { blockWeights } from './weight-shapes';
import type { Weights } from './weights';

/**
 * What a backward pass computes again: with `blocks` every residual block, of which only the input is kept. It costs
 * another forward pass of the blocks.
 */
export const checkpointings = ['none', 'blocks'] as const;
export type Checkpointing = (typeof checkpointings)[number];

/** The layers as they compute, on tensors [n, d, h, w, c]. Kernels and channels are those of the weights. */
export class TensorLayers implements Layers<tf.Tensor5D>, BlockLayers<tf.Tensor5D> {
  constructor(
    private readonly weights: Weights,
    private readonly groups: number,
    private readonly checkpointing: Checkpointing,
  ) {}

  conv(x: tf.Tensor5D, name: string, { stride = [1, 1, 1] }: Pick<ConvolutionSize, 'stride'>): tf.Tensor5D {
    return conv3d(x, this.weight(`${name}.conv.weight`), this.weight(`${name}.conv.bias`), { stride });
  }

  convTranspose(x: tf.Tensor5D, name: string, { stride = [1, 1, 1] }: ConvolutionSize): tf.Tensor5D {
    const [w, bias] = [`${name}.convt.weight`, `${name}.convt.bias`];
    return conv3dTranspose(x, this.weight(w), this.weight(bias), { stride });
  }

  normSilu(x: tf.Tensor5D, name: string): tf.Tensor5D {
    const options = { ...this.norm(x), silu: true };
    return groupNorm(x, this.weight(`${name}.weight`), this.weight(`${name}.bias`), options);
  }

  block(x: tf.Tensor5D, name: string): tf.Tensor5D {
    const compute = (input: tf.Tensor5D) => tf.tidy(() => resBlock(input, name, this));
    if (this.checkpointing !== 'blocks') return compute(x);
    const used = blockWeights(name, x.shape[4]).map((weight) => this.weights.get(weight.name)!);
    return checkpoint(compute, x, used) as tf.Tensor5D;
  }

  /** In one op, which keeps x alone for the gradient. */
  normSiluConv(x: tf.Tensor5D, norm: string, conv: string): tf.Tensor5D {
    return normSiluConv3d(
      x,
      this.weight(`${norm}.weight`),
      this.weight(`${norm}.bias`),
      this.weight(`${conv}.conv.weight`),
      this.weight(`${conv}.conv.bias`),
      this.norm(x),
    );
  }

  add(a: tf.Tensor5D, b: tf.Tensor5D): tf.Tensor5D {
    return residual(a, b);
  }

  private norm(x: tf.Tensor5D): { groups: number; eps: number } {
    return { groups: Math.min(this.groups, x.shape[4]), eps: EPSILON };
  }

  /** A variable as the tensor it is; the rank is known from where it is used. */
  private weight<T extends tf.Tensor>(name: string): T {
    return this.weights.get(name)! as tf.Tensor as T;
  }
}
