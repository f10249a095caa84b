/** The ranks that share a global batch, as a model needs them where it must know what the others have. */
export interface Peers {
  /** What every rank passed, by rank. All must call it equally often; lengths may differ. */
  gather(values: Float32Array): Promise<readonly Float32Array[]>;
}

/** A rank of one. */
export const alone: Peers = { gather: async (values) => [values] };
