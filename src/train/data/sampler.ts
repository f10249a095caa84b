import { InvalidArgument } from '../../errors';
import { Random } from '../../random';
import type { Tail } from '../settings/config';

/** Where a run is in its data. */
export interface Cursor {
  readonly epoch: number;
  /** Patches of this epoch that are done, over all ranks. */
  readonly position: number;
}

/** A rank's part of one step's global batch. */
export interface Share {
  /** Patches to train on, as the patch set counts them; empty where an uneven tail is too short for all ranks. */
  readonly patches: readonly number[];
  /** Patches of the global batch that lower ranks have. */
  readonly offset: number;
  /** Patches of the global batch. */
  readonly total: number;
  /** Where the next step begins. */
  readonly next: Cursor;
}

export interface SamplerOptions {
  /** Patches to draw from. */
  readonly patches: number;
  readonly seed: number;
  /** Patches per rank and pass through the model. */
  readonly batch: number;
  /** Passes per step; 1 by default. */
  readonly accumulate?: number;
  readonly ranks: number;
  readonly tail: Tail;
}

/**
 * Deals the patches of all training volumes out to the ranks. Every epoch has its own order, a pure function of
 * seed and epoch. The order is cut into global batches first and then into ranks, so N ranks see what one rank with
 * N times the batch sees.
 */
export class Sampler {
  private order: { readonly epoch: number; readonly patches: readonly number[] } | undefined;
  private readonly globalBatch: number;
  private readonly rankBatch: number;

  constructor(private readonly options: SamplerOptions) {
    const { patches, batch, accumulate = 1, ranks, tail } = options;
    this.rankBatch = batch * accumulate;
    this.globalBatch = this.rankBatch * ranks;
    if (patches < 1) throw new InvalidArgument('data', 'at least one training patch', patches);
    if (tail === 'drop' && patches < this.globalBatch)
      throw new InvalidArgument(
        'tail',
        `at least ${this.globalBatch} training patches (batch x accumulate x ranks) where the tail is dropped`,
        patches,
        ['pad', 'uneven'],
      );
  }

  get stepsPerEpoch(): number {
    const steps = this.options.patches / this.globalBatch;
    return this.options.tail === 'drop' ? Math.floor(steps) : Math.ceil(steps);
  }

  /** Steps from a cursor to the end of so many epochs. */
  stepsUntil({ epoch, position }: Cursor, epochs: number): number {
    if (epoch >= epochs) return 0;
    const rest = (this.options.patches - position) / this.globalBatch;
    const here = this.options.tail === 'drop' ? Math.floor(rest) : Math.ceil(rest);
    return here + (epochs - epoch - 1) * this.stepsPerEpoch;
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
    const wanted = this.options.tail === 'drop' ? this.globalBatch : 1;
    return this.options.patches - next >= wanted
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
