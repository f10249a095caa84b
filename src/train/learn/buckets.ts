import type { Collective } from '../collective/collective';

/** Bytes of gradients that are summed over the ranks at once: large enough to be worth a message. */
const BUCKET = 4 * 2 ** 20;

/**
 * Sums gradients over the ranks while the backward pass goes on. Weights are dealt into buckets in one fixed order, the
 * last layer's first, as their gradients come. A bucket is sent once it and every bucket before it are complete, so
 * all ranks sum in one order, in whatever order their gradients came.
 */
export class GradientBuckets {
  private readonly buckets: readonly (readonly string[])[];
  private readonly bucketOf = new Map<string, number>();
  private readonly missing: number[];
  private sent = 0;
  private readonly sums: Promise<void>[] = [];

  constructor(
    private readonly gradients: ReadonlyMap<string, Float32Array>,
    private readonly collective: Collective,
    bytes = BUCKET,
  ) {
    this.buckets = deal(gradients, bytes);
    this.missing = this.buckets.map((names) => names.length);
    for (const [bucket, names] of this.buckets.entries())
      for (const name of names) this.bucketOf.set(name, bucket);
  }

  /** A weight's gradient is whole: nothing of this rank is added to it any more. */
  ready(name: string): void {
    this.missing[this.bucketOf.get(name)!]!--;
    while (this.sent < this.buckets.length && this.missing[this.sent] === 0) this.send();
  }

  /** Sends what is left, and returns once all is summed. @throws CollectiveFailed */
  async finish(): Promise<void> {
    while (this.sent < this.buckets.length) this.send();
    await Promise.all(this.sums);
  }

  private send(): void {
    const bucket = this.sent++;
    const arrays = this.buckets[bucket]!.map((name) => this.gradients.get(name)!);
    const sum = this.collective.allReduce(arrays, `gradients ${bucket}`);
    // `finish` throws it.
    sum.catch(() => {});
    this.sums.push(sum);
  }
}

function deal(gradients: ReadonlyMap<string, Float32Array>, bytes: number): string[][] {
  const buckets: string[][] = [];
  let free = 0;
  for (const [name, { byteLength }] of [...gradients].reverse()) {
    if (buckets.length === 0 || byteLength > free) {
      buckets.push([]);
      free = bytes;
    }
    buckets.at(-1)!.push(name);
    free -= byteLength;
  }
  return buckets;
}
