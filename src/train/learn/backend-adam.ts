import * as tf from '@tensorflow/tfjs-core';
import { adamStep, sumOfSquares } from '../../compute/ops/adam';
import { InvalidArgument } from '../../errors';
import type { StoredTensor } from '../../safetensors';
import type { AdamOptions } from './adam';

/**
 * Adam where the weights are, in float32, for backends with an `optimiser`: what `Adam` computes, but gradients and
 * moments never come to JavaScript.
 */
export class BackendAdam {
  /** Steps done: the t of the bias correction. */
  steps = 0;
  private readonly moments = new Map<string, { first: tf.Tensor; second: tf.Tensor }>();

  constructor(
    private readonly weights: ReadonlyMap<string, tf.Variable>,
    private readonly options: AdamOptions,
  ) {
    for (const [name, { shape }] of weights) {
      this.moments.set(name, { first: tf.keep(tf.zeros(shape)), second: tf.keep(tf.zeros(shape)) });
    }
  }

  /**
   * Moves every weight by its gradient times `scale`, which clips; at another learning rate where one is given. The
   * gradients stay the caller's.
   */
  step(
    gradients: Readonly<tf.NamedTensorMap>,
    learningRate: number = this.options.learningRate,
    scale = 1,
  ): void {
    const { epsilon = 1e-8, weightDecay = 0, decoupled = false } = this.options;
    const [shrink, pull] = decoupled ? [1 - learningRate * weightDecay, 0] : [1, weightDecay];
    const [beta1, beta2] = this.options.betas;
    this.steps++;
    const rate = learningRate / (1 - beta1 ** this.steps);
    const correction = 1 / Math.sqrt(1 - beta2 ** this.steps);
    const step = { rate, beta1, beta2, correction, epsilon, shrink, pull, scale };
    for (const [name, weight] of this.weights) {
      const { first, second } = this.moments.get(name)!;
      const next = adamStep(weight, gradients[name]!, first, second, step);
      weight.assign(next.w);
      this.moments.set(name, { first: tf.keep(next.m), second: tf.keep(next.v) });
      tf.dispose([next.w, first, second]);
    }
  }

  /** The moments by PyTorch's names. Copies. */
  state(): Map<string, StoredTensor> {
    const stored = new Map<string, StoredTensor>();
    for (const [name, { first, second }] of this.moments) {
      stored.set(`exp_avg.${name}`, { shape: first.shape, data: first.dataSync<'float32'>() });
      stored.set(`exp_avg_sq.${name}`, { shape: second.shape, data: second.dataSync<'float32'>() });
    }
    return stored;
  }

  /** Takes the moments of a checkpoint. @throws InvalidArgument unless each is there and fits. */
  load(state: ReadonlyMap<string, StoredTensor>, steps: number): void {
    const taken = (name: string, { shape, size }: tf.Tensor) => {
      const data = state.get(name)?.data;
      if (data?.length !== size)
        throw new InvalidArgument(`optimiser state ${name}`, `${size} numbers`, data?.length ?? 'nothing');
      return tf.keep(tf.tensor(data, shape));
    };
    for (const [name, before] of this.moments) {
      const first = taken(`exp_avg.${name}`, before.first);
      const second = taken(`exp_avg_sq.${name}`, before.second);
      tf.dispose([before.first, before.second]);
      this.moments.set(name, { first, second });
    }
    this.steps = steps;
  }

  /** Frees the moments. */
  dispose(): void {
    for (const { first, second } of this.moments.values()) tf.dispose([first, second]);
  }
}

/** The global norm of gradients on the backend, and the factor that brings it down to `limit` (0: none). */
export function clipping(
  gradients: Readonly<tf.NamedTensorMap>,
  limit: number,
): { norm: number; scale: number } {
  const norm = Math.sqrt(sumOfSquares(Object.values(gradients)));
  return { norm, scale: limit > 0 ? Math.min(1, limit / (norm + 1e-6)) : 1 };
}
