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
  private readonly averages: Map<string, Float32Array>;

  constructor(
    private readonly weights: Weights,
    private readonly decay: number,
  ) {
    this.averages = new Map([...weights].map(([name, weight]) => [name, valuesOf(weight)]));
  }

  /** Takes in the weights as they are after a step. @param step steps done before that step */
  update(step: number): void {
    const decay = Math.min(this.decay, (1 + step) / (10 + step));
    for (const [name, weight] of this.weights) {
      const average = this.averages.get(name)!;
      const values = weight.dataSync<'float32'>();
      for (let i = 0; i < average.length; i++) average[i] = decay * average[i]! + (1 - decay) * values[i]!;
    }
  }

  /** Runs something while the averages replace the weights. */
  async during<T>(use: () => Promise<T>): Promise<T> {
    const trained = new Map([...this.weights].map(([name, weight]) => [name, valuesOf(weight)]));
    assign(this.weights, this.averages);
    try {
      return await use();
    } finally {
      assign(this.weights, trained);
    }
  }

  /** By the weights' names, behind `average.`. Copies. */
  state(): Map<string, StoredTensor> {
    const stored = new Map<string, StoredTensor>();
    for (const [name, { shape }] of this.weights)
      stored.set(AVERAGE_PREFIX + name, { shape, data: this.averages.get(name)!.slice() });
    return stored;
  }

  /** @throws InvalidArgument unless every average is there and fits */
  load(state: ReadonlyMap<string, StoredTensor>): void {
    for (const [name, average] of this.averages)
      average.set(storedValues(state, AVERAGE_PREFIX + name, average.length, 'state'));
  }
}

function valuesOf(weight: tf.Variable): Float32Array {
  return weight.dataSync<'float32'>().slice();
}

function assign(weights: Weights, values: ReadonlyMap<string, Float32Array>): void {
  for (const [name, weight] of weights)
    tf.tidy(() => weight.assign(tf.tensor(values.get(name)!.slice(), weight.shape)));
}
