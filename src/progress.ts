/** Progress of a long call. `what` names the things that `done` and `total` count ("patches", "steps", "bytes"). */
export interface Progress {
  readonly done: number;
  readonly total: number;
  readonly what: string;
}

/** Options of all long calls: a signal that ends the call early and a listener for its progress. */
export interface LongCall {
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: Progress) => void;
}
