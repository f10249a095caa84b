import type * as tf from '@tensorflow/tfjs-core';

/**
 * What ranks do together. Every rank calls the same operations in the same order, each with the same `name`. If a rank
 * calls another operation or dies, all ranks throw `CollectiveFailed` within seconds; if it is late, after the timeout. A
 * collective that has failed stays failed.
 */
export interface Collective {
  readonly rank: number;
  readonly worldSize: number;
  /**
   * Whether sums go on while this rank computes, so that it pays to call `allReduce` again before the last call is done.
   * Sums are then done in the order of the calls, which is the same on every rank.
   */
  readonly overlaps: boolean;
  /**
   * Sums the arrays over all ranks, in place, in float32 and in rank order: the result is the same to the bit on
   * every rank and in every run. All ranks pass the same lengths.
   */
  allReduce(arrays: readonly Float32Array[], name?: string): Promise<void>;
  /**
   * Sums a tensor of the current backend in place over all ranks, with the same bits on every rank. No other tensor may
   * have its data. Absent if this collective cannot reach the backend's tensors.
   */
  readonly reduceInPlace?: ((tensor: tf.Tensor, name?: string) => Promise<void>) | undefined;
  /** Overwrites the arrays, in place, with those of rank `root`. */
  broadcast(arrays: readonly Float32Array[], root: number, name?: string): Promise<void>;
  /** The arrays of all ranks, in rank order; lengths may differ. */
  allGather(array: Float32Array, name?: string): Promise<Float32Array[]>;
  /** Waits for all ranks. */
  barrier(name?: string): Promise<void>;
  /** Leaves the others. If there is a `reason`, they fail with it at once. */
  close(reason?: string): Promise<void>;
}
