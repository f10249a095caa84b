/**
 * What ranks do together. Every rank calls the same operations in the same order, each with the same `name`; a rank
 * that does not is found out, and every rank throws `CollectiveFailed`. So it is when a rank dies (within seconds)
 * or is later than the timeout. Once failed, a collective stays failed.
 */
export interface Collective {
  readonly rank: number;
  readonly worldSize: number;
  /**
   * Whether a sum goes on while this rank computes, and whether that pays. Where it does, `allReduce` may be called
   * again before the last one is done; sums are then done in the order of the calls, which is the same on every rank.
   */
  readonly overlaps: boolean;
  /**
   * Sums the arrays over all ranks, in place, in float32 and in rank order: the result is the same to the bit on
   * every rank and in every run. All ranks pass the same lengths.
   */
  allReduce(arrays: readonly Float32Array[], name?: string): Promise<void>;
  /** Overwrites the arrays, in place, with those of rank `root`. */
  broadcast(arrays: readonly Float32Array[], root: number, name?: string): Promise<void>;
  /** Every rank's array, in rank order; lengths may differ. */
  allGather(array: Float32Array, name?: string): Promise<Float32Array[]>;
  /** Returns when every rank has come here. */
  barrier(name?: string): Promise<void>;
  /** Leaves. With a `reason`, the other ranks fail with it now rather than find a closed connection. */
  close(reason?: string): Promise<void>;
}

/** Where a rank stands, from torchrun's environment. */
export interface World {
  readonly rank: number;
  readonly worldSize: number;
  readonly localRank: number;
  /** Ranks on this host. */
  readonly localWorldSize: number;
  /** Where rank 0 can be reached. */
  readonly address: string;
  readonly port: number;
  /** Whether somebody else, such as torchrun's agent, serves a TCPStore on that port. */
  readonly storeIsServed: boolean;
  /** How often the launcher has restarted the ranks. */
  readonly life: string;
}
