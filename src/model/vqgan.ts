import * as tf from '@tensorflow/tfjs-core';
import { mse, stopGradient, straightThrough } from '../compute/ops';
import { record } from '../compute/tape';
import { InvalidArgument } from '../errors';
import { Codebook } from './codebook';
import { checkModelConfig, checkPatch, type ModelConfig } from './config';
import { decodeFeatures, decodeLast, decoderWeights } from './decoder';
import { encode, encoderWeights } from './encoder';
import { l1Reconstruction } from './losses';
import { createWeights, sizeOf, type WeightShape } from './weights';

/** A named array of a checkpoint. */
export interface StateArray {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** What one local batch gives. The tensors are the caller's to dispose. */
export interface LossAndGradients {
  /** `total` is what is minimised; the others lack their own weights. All times the batch's weight. */
  readonly losses: { readonly total: number; readonly reconstruction: number; readonly commitment: number };
  /** By weight name, in the order of `weights`. */
  readonly gradients: tf.NamedTensorMap;
  /** [m, codeDim]: the batch's latents, row by row, for the codebook's statistics. */
  readonly latents: tf.Tensor2D;
  /** int32 [m]: the code of each latent. */
  readonly codes: tf.Tensor1D;
}

/** A recorded forward pass. All tensors are the caller's to dispose. */
export interface ForwardPass {
  /** The reconstruction, [n, d, h, w, 1]. */
  readonly y: tf.Tensor5D;
  /** What the decoder's last layer made it of, [n, d, h, w, c]. */
  readonly features: tf.Tensor5D;
  /** Mean squared distance of the latents to their codes; moves the encoder only. */
  readonly commitment: tf.Scalar;
  /** [m, codeDim] */
  readonly latents: tf.Tensor2D;
  /** int32 [m] */
  readonly codes: tf.Tensor1D;
  /**
   * Gradients, by weight name, of a loss whose gradient with respect to y is `dy`, plus `commitmentWeight` times the
   * commitment loss. Once.
   */
  backward(dy: tf.Tensor5D, commitmentWeight: number): tf.NamedTensorMap;
}

/** Names, shapes and starts of all trainable weights, without allocating them. */
export function weightShapes(config: ModelConfig): WeightShape[] {
  return [...encoderWeights(config), ...decoderWeights(config)];
}

/** Number of trainable parameters; the codebook is not trained by gradients and does not count. */
export function parameterCount(config: ModelConfig): number {
  return weightShapes(config).reduce((sum, { shape }) => sum + sizeOf(shape), 0);
}

/**
 * The 3D VQ-GAN's generator: encoder, codebook, decoder. Patches are [n, d, h, w, 1] in [-1, 1], their sizes
 * multiples of the downsampling. Lives on the backend that is current when it is made.
 */
export class VqGan {
  readonly config: ModelConfig;
  readonly weights: ReadonlyMap<string, tf.Variable>;
  readonly codebook: Codebook;

  /** Throws InvalidArgument for a config that makes no model. */
  constructor(config: ModelConfig, seed: number) {
    this.config = checkModelConfig(config);
    this.weights = createWeights(weightShapes(this.config), seed);
    this.codebook = new Codebook(this.config);
  }

  /** Patches [n, d, h, w, 1] to latents [n, d', h', w', codeDim]. */
  encode(x: tf.Tensor5D): tf.Tensor5D {
    this.requirePatches(x);
    return encode(x, this.weights, this.config);
  }

  /** Latents, quantised or not, to patches [n, d, h, w, 1]. */
  decode(q: tf.Tensor5D): tf.Tensor5D {
    return tf.tidy(() => decodeLast(decodeFeatures(q, this.weights, this.config), this.weights));
  }

  /** Codes of the latents, int32 [m], and the latents replaced by their codes' embeddings. */
  quantise(z: tf.Tensor5D): { codes: tf.Tensor1D; quantised: tf.Tensor5D } {
    return tf.tidy(() => {
      const { codes, embeddings } = this.codebook.quantise(this.rows(z));
      return { codes, quantised: tf.reshape(embeddings, z.shape) };
    });
  }

