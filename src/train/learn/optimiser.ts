import * as tf from '@tensorflow/tfjs-core';
import { currentBackend } from '../../compute/contract/registry';
import { adamStep, sumOfSquares } from '../../compute/ops/adam';
import { type StoredTensor, storedValues } from '../../safetensors';
import type { Collective } from '../collective/collective';

interface AdamOptions {
  /** Decay rates of the first and the second moment. */
  readonly betas: readonly [number, number];
  readonly weightDecay?: number;
  /** AdamW: weights decay by themselves. Else the decay is added to the gradient. */
  readonly decoupled?: boolean;
}

/** Moves a set of weights. It keeps the gradients of a step in the place where it needs them. */
export interface Optimiser {
  /** Steps done: the t of the bias correction. */
  readonly steps: number;
  readonly weights: ReadonlyMap<string, tf.Variable>;
  /** Forgets the gradients. */
  clear(): void;
  /** Adds to the gradient of a weight. The tensor stays the caller's. */
  add(name: string, gradient: tf.Tensor): void;
  /**
   * Sums the gradients of some weights over all ranks, under the same `operation` on each. Until that is done nothing may
   * be added to them. @throws CollectiveFailed
   */
  sum(names: readonly string[], collective: Collective, operation: string): Promise<void>;
  /** Scales the gradients to a global norm of at most `limit` (0: does not). Returns the norm that they had. */
  clip(limit: number): number;
  /** Moves every weight by its gradient. */
  step(learningRate: number): void;
  /** The moments by PyTorch's names. Copies. */
  state(): Map<string, StoredTensor>;
  /** Takes the moments of a checkpoint. @throws InvalidArgument unless each is there and fits */
  load(state: ReadonlyMap<string, StoredTensor>, steps: number): void;
  /** Frees what it holds on the backend. */
  dispose(): void;
}

/** The optimiser of a rank's weights: gradients and moments stay on a backend that can move weights. */
export function makeOptimiser(weights: ReadonlyMap<string, tf.Variable>, options: AdamOptions): Optimiser {
  return new (currentBackend().optimiser ? BackendAdam : Adam)(weights, options);
}

/** As PyTorch's. */
const EPSILON = 1e-8;
/** What PyTorch calls the first and the second moment. */
const MOMENTS = ['exp_avg', 'exp_avg_sq'] as const;

/**
 * Adam (Kingma & Ba, 2015, algorithm 1, with bias correction as in PyTorch). With decoupled weight decay it is AdamW
 * (Loshchilov & Hutter, 2019); all weights decay, as in PyTorch. A moment is an array or a tensor.
 */
abstract class AdamOf<Moment extends Float32Array | tf.Tensor> {
  steps = 0;
  protected readonly moments: Map<string, readonly [first: Moment, second: Moment]>;

  constructor(
    readonly weights: ReadonlyMap<string, tf.Variable>,
    private readonly options: AdamOptions,
  ) {
    const zeros = ({ size, shape }: tf.Variable) => this.momentOf(new Float32Array(size), shape);
    this.moments = new Map([...weights].map(([name, weight]) => [name, [zeros(weight), zeros(weight)]]));
  }

  abstract clear(): void;

  /** A moment with a copy of these values. */
  protected abstract momentOf(values: Float32Array, shape: number[]): Moment;

  /** Counts a step, and returns its factors. */
  protected nextStep(learningRate: number) {
    const { betas, weightDecay = 0, decoupled = false } = this.options;
    const [shrink, pull] = decoupled ? [1 - learningRate * weightDecay, 0] : [1, weightDecay];
    const [beta1, beta2] = betas;
    this.steps++;
    const rate = learningRate / (1 - beta1 ** this.steps);
    return { shrink, pull, beta1, beta2, rate, correction: Math.sqrt(1 - beta2 ** this.steps) };
  }

  state(): Map<string, StoredTensor> {
    const stored = new Map<string, StoredTensor>();
    for (const [name, { shape }] of this.weights)
      for (const [i, moment] of this.moments.get(name)!.entries())
        stored.set(`${MOMENTS[i]}.${name}`, { shape, data: valuesOf(moment) });
    return stored;
  }

  load(state: ReadonlyMap<string, StoredTensor>, steps: number): void {
    for (const [name, { size, shape }] of this.weights) {
      const [first, second] = MOMENTS.map((moment) =>
        storedValues(state, `${moment}.${name}`, size, 'optimiser state'),
      );
      this.setMoments(name, this.momentOf(first!, shape), this.momentOf(second!, shape));
    }
    this.steps = steps;
  }

  protected setMoments(name: string, first: Moment, second: Moment): void {
    free(this.moments.get(name)!);
    this.moments.set(name, [first, second]);
  }

  dispose(): void {
    this.clear();
    for (const moments of this.moments.values()) free(moments);
  }
}

function valuesOf(moment: Float32Array | tf.Tensor): Float32Array {
  return moment instanceof tf.Tensor ? moment.dataSync<'float32'>() : moment.slice();
}

function free(moments: readonly (Float32Array | tf.Tensor)[]): void {
  for (const moment of moments) if (moment instanceof tf.Tensor) moment.dispose();
}

/**
 * Adam in plain arrays, element by element in double precision: the same gradients give the same weights to the bit on any
 * backend.
 */
export class Adam extends AdamOf<Float32Array> implements Optimiser {
  readonly gradients: ReadonlyMap<string, Float32Array> = new Map(
    [...this.weights].map(([name, { size }]) => [name, new Float32Array(size)]),
  );

