import * as tf from '@tensorflow/tfjs-core';
import { InvalidArgument } from '../../errors';
import type { StoredTensor } from '../../safetensors';
import type { AdamOptions, Optimiser } from './optimiser';

/**
 * Adam (Kingma & Ba, 2015, algorithm 1, with bias correction as in PyTorch). It computes in plain arrays, element
 * by element in double precision, so the same gradients give the same weights to the bit on any backend. With
 * decoupled weight decay it is AdamW (Loshchilov & Hutter, 2019); all weights decay, as in PyTorch.
 */
export class Adam implements Optimiser {
  steps = 0;
  readonly gradients: ReadonlyMap<string, Float32Array>;
  private readonly first: Map<string, Float32Array>;
  private readonly second: Map<string, Float32Array>;

  constructor(
    private readonly weights: ReadonlyMap<string, tf.Variable>,
    private readonly options: AdamOptions,
  ) {
    const zeros = () => new Map([...weights].map(([name, { size }]) => [name, new Float32Array(size)]));
    [this.gradients, this.first, this.second] = [zeros(), zeros(), zeros()];
  }

  clear(): void {
    for (const gradient of this.gradients.values()) gradient.fill(0);
  }

  add(name: string, gradient: tf.Tensor): void {
    const sum = this.gradients.get(name)!;
    const values = gradient.dataSync<'float32'>();
    for (let i = 0; i < sum.length; i++) sum[i] = sum[i]! + values[i]!;
  }

  clip(limit: number): number {
    return clipByGlobalNorm(this.gradients.values(), limit);
  }

  step(learningRate: number): void {
    const { epsilon = 1e-8, weightDecay = 0, decoupled = false } = this.options;
    const [shrink, pull] = decoupled ? [1 - learningRate * weightDecay, 0] : [1, weightDecay];
    const [beta1, beta2] = this.options.betas;
    this.steps++;
    const rate = learningRate / (1 - beta1 ** this.steps);
    const correction = Math.sqrt(1 - beta2 ** this.steps);
    for (const [name, weight] of this.weights) {
      const g = this.gradients.get(name)!;
      const m = this.first.get(name)!;
      const v = this.second.get(name)!;
      const w = weight.dataSync<'float32'>().slice();
      for (let i = 0; i < w.length; i++) {
        const gradient = g[i]! + pull * w[i]!;
        m[i] = beta1 * m[i]! + (1 - beta1) * gradient;
        v[i] = beta2 * v[i]! + (1 - beta2) * gradient * gradient;
        w[i] = shrink * w[i]! - (rate * m[i]!) / (Math.sqrt(v[i]!) / correction + epsilon);
      }
      const moved = tf.tensor(w, weight.shape);
      weight.assign(moved);
      moved.dispose();
    }
  }

  state(): Map<string, StoredTensor> {
    const stored = new Map<string, StoredTensor>();
    for (const [name, { shape }] of this.weights) {
      stored.set(`exp_avg.${name}`, { shape, data: this.first.get(name)!.slice() });
      stored.set(`exp_avg_sq.${name}`, { shape, data: this.second.get(name)!.slice() });
    }
    return stored;
  }

  load(state: ReadonlyMap<string, StoredTensor>, steps: number): void {
    for (const [name, { size }] of this.weights) {
      this.first.set(name, momentOf(state, `exp_avg.${name}`, size).slice());
      this.second.set(name, momentOf(state, `exp_avg_sq.${name}`, size).slice());
    }
    this.steps = steps;
  }

  dispose(): void {}
}

/** A moment of a checkpoint. @throws InvalidArgument unless it is there and fits */
export function momentOf(
  state: ReadonlyMap<string, StoredTensor>,
  name: string,
  size: number,
): StoredTensor['data'] {
  const data = state.get(name)?.data;
  if (data?.length !== size)
    throw new InvalidArgument(`optimiser state ${name}`, `${size} numbers`, data?.length ?? 'nothing');
  return data;
}

/**
 * Scales the gradients down, in place, to a global norm of at most `limit` (0: not at all), as PyTorch's
 * `clip_grad_norm_`. Returns the norm they had.
 */
export function clipByGlobalNorm(gradients: Iterable<Float32Array>, limit: number): number {
  const all = [...gradients];
  let squares = 0;
  for (const g of all) for (let i = 0; i < g.length; i++) squares += g[i]! * g[i]!;
  const norm = Math.sqrt(squares);
  const scale = limit / (norm + 1e-6);
  if (limit > 0 && scale < 1) for (const g of all) for (let i = 0; i < g.length; i++) g[i]! *= scale;
  return norm;
}
