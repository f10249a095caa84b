import type { Collective } from '../collective/collective';
import type { Optimiser } from './optimiser';

/** Bytes of gradients that are summed over the ranks at once: large enough to be worth a message. */
const BUCKET = 4 * 2 ** 20;

interface Bucket {
  readonly optimiser: Optimiser;
  readonly names: readonly string[];
}

/**
 * Sums gradients over the ranks, where that pays while the backward pass goes on. Weights are dealt into buckets in one
 * fixed order, the last layer's first, as their gradients come. A bucket is sent once it and every bucket before it are
 * complete, so all ranks sum in one order, in whatever order their gradients came.
 */
export class GradientBuckets {
  private readonly buckets: readonly Bucket[];
  private readonly bucketOf = new Map<string, number>();
  private readonly missing: number[];
  private sent = 0;
  private readonly sums: Promise<void>[] = [];

  constructor(
    optimisers: readonly Optimiser[],
    private readonly collective: Collective,
    bytes = collective.overlaps ? BUCKET : Number.POSITIVE_INFINITY,
  ) {
    this.buckets = [...optimisers].reverse().flatMap((optimiser) => deal(optimiser, bytes));
    this.missing = this.buckets.map(({ names }) => names.length);
    for (const [bucket, { names }] of this.buckets.entries())
      for (const name of names) this.bucketOf.set(name, bucket);
  }

  /** A weight's gradient is whole: nothing of this rank is added to it any more. */
  ready(name: string): void {
    this.missing[this.bucketOf.get(name)!]!--;
    while (this.sent < this.buckets.length && this.missing[this.sent] === 0) this.send();
  }

  /**
   * Sends what is left, and returns once all is summed. Where sums overlap all is sent before this returns its promise.
   * @throws CollectiveFailed
   */
  async finish(): Promise<void> {
    while (this.sent < this.buckets.length) {
      const sum = this.send();
      if (!this.collective.overlaps) await sum;
    }
    await Promise.all(this.sums);
  }

  private send(): Promise<void> {
    const bucket = this.sent++;
    const { optimiser, names } = this.buckets[bucket]!;
    const sum = optimiser.sum(names, this.collective, `gradients ${bucket}`);
    // `finish` throws it.
    sum.catch(() => {});
    this.sums.push(sum);
    return sum;
  }
}

function deal(optimiser: Optimiser, bytes: number): Bucket[] {
  const buckets: string[][] = [];
  let free = 0;
  for (const [name, { size }] of [...optimiser.weights].reverse()) {
    const own = size * Float32Array.BYTES_PER_ELEMENT;
    if (buckets.length === 0 || own > free) {
      buckets.push([]);
      free = bytes;
    }
    buckets.at(-1)!.push(name);
    free -= own;
  }
  return buckets.map((names) => ({ optimiser, names }));
}