  clear(): void {
    for (const gradient of this.gradients.values()) gradient.fill(0);
  }

  add(name: string, gradient: tf.Tensor): void {
    const sum = this.gradients.get(name)!;
    const values = gradient.dataSync<'float32'>();
    for (let i = 0; i < sum.length; i++) sum[i] = sum[i]! + values[i]!;
  }

  async sum(names: readonly string[], collective: Collective, operation: string): Promise<void> {
    const arrays = names.map((name) => this.gradients.get(name)!);
    await collective.allReduce(arrays, operation);
  }

  /** As PyTorch's `clip_grad_norm_`. */
  clip(limit: number): number {
    const all = [...this.gradients.values()];
    let squares = 0;
    for (const g of all) for (let i = 0; i < g.length; i++) squares += g[i]! * g[i]!;
    const norm = Math.sqrt(squares);
    const scale = limit / (norm + 1e-6);
    if (limit > 0 && scale < 1) for (const g of all) for (let i = 0; i < g.length; i++) g[i]! *= scale;
    return norm;
  }

  step(learningRate: number): void {
    const { shrink, pull, beta1, beta2, rate, correction } = this.nextStep(learningRate);
    for (const [name, weight] of this.weights) {
      const g = this.gradients.get(name)!;
      const [m, v] = this.moments.get(name)!;
      const w = weight.dataSync<'float32'>().slice();
      for (let i = 0; i < w.length; i++) {
        const gradient = g[i]! + pull * w[i]!;
        m[i] = beta1 * m[i]! + (1 - beta1) * gradient;
        v[i] = beta2 * v[i]! + (1 - beta2) * gradient * gradient;
        w[i] = shrink * w[i]! - (rate * m[i]!) / (Math.sqrt(v[i]!) / correction + EPSILON);
      }
      tf.tidy(() => weight.assign(tf.tensor(w, weight.shape)));
    }
  }

  protected override momentOf(values: Float32Array): Float32Array {
    return values.slice();
  }
}

/**
 * Adam in float32 for backends with an `optimiser`. Gradients and moments never come to JavaScript, but for gradients
 * that only JavaScript can sum over the ranks.
 */
export class BackendAdam extends AdamOf<tf.Tensor> implements Optimiser {
  private readonly sums = new Map<string, tf.Tensor>();
  /** What the gradients are multiplied by: clipping moves none of them. */
  private scale = 1;

  clear(): void {
    tf.dispose([...this.sums.values()]);
    this.sums.clear();
    this.scale = 1;
  }

  add(name: string, gradient: tf.Tensor): void {
    const before = this.sums.get(name);
    this.sums.set(name, tf.keep(before ? tf.add(before, gradient) : tf.clone(gradient)));
    before?.dispose();
  }

  async sum(names: readonly string[], collective: Collective, operation: string): Promise<void> {
    if (collective.worldSize === 1 && !collective.reduceInPlace) return;
    const flat = this.takeFlat(names);
    try {
      if (collective.reduceInPlace) {
        await collective.reduceInPlace(flat, operation);
        this.putFlat(names, flat);
      } else {
        const values = flat.dataSync<'float32'>();
        await collective.allReduce([values], operation);
        tf.tidy(() => this.putFlat(names, tf.tensor1d(values)));
      }
    } finally {
      flat.dispose();
    }
  }

  clip(limit: number): number {
    const norm = Math.sqrt(sumOfSquares([...this.weights.keys()].map((name) => this.sums.get(name)!)));
    this.scale = limit > 0 ? Math.min(1, limit / (norm + 1e-6)) : 1;
    return norm;
  }

  step(learningRate: number): void {
    const { correction, ...factors } = this.nextStep(learningRate);
    const step = { ...factors, correction: 1 / correction, epsilon: EPSILON, scale: this.scale };
    for (const [name, weight] of this.weights) {
      const next = adamStep(weight, this.sums.get(name)!, ...this.moments.get(name)!, step);
      weight.assign(next.w);
      next.w.dispose();
      this.setMoments(name, tf.keep(next.m), tf.keep(next.v));
    }
  }

  protected override momentOf(values: Float32Array, shape: number[]): tf.Tensor {
    return tf.keep(tf.tensor(values, shape));
  }

  /** The gradients of some weights as one new tensor, zeros where there is none; they are no longer here. */
  private takeFlat(names: readonly string[]): tf.Tensor1D {
    return tf.tidy(() => {
      const parts = names.map((name): tf.Tensor1D => {
        const { size } = this.weights.get(name)!;
        const sum = this.sums.get(name);
        return sum ? tf.reshape(sum, [size]) : tf.zeros<tf.Rank.R1>([size]);
      });
      for (const name of names) this.sums.get(name)?.dispose();
      for (const name of names) this.sums.delete(name);
      // tfjs hands on a lone part, whose data are others' too. They must not change when these do.
      const flat: tf.Tensor1D = parts.length === 1 ? tf.add(parts[0]!, 0) : tf.concat(parts);
      return tf.keep(flat);
    });
  }

  private putFlat(names: readonly string[], flat: tf.Tensor1D): void {
    let at = 0;
    for (const name of names) {
      const { size, shape } = this.weights.get(name)!;
      const sum = tf.tidy(() => tf.reshape(tf.slice(flat, [at], [size]), shape));
      this.sums.set(name, tf.keep(sum));
      at += size;
    }
  }
}
