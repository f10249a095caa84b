import * as tf from '@tensorflow/tfjs-core';
import { record } from '../compute/ops/tape';
import { InvalidArgument } from '../errors';
import type { Codebook } from './codebook';
import { checkModelConfig, checkPatch, type ModelConfig } from './config';
import { decodeFeatures, decodeLast, decoderWeights } from './decoder';
import { encode, encoderWeights } from './encoder';
import { l1Reconstruction } from './losses';
import { MovingAverageQuantiser } from './quantisers/moving-average';
import type { Quantiser } from './quantisers/quantiser';
import { createQuantiser, quantiserWeights } from './quantisers/registry';
import type { Checkpointing, LayerConfig } from './resblock';
import {
  createWeights,
  loadWeights,
  requireArrays,
  type StateArray,
  sizeOf,
  type WeightShape,
  weightState,
} from './weights';

export type { StateArray } from './weights';

/** What one local batch gives. The tensors are the caller's to dispose. */
export interface LossAndGradients {
  /** `total` is what is minimised; the others lack their own weights. All times the batch's weight. */
  readonly losses: { readonly total: number; readonly reconstruction: number; readonly commitment: number };
  /** By weight name, in the order of `weights`. */
  readonly gradients: tf.NamedTensorMap;
  /** [m, codeDim]: the batch's latents, row by row, for the quantiser's statistics. */
  readonly latents: tf.Tensor2D;
  /** int32 [m * codebooks]: the codes of each latent. */
  readonly codes: tf.Tensor1D;
}

/** Told of a weight's gradient while others are still being computed. */
export type GradientReady = (name: string, gradient: tf.Tensor) => void;

/** A recorded forward pass. All tensors are the caller's to dispose. */
export interface ForwardPass {
  /** The reconstruction, [n, d, h, w, 1]. */
  readonly y: tf.Tensor5D;
  /** What the decoder's last layer made it of, [n, d, h, w, c]. */
  readonly features: tf.Tensor5D;
  /** The quantiser's own losses, weighted and summed. */
  readonly quantiserLoss: tf.Scalar;
  /** Mean squared distance of the latents to their codes, unweighted. */
  readonly commitment: tf.Scalar;
  /** [m, codeDim] */
  readonly latents: tf.Tensor2D;
  /** int32 [m * codebooks] */
  readonly codes: tf.Tensor1D;
  /**
   * Gradients, by weight name, of a loss whose gradient with respect to y is `dy`, plus `weight` times the quantiser's
   * loss. Once.
   * @param ready told of each as soon as it is whole, the decoder's end first; it must not dispose of it
   */
  gradients(dy: tf.Tensor5D, weight: number, ready?: GradientReady): tf.NamedTensorMap;
  /** Frees the pass, its tensors and all it saved, where something failed before or in `gradients`. */
  release(): void;
}

/** Names, shapes and starts of all trainable weights, without allocating them. */
export function weightShapes(config: ModelConfig): WeightShape[] {
  return [...encoderWeights(config), ...quantiserWeights(config), ...decoderWeights(config)];
}

/** Number of trainable parameters; a codebook that is not trained by gradients does not count. */
export function parameterCount(config: ModelConfig): number {
  return weightShapes(config).reduce((sum, { shape }) => sum + sizeOf(shape), 0);
}

/**
 * The 3D VQ-GAN's generator: encoder, quantiser, decoder. Patches are [n, d, h, w, 1] in [-1, 1], their sizes
 * multiples of the downsampling. Lives on the backend that is current when it is made.
 */
export class VqGan {
  readonly config: ModelConfig;
  readonly weights: ReadonlyMap<string, tf.Variable>;
  readonly quantiser: Quantiser;

  /** Throws InvalidArgument for a config that makes no model. */
  constructor(
    config: ModelConfig,
    seed: number,
    private readonly checkpointing: Checkpointing = 'none',
  ) {
    this.config = checkModelConfig(config);
    this.weights = createWeights(weightShapes(this.config), seed);
    this.quantiser = createQuantiser(this.config, seed);
  }

  /** The one codebook of an `ema` model. @throws InvalidArgument for another quantiser */
  get codebook(): Codebook {
    if (this.quantiser instanceof MovingAverageQuantiser) return this.quantiser.codebook;
    throw new InvalidArgument('model.quantiser', 'ema, which has one codebook', this.config.quantiser);
  }

  /** Patches [n, d, h, w, 1] to latents [n, d', h', w', codeDim]. */
  encode(x: tf.Tensor5D): tf.Tensor5D {
    this.requirePatches(x);
    return encode(x, this.weights, this.layers);
  }

