import * as tf from '@tensorflow/tfjs-core';
import { gatherCodes, mse, nearestCode, stopGradient } from '../../compute/ops';
import { Random } from '../../random';
import type { StateArray, WeightShape, Weights } from '../weights';
import { CountingQuantiser } from './counting';
import { type Estimator, estimate } from './estimators';
import type { Chosen, Quantised, Quantiser } from './quantiser';

export interface SimOptions {
  readonly codes: number;
  readonly codeDim: number;
  readonly commitment: number;
  /** Weight of what moves the codes to the latents. */
  readonly codebookLoss: number;
  readonly estimator: Estimator;
}

const TRANSFORM = 'codebook.code_transform.weight';
const FROZEN = 'codebook.frozen_codebook';

/** The one linear layer, [codeDim, codeDim] as [in, out]: PyTorch's Linear weight, transposed. Starts as that. */
export function simWeights(codeDim: number): WeightShape[] {
  return [{ name: TRANSFORM, shape: [codeDim, codeDim], start: { uniform: 1 / Math.sqrt(codeDim) } }];
}

/**
 * SimVQ (Zhu et al., "Addressing Representation Collapse in Vector Quantized Models with One Linear Layer", 2024):
 * the codes are random vectors that stay as they are, all seen through one linear layer that is learnt. A step moves
 * the whole space of codes, so none is left behind. The frozen vectors are drawn from the model's seed.
 */
export class SimQuantiser extends CountingQuantiser implements Quantiser {
  private frozen: Float32Array;
  private tensor: tf.Tensor2D | undefined;

  constructor(
    private readonly options: SimOptions,
    seed: number,
  ) {
    super(options.codes);
    const random = new Random(seed, 'frozen codebook');
    const deviation = 1 / Math.sqrt(options.codeDim);
    this.frozen = Float32Array.from(
      { length: options.codes * options.codeDim },
      () => deviation * random.normal(),
    );
  }

  quantise(latents: tf.Tensor2D, weights: Weights): Chosen {
    return tf.tidy(() => {
      const codes = this.nearest(latents, weights);
      return { codes, embeddings: this.seen(gatherCodes(this.frozenTensor(), codes), weights) };
    });
  }

  forward(latents: tf.Tensor2D, weights: Weights): Quantised {
    const codes = this.nearest(latents, weights);
    const embeddings = this.seen(gatherCodes(this.frozenTensor(), codes), weights);
    const fixed = stopGradient(embeddings);
    const commitment = mse(latents, fixed);
    const learning = mse(embeddings, stopGradient(latents));
    return {
      codes,
      embeddings: estimate(latents, fixed, this.options.estimator),
      commitment,
      loss: tf.add(tf.mul(commitment, this.options.commitment), tf.mul(learning, this.options.codebookLoss)),
    };
  }

  embed(codes: ArrayLike<number>, weights: Weights): tf.Tensor2D {
    return tf.tidy(() => {
      const numbers = tf.tensor1d(Int32Array.from(codes), 'int32');
      return this.seen(gatherCodes(this.frozenTensor(), numbers), weights);
    });
  }

  override state(): Map<string, StateArray> {
    const { codes, codeDim } = this.options;
    return new Map([[FROZEN, { shape: [codes, codeDim], data: this.frozen.slice() }]]);
  }

  override load(state: ReadonlyMap<string, StateArray>): void {
    this.frozen = state.get(FROZEN)!.data.slice();
    this.dispose();
  }

  override dispose(): void {
    this.tensor?.dispose();
    this.tensor = undefined;
  }

  private nearest(latents: tf.Tensor2D, weights: Weights): tf.Tensor1D {
    return nearestCode(latents, stopGradient(this.seen(this.frozenTensor(), weights)));
  }

  /** Frozen vectors as the linear layer shows them. */
  private seen(frozen: tf.Tensor2D, weights: Weights): tf.Tensor2D {
    return tf.matMul(frozen, weights.get(TRANSFORM)! as tf.Tensor as tf.Tensor2D);
  }

  private frozenTensor(): tf.Tensor2D {
    const { codes, codeDim } = this.options;
    this.tensor ??= tf.keep(tf.tensor2d(this.frozen, [codes, codeDim]));
    return this.tensor;
  }
}
