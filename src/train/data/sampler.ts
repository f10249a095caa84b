import { InvalidArgument } from '../../errors';
import { Random } from '../../random';
import type { RunConfig } from '../settings/config';
import type { PatchSet } from './patch-set';

/** Where a run is in its data. */
export interface Cursor {
  readonly epoch: number;
  /** Patches of this epoch that are done, over all ranks. */
  readonly position: number;
}

/** A rank's part of one step's global batch. */
export interface Share {
  /** Patches to train on, by their numbers in the patch set; empty if an uneven tail is too short for all ranks. */
  readonly patches: readonly number[];
  /** Patches of the global batch in lower ranks. */
  readonly offset: number;
  /** Patches of the global batch. */
  readonly total: number;
  /** Where the next step begins. */
  readonly next: Cursor;
}

/**
 * Deals `patches` training patches to the ranks. Every epoch has its own order, a pure function of seed and epoch. The
 * order is cut first into global batches and then into ranks, so N ranks see the same as one rank with N times the batch.
 */
export class Sampler {
  private order: { readonly epoch: number; readonly patches: readonly number[] } | undefined;
  private readonly globalBatch: number;
  private readonly rankBatch: number;

  constructor(
    private readonly options: Pick<RunConfig, 'seed' | 'batch' | 'accumulate' | 'ranks' | 'tail'> & {
      readonly patches: number;
    },
  ) {
    const { patches, batch, accumulate, ranks, tail } = options;
    this.rankBatch = batch * accumulate;
    this.globalBatch = this.rankBatch * ranks;
    if (patches < 1) throw new InvalidArgument('data', 'at least one training patch', patches);
    if (tail === 'drop' && patches < this.globalBatch)
      throw new InvalidArgument(
        'tail',
        `at least ${this.globalBatch} training patches (batch x accumulate x ranks) if the tail is dropped`,
        patches,
        ['pad', 'uneven'],
      );
  }

  get stepsPerEpoch(): number {
    return this.stepsIn(this.options.patches);
  }

  /** Steps from a cursor to the end of so many epochs. */
  stepsUntil({ epoch, position }: Cursor, epochs: number): number {
    if (epoch >= epochs) return 0;
    return this.stepsIn(this.options.patches - position) + (epochs - epoch - 1) * this.stepsPerEpoch;
  }

  private stepsIn(patches: number): number {
    const steps = patches / this.globalBatch;
    return this.options.tail === 'drop' ? Math.floor(steps) : Math.ceil(steps);
  }

  /** What `rank` does in the step that begins at `cursor`. */
  share(cursor: Cursor, rank: number): Share {
    const { ranks, tail } = this.options;
    const global = this.globalPatches(cursor);
    const next = this.after(cursor);
    const whole = tail !== 'uneven' || global.length === this.globalBatch;
    const [from, to] = whole
      ? [rank * this.rankBatch, (rank + 1) * this.rankBatch]
      : [rank, rank + 1].map((r) => Math.floor((r * global.length) / ranks));
    return { patches: global.slice(from, to), offset: from!, total: global.length, next };
  }

  private globalPatches({ epoch, position }: Cursor): number[] {
    const order = this.orderOf(epoch);
    const rest = order.slice(position, position + this.globalBatch);
    if (this.options.tail !== 'pad') return rest;
    for (let i = 0; rest.length < this.globalBatch; i++) rest.push(order[i % order.length]!);
    return rest;
  }

  private after({ epoch, position }: Cursor): Cursor {
    const next = position + this.globalBatch;
    return this.stepsIn(this.options.patches - next) > 0
      ? { epoch, position: next }
      : { epoch: epoch + 1, position: 0 };
  }

  private orderOf(epoch: number): readonly number[] {
    if (this.order?.epoch !== epoch) {
      const random = new Random(this.options.seed, 'epoch', epoch);
      this.order = { epoch, patches: random.permutation(this.options.patches) };
    }
    return this.order.patches;
  }
}

/** One rank's way through the data. It reads the patches of the next steps while a step computes. */
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
    // Not further: patches read ahead stay in memory.
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
