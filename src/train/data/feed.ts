import type { PatchSet } from './patch-set';
import type { Cursor, Sampler, Share } from './sampler';

/** One rank's way through the data. While a step computes, the patches of the next ones are read. */
export class Feed {
  /** Where the next step begins. */
  cursor: Cursor;

  constructor(
    private readonly sampler: Sampler,
    private readonly patches: PatchSet,
    private readonly options: { readonly rank: number; readonly prefetch: number; readonly from: Cursor },
  ) {
    this.cursor = options.from;
  }

  /** The rank's share of the next step, and the epoch that the step belongs to. */
  next(): Share & { readonly epoch: number } {
    const { rank, prefetch } = this.options;
    const { epoch } = this.cursor;
    const share = this.sampler.share(this.cursor, rank);
    this.patches.prefetch(share.patches);
    // No more steps than that: patches read ahead stay in memory.
    let ahead = share.next;
    for (let i = 0; i < prefetch; i++) {
      const later = this.sampler.share(ahead, rank);
      this.patches.prefetch(later.patches);
      ahead = later.next;
    }
    this.cursor = share.next;
    return { ...share, epoch };
  }
}
