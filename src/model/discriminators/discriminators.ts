import * as tf from '@tensorflow/tfjs-core';
import { putSlices, type SliceAxis, takeSlices } from '../../compute/ops/slices';
import type { StoredTensor } from '../../safetensors';
import type { Peers } from '../peers';
import { loadWeights, type Weights } from '../weights';
import { type GanConfig, hasDiscriminators } from './config';
import { Discriminator } from './discriminator';
import { discriminatorLoss, generatorLoss, mean } from './losses';
import { batchNorm, groupNorm } from './norm';
import { backwards, disposeTrace, featuresOf, forwards, type Sweep, type Trace } from './pass';

/** The slices of a batch: across which axis of [d, h, w], and at which place of each patch. */
export interface Slices {
  readonly axis: SliceAxis;
  readonly indices: readonly number[];
}

/** What the discriminators make of a batch and its reconstruction. Tensors are the caller's to dispose. */
export interface DiscriminatorResult {
  /** Gradients at the reconstruction of the generator's losses, weighted. */
  readonly atPatches: {
    readonly adversarial: tf.Tensor5D;
    /** Of feature matching; part of `adversarial` unless `apart` is asked for. */
    readonly features?: tf.Tensor5D;
  };
  /** Of the discriminators' own loss, by weight name. */
  readonly gradients: tf.NamedTensorMap;
  /** All times the batch's weight, else unweighted. */
  readonly losses: AdversarialLosses;
}

export interface AdversarialLosses {
  /** Of the generator: the sum over the discriminators of gan.slice or gan.patch times -mean(logits of fakes). */
  readonly adversarial: number;
  /** Feature matching, summed over the discriminators. */
  readonly features: number;
  /** Of the discriminators: the sum of gan.slice or gan.patch times their loss. */
  readonly discriminator: number;
  /** Mean logits over the discriminators: as long as they differ, real and fake are told apart. */
  readonly logitsReal: number;
  readonly logitsFake: number;
}

/** What a pass of the discriminators needs beside the batch. */
interface DiscriminatorPart {
  readonly slices: Slices;
  /** The batch's share of the global batch: losses and gradients are multiplied by it. */
  readonly weight: number;
  /** Of the adversarial and feature losses, from 0 to 1. */
  readonly factor: number;
  readonly peers: Peers;
  /** Keep the gradients of the adversarial loss and of feature matching apart. */
  readonly apart: boolean;
}

/** The feature losses of a discriminator's layers are weighted to add up to as much as of four (pix2pixHD). */
const FEATURES = 4;

/** The discriminators of a run, those that the config has. */
export class Discriminators {
  /** Of all discriminators, in one order. */
  readonly weights: Weights;
  private readonly members: readonly { readonly discriminator: Discriminator; readonly weight: number }[];
  private readonly shape;

  constructor(
    private readonly config: GanConfig,
    seed: number,
  ) {
    if (!hasDiscriminators(config)) throw new Error('discriminators need one of weight above 0');
    const kinds = [
      { kind: 'image', weight: config.slice },
      { kind: 'video', weight: config.patch },
    ] as const;
    this.members = kinds
      .filter(({ weight }) => weight > 0)
      .map(({ kind, weight }) => ({ discriminator: new Discriminator(kind, config, seed), weight }));
    this.weights = new Map(this.members.flatMap(({ discriminator }) => [...discriminator.weights]));
    const { layers } = this.members[0]!.discriminator;
    this.shape = {
      layers: layers.length,
      normed: (layer: number) => layers[layer]!.norm !== undefined,
      norm: config.norm === 'batch' ? batchNorm : groupNorm,
    };
  }

