import * as tf from '@tensorflow/tfjs-core';
import { straightThrough } from '../compute/ops';
import { InvalidArgument } from '../errors';
import { Codebook } from './codebook';
import { checkModelConfig, checkPatch, type ModelConfig } from './config';
import { decode, decoderWeights } from './decoder';
import { encode, encoderWeights } from './encoder';
import { generatorLosses } from './losses';
import { createWeights, sizeOf, type WeightShape } from './weights';

/** A named array of a checkpoint. */
export interface StateArray {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** What one local batch gives. The tensors are the caller's to dispose. */
export interface LossAndGradients {
  /** `total` is what is minimised; the others are unweighted. */
  readonly losses: { readonly total: number; readonly reconstruction: number; readonly commitment: number };
  /** By weight name, in the order of `weights`. */
  readonly gradients: tf.NamedTensorMap;
  /** [m, codeDim]: the batch's latents, row by row, for the codebook's statistics. */
  readonly latents: tf.Tensor2D;
  /** int32 [m]: the code of each latent. */
  readonly codes: tf.Tensor1D;
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
    return decode(q, this.weights, this.config);
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

  /** Losses and gradients of one local batch [n, d, h, w, 1]. Disposes everything but what it returns. */
  lossAndGradients(x: tf.Tensor5D): LossAndGradients {
    return tf.tidy(() => {
      let kept: Pick<LossAndGradients, 'latents' | 'codes'> | undefined;
      let parts: tf.Scalar[] = [];
      const forward = (): tf.Scalar => {
        const z = this.encode(x); // [n, d', h', w', codeDim]
        const { codes, quantised } = this.quantise(z);
        const y = this.decode(straightThrough(z, quantised)); // [n, d, h, w, 1]
        const losses = generatorLosses(x, y, z, quantised, this.config);
        // variableGrads frees all but its result; what the caller gets is kept by hand.
        kept = { latents: tf.keep(this.rows(z)), codes: tf.keep(codes) };
        parts = [losses.reconstruction, losses.commitment].map((part) => tf.keep(part));
        return losses.total;
      };
      const { value, grads } = tf.variableGrads(forward, [...this.weights.values()]);
      const [total, reconstruction, commitment] = [value, ...parts].map((part) => part.dataSync()[0]!);
      tf.dispose(parts);
      const gradients = Object.fromEntries(
        [...this.weights].map(([name, weight]) => [name, grads[weight.name]!]),
      );
      return {
        losses: { total: total!, reconstruction: reconstruction!, commitment: commitment! },
        gradients,
        ...kept!,
      };
    });
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
