import * as tf from '@tensorflow/tfjs-core';
import type { Weights } from '../../model/weights';
import { type StoredTensor, storedValues } from '../../safetensors';

/** What an averaged weight is called in a checkpoint. */
export const AVERAGE_PREFIX = 'average.';

/**
 * An exponential moving average of a model's weights, which varies less than they do. The first steps count for more,
 * by min(decay, (1 + t) / (10 + t)); otherwise the start of training would stay in it for long.
 */
export class WeightAverage {
  /** On the backend; no kernel changes a tensor, so the weights may share their data. */
  private readonly averages: Map<string, tf.Tensor>;

  constructor(
    private readonly weights: Weights,
    private readonly decay: number,
  ) {
    this.averages = new Map([...weights].map(([name, weight]) => [name, tf.keep(tf.clone(weight))]));
  }

  /** Takes in the weights as they are after a step. @param step steps done before that step */
  update(step: number): void {
    const decay = Math.min(this.decay, (1 + step) / (10 + step));
    for (const [name, weight] of this.weights) {
      const average = this.averages.get(name)!;
      this.set(
        name,
        tf.tidy(() => tf.add(average, tf.mul(tf.sub(weight, average), 1 - decay))),
      );
    }
  }

  /** Runs something while the averages replace the weights. */
  async during<T>(use: () => Promise<T>): Promise<T> {
    const trained = new Map([...this.weights].map(([name, weight]) => [name, tf.keep(tf.clone(weight))]));
    this.assign(this.averages);
    try {
      return await use();
    } finally {
      this.assign(trained);
      tf.dispose([...trained.values()]);
    }
  }

  /** By the weights' names, behind `average.`. Copies. */
  state(): Map<string, StoredTensor> {
    const stored = new Map<string, StoredTensor>();
    for (const [name, { shape }] of this.weights)
      stored.set(AVERAGE_PREFIX + name, {
        shape,
        data: this.averages.get(name)!.dataSync<'float32'>().slice(),
      });
    return stored;
  }

  /** @throws InvalidArgument unless every average is there and fits */
  load(state: ReadonlyMap<string, StoredTensor>): void {
    for (const [name, { size, shape }] of this.averages) {
      const values = storedValues(state, AVERAGE_PREFIX + name, size, 'state');
      this.set(name, tf.tensor(values.slice(), shape));
    }
  }

  /** Frees the averages. */
  dispose(): void {
    tf.dispose([...this.averages.values()]);
  }

  private set(name: string, average: tf.Tensor): void {
    this.averages.get(name)!.dispose();
    this.averages.set(name, tf.keep(average));
  }

  private assign(values: ReadonlyMap<string, tf.Tensor>): void {
    for (const [name, weight] of this.weights) weight.assign(values.get(name)!);
  }
}
