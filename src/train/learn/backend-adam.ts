import * as tf from '@tensorflow/tfjs-core';
import { adamStep, sumOfSquares } from '../../compute/ops/adam';
import type { StoredTensor } from '../../safetensors';
import { momentOf } from './adam';
import type { AdamOptions, Optimiser } from './optimiser';

/**
 * Adam where the weights are, in float32, for backends with an `optimiser`: what `Adam` computes, but gradients and
 * moments never come to JavaScript.
 */
export class BackendAdam implements Optimiser {
  steps = 0;
  readonly gradients: ReadonlyMap<string, Float32Array> = new Map();
  private readonly sums = new Map<string, tf.Tensor>();
  /** What the gradients are multiplied by: clipping moves none of them. */
  private scale = 1;
  private readonly moments = new Map<string, { first: tf.Tensor; second: tf.Tensor }>();

  constructor(
    private readonly weights: ReadonlyMap<string, tf.Variable>,
    private readonly options: AdamOptions,
  ) {
    for (const [name, { shape }] of weights) {
      this.moments.set(name, { first: tf.keep(tf.zeros(shape)), second: tf.keep(tf.zeros(shape)) });
    }
  }

  clear(): void {
    tf.dispose([...this.sums.values()]);
    this.sums.clear();
    this.scale = 1;
  }

  add(name: string, gradient: tf.Tensor): void {
    const before = this.sums.get(name);
    this.sums.set(name, before ? tf.add(before, gradient) : tf.clone(gradient));
    before?.dispose();
  }

  clip(limit: number): number {
    const norm = Math.sqrt(sumOfSquares([...this.weights.keys()].map((name) => this.sums.get(name)!)));
    this.scale = limit > 0 ? Math.min(1, limit / (norm + 1e-6)) : 1;
    return norm;
  }

  step(learningRate: number): void {
    const { epsilon = 1e-8, weightDecay = 0, decoupled = false } = this.options;
    const [shrink, pull] = decoupled ? [1 - learningRate * weightDecay, 0] : [1, weightDecay];
    const [beta1, beta2] = this.options.betas;
    this.steps++;
    const rate = learningRate / (1 - beta1 ** this.steps);
    const correction = 1 / Math.sqrt(1 - beta2 ** this.steps);
    const step = { rate, beta1, beta2, correction, epsilon, shrink, pull, scale: this.scale };
    for (const [name, weight] of this.weights) {
      const { first, second } = this.moments.get(name)!;
      const next = adamStep(weight, this.sums.get(name)!, first, second, step);
      weight.assign(next.w);
      this.moments.set(name, { first: tf.keep(next.m), second: tf.keep(next.v) });
      tf.dispose([next.w, first, second]);
    }
  }

  state(): Map<string, StoredTensor> {
    const stored = new Map<string, StoredTensor>();
    for (const [name, { first, second }] of this.moments) {
      stored.set(`exp_avg.${name}`, { shape: first.shape, data: first.dataSync<'float32'>() });
      stored.set(`exp_avg_sq.${name}`, { shape: second.shape, data: second.dataSync<'float32'>() });
    }
    return stored;
  }

  load(state: ReadonlyMap<string, StoredTensor>, steps: number): void {
    const taken = (name: string, { shape, size }: tf.Tensor) =>
      tf.keep(tf.tensor(momentOf(state, name, size), shape));
    for (const [name, before] of this.moments) {
      const first = taken(`exp_avg.${name}`, before.first);
      const second = taken(`exp_avg_sq.${name}`, before.second);
      tf.dispose([before.first, before.second]);
      this.moments.set(name, { first, second });
    }
    this.steps = steps;
  }

  dispose(): void {
    this.clear();
    for (const { first, second } of this.moments.values()) tf.dispose([first, second]);
  }
}
