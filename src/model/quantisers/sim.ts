import * as tf from '@tensorflow/tfjs-core';
import { gatherCodes, mse, nearestCode, stopGradient } from '../../compute/ops/ops';
import { InvalidArgument } from '../../errors';
import { Random } from '../../random';
import type { StoredTensor } from '../../safetensors';
import { amount, type ConfigOf } from '../../setting';
import type { WeightShape, Weights } from '../weights';
import { estimate, estimator } from './estimators';
import { chooseNearest } from './onnx';
import {
  type Chosen,
  type CodeSizes,
  CountingQuantiser,
  type GlobalBatch,
  type Quantised,
  type Quantiser,
  quantiserKind,
} from './quantiser';

const options = {
  estimator,
  codebookLoss: amount({ default: 1, meaning: 'Weight of the loss that moves the codes to the latents.' }),
};

type Options = CodeSizes & ConfigOf<typeof options>;

const WEIGHT = 'codebook.embedding_proj.weight';
const BIAS = 'codebook.embedding_proj.bias';
const FROZEN = 'codebook.frozen';
const INITIALISED = 'codebook.initialised';

/** The one linear layer: [in, out], PyTorch's Linear weight transposed, and [out]. Both start from the latents. */
function linearLayer({ codeDim }: CodeSizes): WeightShape[] {
  return [
    { name: WEIGHT, shape: [codeDim, codeDim], start: { uniform: 1 / Math.sqrt(codeDim) } },
    { name: BIAS, shape: [codeDim], start: { uniform: 1 / Math.sqrt(codeDim) } },
  ];
}

/**
 * SimVQ (Zhu et al., "Addressing Representation Collapse in Vector Quantized Models with One Linear Layer", 2024):
 * the codes are fixed random vectors, seen through one trained linear layer. A step moves the whole space of codes, so no
 * code is left behind. The model's seed draws the vectors. The layer starts so that the codes have the mean and the
 * covariance of the first global batch's latents. The paper uses PyTorch's usual start, from which the codes need hundreds
 * of steps to reach the latents.
 */
class SimQuantiser extends CountingQuantiser implements Quantiser {
  private frozen: Float32Array;
  private ready = false;
  private tensor: tf.Tensor2D | undefined;

