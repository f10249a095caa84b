import * as tf from '@tensorflow/tfjs-core';
import { record } from '../compute/ops/tape';
import { InvalidArgument } from '../errors';
import type { StoredTensor } from '../safetensors';
import type { Given } from '../setting';
import { checkModelConfig, checkPatch, type ModelConfig } from './config';
import { decodeFeatures, decodeLast } from './decoder';
import { encode } from './encoder';
import type { Quantiser } from './quantisers/quantiser';
import { createQuantiser } from './quantisers/registry';
import { type Checkpointing, TensorLayers } from './tensor-layers';
import { weightShapes } from './weight-shapes';
import { createWeights, loadWeights, requireArrays, weightState } from './weights';

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

/**
 * The 3D VQ-GAN's generator: encoder, quantiser, decoder. Patches are [n, d, h, w, 1] in [-1, 1], their sizes
 * multiples of the downsampling. Lives on the backend that is current when it is made.
 */
export class VqGan {
  readonly config: ModelConfig;
  readonly weights: ReadonlyMap<string, tf.Variable>;
  readonly quantiser: Quantiser;
  private readonly layers: TensorLayers;

  /** Throws InvalidArgument for a config that makes no model. */
  constructor(config: Given<ModelConfig>, seed: number, checkpointing: Checkpointing = 'none') {
    this.config = checkModelConfig(config);
    this.weights = createWeights(weightShapes(this.config), seed);
    this.layers = new TensorLayers(this.weights, this.config.groups, checkpointing);
    this.quantiser = createQuantiser(this.config, seed);
  }

  /** Patches [n, d, h, w, 1] to latents [n, d', h', w', codeDim]. */
  encode(x: tf.Tensor5D): tf.Tensor5D {
    this.requirePatches(x);
    return tf.tidy(() => encode(x, this.layers, this.config));
  }

  /** Latents, quantised or not, to patches [n, d, h, w, 1]. */
  decode(q: tf.Tensor5D): tf.Tensor5D {
    return tf.tidy(() => decodeLast(this.decodeFeatures(q), this.layers));
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

  /**
   * The forward pass of one local batch [n, d, h, w, 1], recorded: whoever computes a loss of the reconstruction hands
   * its gradient to `gradients`.
   */
  forward(x: tf.Tensor5D): ForwardPass {
    const recording = record(() => {
      const z = this.encode(x); // [n, d', h', w', codeDim]
      const latents = this.rows(z);
      const quantised = this.quantiser.forward(latents, this.weights);
      const q = tf.reshape(quantised.embeddings, z.shape) as tf.Tensor5D;
      const h = this.decodeFeatures(q);
      const { loss, commitment, codes } = quantised;
      return [decodeLast(h, this.layers), loss, commitment, latents, h, codes];
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

  /** All that determines the model: weights and quantiser by PyTorch's names, in this project's layout. Copies. */
  state(): Map<string, StoredTensor> {
    return new Map([...weightState(this.weights), ...this.quantiser.state()]);
  }

  /** Takes another model's state. Throws InvalidArgument, and changes nothing, unless every array is there and fits. */
  load(state: ReadonlyMap<string, StoredTensor>): void {
    requireArrays(this.quantiser.state(), state);
    loadWeights(this.weights, state);
    this.quantiser.load(state);
  }

  /** Frees the weights and the quantiser; the model is of no use afterwards. */
  dispose(): void {
    tf.dispose([...this.weights.values()]);
    this.quantiser.dispose();
  }

  /** Frees what led to the features before the last layer takes memory. */
  private decodeFeatures(q: tf.Tensor5D): tf.Tensor5D {
    return tf.tidy(() => decodeFeatures(q, this.layers, this.config));
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