  /** Latents, quantised or not, to patches [n, d, h, w, 1]. */
  decode(q: tf.Tensor5D): tf.Tensor5D {
    return tf.tidy(() => decodeLast(decodeFeatures(q, this.weights, this.layers), this.weights));
  }

  /** Codes of the latents, int32 [m * codebooks], and what the decoder gets for them. */
  quantise(z: tf.Tensor5D): { codes: tf.Tensor1D; quantised: tf.Tensor5D } {
    return tf.tidy(() => {
      const { codes, embeddings } = this.quantiser.quantise(this.rows(z), this.weights);
      return { codes, quantised: tf.reshape(embeddings, z.shape) };
    });
  }

  /** What the decoder gets for codes [n * d' * h' * w' * codebooks] of patches of latents `size` [d', h', w']. */
  embed(codes: ArrayLike<number>, size: readonly [number, number, number]): tf.Tensor5D {
    return tf.tidy(() =>
      tf.reshape(this.quantiser.embed(codes, this.weights), [-1, ...size, this.config.codeDim]),
    );
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
    const recording = record(() => {
      const z = this.encode(x); // [n, d', h', w', codeDim]
      const latents = this.rows(z);
      const quantised = this.quantiser.forward(latents, this.weights);
      const q = tf.reshape(quantised.embeddings, z.shape) as tf.Tensor5D;
      const h = decodeFeatures(q, this.weights, this.layers);
      const { loss, commitment, codes } = quantised;
      return [decodeLast(h, this.weights), loss, commitment, latents, h, codes];
    }, [...this.weights.values()]);
    const [y, quantiserLoss, commitment, latents, features, codes] = recording.outputs as [
      tf.Tensor5D,
      tf.Scalar,
      tf.Scalar,
      tf.Tensor2D,
      tf.Tensor5D,
      tf.Tensor1D,
    ];
    return {
      y,
      features,
      quantiserLoss,
      commitment,
      latents,
      codes,
      gradients: (dy, weight, ready) => {
        const names = [...this.weights.keys()];
        const told = ready && ((at: number, dx: tf.Tensor) => ready(names[at]!, dx));
        const gradients = tf.tidy(() =>
          recording.backward([dy, tf.scalar(weight), null, null, null, null], told),
        );
        return Object.fromEntries(names.map((name, i) => [name, gradients[i]!]));
      },
      release: () => {
        recording.dispose();
        tf.dispose([...recording.outputs]);
      },
    };
  }

  /**
   * Losses and gradients of one local batch [n, d, h, w, 1] without discriminators, both times `weight`: the batch's
   * share of the global batch. Disposes everything but what it returns.
   */
  lossAndGradients(x: tf.Tensor5D, weight = 1): LossAndGradients {
    const pass = this.forward(x);
    try {
      return this.finish(x, pass, weight);
    } catch (error) {
      // A patch that is too large for the memory should leave it as it was.
      pass.release();
      throw error;
    }
  }

  /** All that determines the model: weights and quantiser by PyTorch's names, in this project's layout. Copies. */
  state(): Map<string, StateArray> {
    return new Map([...weightState(this.weights), ...this.quantiser.state()]);
  }

  /** Takes another model's state. Throws InvalidArgument, and changes nothing, unless every array is there and fits. */
  load(state: ReadonlyMap<string, StateArray>): void {
    requireArrays(stateShapes(this.quantiser), state);
    loadWeights(this.weights, state);
    this.quantiser.load(state);
  }

  /** Frees the weights and the quantiser; the model is of no use afterwards. */
  dispose(): void {
    tf.dispose([...this.weights.values()]);
    this.quantiser.dispose();
  }

  private finish(x: tf.Tensor5D, pass: ForwardPass, weight: number): LossAndGradients {
    const { y, quantiserLoss, commitment, latents, codes } = pass;
    pass.features.dispose();
    const { value, gradient } = l1Reconstruction(x, y, this.config.reconstruction * weight);
    let gradients: tf.NamedTensorMap;
    try {
      gradients = pass.gradients(gradient, weight);
    } finally {
      gradient.dispose();
    }
    const losses = { reconstruction: weight * value, commitment: weight * commitment.dataSync()[0]! };
    const total = this.config.reconstruction * losses.reconstruction + weight * quantiserLoss.dataSync()[0]!;
    tf.dispose([y, quantiserLoss, commitment]);
    return { losses: { total, ...losses }, gradients, latents, codes };
  }

  private get layers(): LayerConfig {
    return { ...this.config, checkpointing: this.checkpointing };
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

function stateShapes(quantiser: Quantiser): { name: string; shape: readonly number[] }[] {
  return [...quantiser.state()].map(([name, { shape }]) => ({ name, shape }));
}
