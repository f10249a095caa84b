/** How far a long call is. `done` and `total` count the same thing, named by `what` ("patches", "steps", "bytes"). */
export interface Progress {
  readonly done: number;
  readonly total: number;
  readonly what: string;
}

/** What every long call accepts: a signal that ends it early and a listener for its progress. */
export interface LongCall {
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: Progress) => void;
}