  constructor(
    private readonly options: Options,
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

  override get initialised(): boolean {
    return this.ready;
  }

  override async prepare({ latents, weights, ...batch }: GlobalBatch): Promise<void> {
    if (this.ready) return;
    const { codeDim } = this.options;
    const z = await latents?.();
    const { mean, triangle } = await spreadOf(z, codeDim, batch);
    z?.dispose();
    // The frozen vectors have covariance I / codeDim.
    const layer = Float32Array.from(
      triangle,
      (_, i) => Math.sqrt(codeDim) * triangle[(i % codeDim) * codeDim + Math.floor(i / codeDim)]!,
    );
    tf.tidy(() => {
      weights.get(WEIGHT)!.assign(tf.tensor2d(layer, [codeDim, codeDim]));
      weights.get(BIAS)!.assign(tf.tensor1d(mean));
    });
    this.ready = true;
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

  override state(): Map<string, StoredTensor> {
    const { codes, codeDim } = this.options;
    return new Map([
      [FROZEN, { shape: [codes, codeDim], data: this.frozen.slice() }],
      [INITIALISED, { shape: [1], data: Float32Array.of(this.ready ? 1 : 0) }],
    ]);
  }

  override load(state: ReadonlyMap<string, StoredTensor>): void {
    this.frozen = state.get(FROZEN)!.data.slice();
    this.ready = state.get(INITIALISED)!.data[0] === 1;
    this.dispose();
  }

  override dispose(): void {
    this.tensor?.dispose();
    this.tensor = undefined;
  }

  private nearest(latents: tf.Tensor2D, weights: Weights): tf.Tensor1D {
    if (!this.ready)
      throw new InvalidArgument('codebook', 'codes initialised from latents or loaded', 'neither');
    return nearestCode(latents, stopGradient(this.seen(this.frozenTensor(), weights)));
  }

  /** Frozen vectors as the linear layer shows them. */
  private seen(frozen: tf.Tensor2D, weights: Weights): tf.Tensor2D {
    const layer = weights.get(WEIGHT)! as tf.Tensor as tf.Tensor2D;
    return tf.add(tf.matMul(frozen, layer), weights.get(BIAS)!);
  }

  private frozenTensor(): tf.Tensor2D {
    const { codes, codeDim } = this.options;
    this.tensor ??= tf.keep(tf.tensor2d(this.frozen, [codes, codeDim]));
    return this.tensor;
  }
}

/** Keeps the triangle regular when channels are constant or equal. */
const LEAST_DEVIATION = 1e-3;

/**
 * Where the latents of all ranks lie, equal on every rank: their mean [width], and a lower triangle L [width, width] with
 * covariance L L'. `latents` are this rank's, if it has any.
 */
async function spreadOf(
  latents: tf.Tensor2D | undefined,
  width: number,
  { rows, sum }: Pick<GlobalBatch, 'rows' | 'sum'>,
) {
  const values = latents?.dataSync<'float32'>() ?? new Float32Array(0);
  const total = new Float64Array(width);
  for (let i = 0; i < values.length; i++) total[i % width]! += values[i]!;
  const means = Float32Array.from(total, (value) => value / rows.total);
  await sum([means]);
  const products = new Float64Array(width * width);
  for (let start = 0; start < values.length; start += width)
    for (let i = 0; i < width; i++)
      for (let j = 0; j <= i; j++)
        products[i * width + j]! += (values[start + i]! - means[i]!) * (values[start + j]! - means[j]!);
  const covariance = Float32Array.from(products, (value) => value / rows.total);
  await sum([covariance]);
  return { mean: means, triangle: cholesky(covariance, width) };
}

/** L with L L' = a + LEAST_DEVIATION^2 I; `a` is given by its lower triangle. */
function cholesky(a: Float32Array, width: number): Float64Array {
  const triangle = new Float64Array(width * width);
  for (let i = 0; i < width; i++)
    for (let j = 0; j <= i; j++) {
      let rest = a[i * width + j]! + (i === j ? LEAST_DEVIATION ** 2 : 0);
      for (let k = 0; k < j; k++) rest -= triangle[i * width + k]! * triangle[j * width + k]!;
      if (i === j) triangle[i * width + i] = Math.sqrt(Math.max(rest, LEAST_DEVIATION ** 2));
      else triangle[i * width + j] = rest / triangle[j * width + j]!;
    }
  return triangle;
}

/** All codes as the linear layer shows them, [codes * codeDim], from a model's state. */
function seenCodes({ codes, codeDim }: CodeSizes, state: ReadonlyMap<string, StoredTensor>): Float32Array {
  const [frozen, weight, bias] = [FROZEN, WEIGHT, BIAS].map((name) => state.get(name)!.data) as [
    Float32Array,
    Float32Array,
    Float32Array,
  ];
  return Float32Array.from({ length: codes * codeDim }, (_, i) => {
    const [code, out] = [Math.floor(i / codeDim), i % codeDim];
    let sum = bias[out]!;
    for (let k = 0; k < codeDim; k++) sum += frozen[code * codeDim + k]! * weight[k * codeDim + out]!;
    return sum;
  });
}

export const simvq = quantiserKind({
  meaning: 'a frozen codebook behind a linear layer',
  options,
  weights: linearLayer,
  create: (config, seed) => new SimQuantiser(config, seed),
  tables: (config, state) => [seenCodes(config, state)],
  choose: (graph, rows, { codeDim }, tables) => chooseNearest(graph, rows, codeDim, tables),
});