  /**
   * Shows patches x and their reconstructions y [n, d, h, w, 1] to the discriminators: the gradient that tells the
   * generator how to please them, and those by which they learn to tell the two apart.
   */
  async lossesAndGradients(
    x: tf.Tensor5D,
    y: tf.Tensor5D,
    part: DiscriminatorPart,
  ): Promise<DiscriminatorResult> {
    const { slices, weight, factor, peers, apart } = part;
    const inputs = this.members.flatMap(({ discriminator }) =>
      [x, y].map((patches) => ({
        discriminator,
        x:
          discriminator.kind === 'image'
            ? takeSlices(patches, slices.axis, slices.indices)
            : tf.clone(patches),
      })),
    );
    const traces = await forwards(inputs, this.shape, peers);
    tf.dispose(inputs.map(({ x }) => x));
    const losses = { adversarial: 0, features: 0, discriminator: 0, logitsReal: 0, logitsFake: 0 };
    const sweeps: Sweep[] = [];
    for (const [i, member] of this.members.entries()) {
      const [real, fake] = [traces[2 * i]!, traces[2 * i + 1]!];
      const logits = [real, fake].map((trace) => featuresOf(trace).at(-1)!.dataSync<'float32'>());
      const ofGenerator = generatorLoss(logits[1]!);
      const ofReal = discriminatorLoss(logits[0]!, true, this.config.loss);
      const ofFake = discriminatorLoss(logits[1]!, false, this.config.loss);
      const matching = this.matchFeatures(real, fake, weight * factor);
      losses.adversarial += weight * member.weight * ofGenerator.value;
      losses.features += weight * matching.value;
      losses.discriminator += weight * member.weight * (ofReal.value + ofFake.value);
      losses.logitsReal += (weight * mean(logits[0]!)) / this.members.length;
      losses.logitsFake += (weight * mean(logits[1]!)) / this.members.length;
      const atLogits = (trace: Trace, gradient: Float32Array, scale: number) => [
        ...new Array<undefined>(this.shape.layers - 1).fill(undefined),
        tf.tensor(
          gradient.map((g) => g * scale),
          featuresOf(trace).at(-1)!.shape,
        ) as tf.Tensor5D,
      ];
      const scale = weight * member.weight;
      const adversarial = atLogits(fake, ofGenerator.gradient, scale * factor);
      const together = [...matching.gradients, adversarial.at(-1)];
      const forGenerator = apart ? [adversarial, matching.gradients] : [together];
      sweeps.push(
        ...forGenerator.map((dys) => ({ trace: fake, dys, input: true, weights: false })),
        { trace: real, dys: atLogits(real, ofReal.gradient, scale), input: false, weights: true },
        { trace: fake, dys: atLogits(fake, ofFake.gradient, scale), input: false, weights: true },
      );
    }
    const results = await backwards(sweeps, this.shape, peers);
    for (const trace of traces) disposeTrace(trace);
    const each = sweeps.length / this.members.length;
    const gradients: tf.NamedTensorMap = {};
    this.members.forEach((_, i) => {
      const [ofReal, ofFake] = results.slice((i + 1) * each - 2).map((result) => result.gradients) as [
        tf.NamedTensorMap,
        tf.NamedTensorMap,
      ];
      for (const [name, gradient] of Object.entries(ofReal)) {
        gradients[name] = tf.add(gradient, ofFake[name]!);
        tf.dispose([gradient, ofFake[name]!]);
      }
    });
    const atPatches = (which: 0 | 1) =>
      this.addAtPatches(
        this.members.map((_, i) => results[each * i + which]!.dx!),
        y.shape,
        slices,
      );
    const parts = { adversarial: atPatches(0), ...(apart && { features: atPatches(1) }) };
    return { atPatches: parts, gradients, losses };
  }

  /** Takes part in a pass for which this rank has no patch. */
  async emptyPass(peers: Peers): Promise<void> {
    await forwards(undefined, this.shape, peers);
    await backwards(undefined, this.shape, peers);
  }

  /** Takes other weights. @throws InvalidArgument, and changes nothing, unless every array is there and fits. */
  load(state: ReadonlyMap<string, StoredTensor>): void {
    loadWeights(this.weights, state);
  }

  dispose(): void {
    tf.dispose([...this.weights.values()]);
  }

  /** The L1 distance of all layers' outputs but the logits, and its gradient at those of the fake. */
  private matchFeatures(real: Trace, fake: Trace, scale: number) {
    const count = this.shape.layers - 1;
    const factor = FEATURES / count;
    const parts = featuresOf(real)
      .slice(0, count)
      .map((wanted, layer) =>
        tf.tidy(() => {
          const difference = tf.sub(featuresOf(fake)[layer]!, wanted);
          const per = (factor * this.config.features * scale) / difference.size;
          return [tf.mean(tf.abs(difference)), tf.mul(tf.sign(difference), per) as tf.Tensor5D] as const;
        }),
      );
    const value = parts.reduce((sum, [distance]) => sum + factor * distance.dataSync()[0]!, 0);
    tf.dispose(parts.map(([distance]) => distance));
    return { value, gradients: parts.map(([, gradient]) => gradient) };
  }

  /** Adds up the gradients of all discriminators, at the patches that their inputs were taken from. */
  private addAtPatches(
    dxs: readonly tf.Tensor5D[],
    shape: [number, number, number, number, number],
    { axis, indices }: Slices,
  ): tf.Tensor5D {
    const sum = tf.tidy(() => {
      const parts = this.members.map(({ discriminator }, i) =>
        discriminator.kind === 'image' ? putSlices(dxs[i]!, shape, axis, indices) : dxs[i]!,
      );
      return (parts.length === 1 ? tf.clone(parts[0]!) : tf.add(parts[0]!, parts[1]!)) as tf.Tensor5D;
    });
    tf.dispose([...dxs]);
    return sum;
  }
}