  /** Patches [n, d, h, w, 1] through the codebook and back. */
  reconstruct(x: tf.Tensor5D): tf.Tensor5D {
    return tf.tidy(() => this.decode(this.quantise(this.encode(x)).quantised));
  }

  /**
   * The forward pass of one local batch [n, d, h, w, 1], recorded: whoever computes a loss of the reconstruction hands
   * its gradient to `backward`.
   */
  forward(x: tf.Tensor5D): ForwardPass {
    let codes: tf.Tensor1D | undefined;
    const recording = record(() => {
      const z = this.encode(x); // [n, d', h', w', codeDim]
      const quantised = this.quantise(z);
      codes = tf.keep(quantised.codes);
      const h = decodeFeatures(straightThrough(z, quantised.quantised), this.weights, this.config);
      const commitment = mse(z, stopGradient(quantised.quantised));
      return [decodeLast(h, this.weights), commitment, this.rows(z), h];
    }, [...this.weights.values()]);
    const [y, commitment, latents, features] = recording.outputs as [
      tf.Tensor5D,
      tf.Scalar,
      tf.Tensor2D,
      tf.Tensor5D,
    ];
    return {
      y,
      features,
      commitment,
      latents,
      codes: codes!,
      backward: (dy, commitmentWeight) => {
        const gradients = tf.tidy(() => recording.backward([dy, tf.scalar(commitmentWeight), null, null]));
        return Object.fromEntries([...this.weights.keys()].map((name, i) => [name, gradients[i]!]));
      },
    };
  }

  /**
   * Losses and gradients of one local batch [n, d, h, w, 1] without discriminators, both times `weight`: the batch's
   * share of the global batch. Disposes everything but what it returns.
   */
  lossAndGradients(x: tf.Tensor5D, weight = 1): LossAndGradients {
    const { y, features, commitment, latents, codes, backward } = this.forward(x);
    features.dispose();
    const { value, gradient } = l1Reconstruction(x, y, this.config.reconstruction * weight);
    const gradients = backward(gradient, this.config.commitment * weight);
    const losses = { reconstruction: weight * value, commitment: weight * commitment.dataSync()[0]! };
    tf.dispose([y, commitment, gradient]);
    const total =
      this.config.reconstruction * losses.reconstruction + this.config.commitment * losses.commitment;
    return { losses: { total, ...losses }, gradients, latents, codes };
  }

  /** All that determines the model: weights and codebook by PyTorch's names, in this project's layout. Copies. */
  state(): Map<string, StateArray> {
    const weights = [...this.weights].map(([name, weight]): [string, StateArray] => [
      name,
      { shape: weight.shape, data: weight.dataSync<'float32'>().slice() },
    ]);
    return new Map([...weights, ...this.codebook.state()]);
  }

  /** Takes another model's state. Throws InvalidArgument, and changes nothing, unless every array is there and fits. */
  load(state: ReadonlyMap<string, StateArray>): void {
    const wanted = [...weightShapes(this.config), ...stateShapes(this.codebook)];
    for (const { name, shape } of wanted) {
      const found = state.get(name);
      if (!found || found.shape.join() !== shape.join() || found.data.length !== sizeOf(shape))
        throw new InvalidArgument(`state ${name}`, `an array of shape [${shape}]`, found?.shape ?? 'nothing');
    }
    for (const [name, weight] of this.weights) {
      const saved = tf.tensor(state.get(name)!.data.slice(), weight.shape);
      weight.assign(saved);
      saved.dispose();
    }
    this.codebook.load(state);
  }

  /** Frees the weights and the codebook; the model is of no use afterwards. */
  dispose(): void {
    tf.dispose([...this.weights.values()]);
    this.codebook.dispose();
  }

  private rows(z: tf.Tensor5D): tf.Tensor2D {
    return tf.reshape(z, [-1, this.config.codeDim]); // [m, codeDim]
  }

  private requirePatches(x: tf.Tensor5D): void {
    const [, d, h, w, channels] = x.shape;
    if (channels !== 1) throw new InvalidArgument('x', 'patches [n, d, h, w, 1]', x.shape);
    checkPatch(this.config, [w, h, d]);
  }
}

function stateShapes(codebook: Codebook): { name: string; shape: readonly number[] }[] {
  return [...codebook.state()].map(([name, { shape }]) => ({ name, shape }));
}
