import * as tf from '@tensorflow/tfjs-core';
import { mse, stopGradient, straightThrough } from '../../compute/ops/ops';
import { withGradient } from '../../compute/ops/with-gradient';
import { InvalidArgument } from '../../errors';
import { amount, type ConfigOf, flag, positive } from '../../setting';
import { averageCodeProbabilities, averageEntropy, signRows } from './code-probabilities';
import { unitRows } from './estimators';
import { weightedSum } from './onnx';
import {
  type Chosen,
  type CodeSizes,
  CountingQuantiser,
  type GlobalBatch,
  type Quantised,
  type Quantiser,
  type QuantiserStatistics,
  quantiserKind,
} from './quantiser';

// With the papers' own values, `formerly`, few codes are in use after 500 steps on a chest CT (`bench quantisers`).
const options = {
  entropy: amount({ default: 0.1, meaning: 'Weight of the entropy loss.' }),
  diversity: amount({
    default: 1,
    meaning: 'Weight, inside the entropy loss, of how evenly all codes are chosen.',
  }),
  temperature: positive({
    default: 1,
    formerly: 0.01,
    meaning: 'How soft the choice of a code is in the entropy loss.',
  }),
  spherical: flag({
    default: true,
    formerly: false,
    meaning: 'Scale latents to the length of the codes before the losses compare them.',
  }),
};

type Options = CodeSizes & ConfigOf<typeof options>;

/**
 * Lookup-free quantisation (Yu et al., "Language Model Beats Diffusion", 2023): a code is the signs of a latent's
 * channels; the first is the highest bit. An entropy loss makes each latent choose clearly and all codes equally often.
 * The second part needs the *global* batch, so `prepare` sums it over the ranks.
 *
 * With `spherical`, losses and straight-through gradient see the latents scaled to the codes' length (Zhao et al., "Image
 * and Video Tokenization with Binary Spherical Quantization", 2024), so latents cannot grow without end. Codes, and the use
 * of a trained model, do not depend on it.
 */
class LookupFreeQuantiser extends CountingQuantiser implements Quantiser {
  /** During a step of several ranks or passes: the average probability of every code over the global batch. */
  private average: Float32Array | undefined;

  constructor(private readonly options: Options) {
    super(2 ** options.codeDim);
  }

  override async prepare({ latents, rows, onePass, sum }: GlobalBatch): Promise<void> {
    this.average = undefined;
    if (onePass) return; // the average of the batch at hand is that of all
    const total = new Float32Array(this.size);
    const given = await latents?.();
    if (given) {
      const average = tf.tidy(() => averageCodeProbabilities(this.compared(given), this.options.temperature));
      const part = given.shape[0] / rows.total;
      average.dataSync<'float32'>().forEach((probability, code) => {
        total[code] = part * probability;
      });
      tf.dispose([given, average]);
    }
    await sum([total]);
    this.average = total;
  }

  /** The average ends with the step: validation has other latents, one patch at a time. */
  override apply(statistics: QuantiserStatistics): undefined {
    super.apply(statistics);
    this.average = undefined;
  }

  quantise(latents: tf.Tensor2D): Chosen {
    return tf.tidy(() => {
      const signs = signsOf(latents);
      return { codes: codesOf(signs), embeddings: signs };
    });
  }

  forward(given: tf.Tensor2D): Quantised {
    const { codes, embeddings } = this.quantise(stopGradient(given));
    const latents = this.compared(given);
    const { commitment: weight, entropy, diversity, temperature } = this.options;
    const commitment = mse(latents, embeddings);
    const own = averageEntropy(latents, temperature);
    const spread = diversityOf(averageCodeProbabilities(latents, temperature), this.average);
    return {
      codes,
      embeddings: straightThrough(latents, embeddings),
      commitment,
      loss: tf.add(tf.mul(commitment, weight), tf.mul(tf.sub(own, tf.mul(spread, diversity)), entropy)),
    };
  }

  embed(codes: ArrayLike<number>): tf.Tensor2D {
    const { codeDim } = this.options;
    return tf.tensor2d(signRows(codes, codeDim), [codes.length, codeDim]);
  }

  /** The latents as the losses see them: a code's length is the root of its channels' number. */
  private compared(latents: tf.Tensor2D): tf.Tensor2D {
    const { spherical, codeDim } = this.options;
    return spherical ? tf.mul(unitRows(latents), Math.sqrt(codeDim)) : latents;
  }
}

/** 1 where a channel is above 0, else -1. */
function signsOf(latents: tf.Tensor2D): tf.Tensor2D {
  return tf.sub(tf.mul(tf.cast(tf.greater(latents, 0), 'float32'), 2), 1);
}

function codesOf(signs: tf.Tensor2D): tf.Tensor1D {
  const width = signs.shape[1];
  const values = tf.tensor1d(Array.from({ length: width }, (_, i) => 2 ** (width - 1 - i)));
  const bits = tf.greater(signs, 0);
  return tf.cast(tf.sum(tf.mul(tf.cast(bits, 'float32'), values), 1), 'int32') as tf.Tensor1D;
}

/**
 * Entropy of the codes' average probabilities [codes] over the batch, or of the average over all ranks if it is given.
 * This rank's part then gets the gradient -log(average) - 1; the -1 has no effect because probabilities sum to 1.
 */
function diversityOf(local: tf.Tensor1D, global: Float32Array | undefined): tf.Scalar {
  return withGradient(
    [local],
    (p) => {
      const average = global ? tf.tensor1d(global) : tf.clone(p);
      const logs = tf.log(tf.maximum(average, 1e-20)) as tf.Tensor1D;
      return [tf.neg(tf.sum<tf.Scalar>(tf.mul(average, logs))), logs];
    },
    (dy, logs) => tf.mul(tf.neg(logs), dy),
  );
}

export const lfq = quantiserKind({
  meaning: 'lookup-free: the signs of the channels are the bits of the code',
  options,
  derive: ({ codes }, given) => ({ codeDim: given.codeDim ?? Math.round(Math.log2(codes)) }),
  check({ codes, codeDim }) {
    if (codes !== 2 ** codeDim)
      throw new InvalidArgument(
        'model.codes',
        `2 to the power of model.codeDim (2^${codeDim} = ${2 ** codeDim}) with lfq`,
        codes,
      );
  },
  create: (config) => new LookupFreeQuantiser(config),
  tables: ({ codes, codeDim }) => [signRows([...Array(codes).keys()], codeDim)],
  choose(graph, rows, { codeDim }) {
    const zero = graph.floats('lfq.zero', [], new Float32Array(1));
    const bits = graph.node('Cast', [graph.node('Greater', [rows, zero])], { to: 1 });
    const values = Float32Array.from({ length: codeDim }, (_, i) => 2 ** (codeDim - 1 - i));
    return [weightedSum(graph, bits, graph.floats('lfq.values', [codeDim], values))];
  },
});
