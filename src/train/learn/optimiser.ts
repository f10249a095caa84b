import type * as tf from '@tensorflow/tfjs-core';
import { currentBackend } from '../../compute/contract/registry';
import type { StoredTensor } from '../../safetensors';
import { Adam } from './adam';
import { BackendAdam } from './backend-adam';

export interface AdamOptions {
  /** Decay rates of the first and the second moment. */
  readonly betas: readonly [number, number];
  readonly epsilon?: number;
  readonly weightDecay?: number;
  /** AdamW: weights decay by themselves. Else the decay is added to the gradient. */
  readonly decoupled?: boolean;
}

/** Moves a set of weights. It keeps the gradients of a step in the place where it needs them. */
export interface Optimiser {
  /** Steps done: the t of the bias correction. */
  readonly steps: number;
  /** The gradients that must be summed over the ranks, by weight; none where they stay on the backend. */
  readonly gradients: ReadonlyMap<string, Float32Array>;
  /** Forgets the gradients. */
  clear(): void;
  /** Adds to the gradient of a weight. The tensor stays the caller's. */
  add(name: string, gradient: tf.Tensor): void;
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

/**
 * The optimiser of a rank's weights.
 * @param alone whether there is one rank: gradients and moments then stay on a backend that can move weights
 */
export function makeOptimiser(
  weights: ReadonlyMap<string, tf.Variable>,
  options: AdamOptions,
  alone: boolean,
): Optimiser {
  return new (alone && currentBackend().optimiser ? BackendAdam : Adam)(weights, options);
}
