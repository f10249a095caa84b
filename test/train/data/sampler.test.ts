import { describe, expect, it } from 'vitest';
import { InvalidArgument } from '../../../src/errors';
import { type Cursor, Sampler } from '../../../src/train/data/sampler';
import type { RunConfig } from '../../../src/train/settings/config';

const sampler = (patches: number, batch: number, ranks: number, tail: RunConfig['tail'] = 'pad', seed = 7) =>
  new Sampler({ patches, seed, batch, accumulate: 1, ranks, tail });

/** The global batches of so many steps, each put together from all ranks' shares. */
function run(of: Sampler, ranks: number, steps: number): number[][] {
  let cursor: Cursor = { epoch: 0, position: 0 };
  return Array.from({ length: steps }, () => {
    const shares = Array.from({ length: ranks }, (_, rank) => of.share(cursor, rank));
    const patches = shares.flatMap((share) => share.patches);
    for (const [rank, share] of shares.entries()) {
      expect(share.total).toBe(patches.length);
      expect(share.offset).toBe(shares.slice(0, rank).reduce((sum, { patches: p }) => sum + p.length, 0));
    }
    cursor = shares[0]!.next;
    return patches;
  });
}

const sorted = (numbers: readonly number[]) => [...numbers].sort((a, b) => a - b);
const upTo = (n: number) => Array.from({ length: n }, (_, i) => i);

describe('sampler', () => {
  it('N ranks see what one rank with N times the batch sees', () => {
    for (const tail of ['pad', 'drop', 'uneven'] as const) {
      const one = run(sampler(23, 4, 1, tail), 1, 20);
      expect(run(sampler(23, 2, 2, tail), 2, 20)).toEqual(one);
      expect(run(sampler(23, 1, 4, tail), 4, 20)).toEqual(one);
    }
  });

  it('covers every patch once in an epoch, in another order in the next', () => {
    const batches = run(sampler(24, 2, 3), 3, 8);
    const [first, second] = [batches.slice(0, 4).flat(), batches.slice(4).flat()];
    expect(sorted(first)).toEqual(upTo(24));
    expect(sorted(second)).toEqual(upTo(24));
    expect(second).not.toEqual(first);
    expect(run(sampler(24, 2, 3, 'pad', 8), 3, 4).flat()).not.toEqual(first);
  });

  it('pad: fills the last step of an epoch with its first patches', () => {
    const batches = run(sampler(10, 2, 2), 2, 3);
    expect(sorted(batches.flat().slice(0, 10))).toEqual(upTo(10));
    expect(batches[2]!.slice(2)).toEqual(batches[0]!.slice(0, 2));
    expect(run(sampler(2, 5, 1), 1, 1)[0]).toHaveLength(5);
  });

  it('drop: leaves the tail out, and another part of the data every epoch', () => {
    const of = sampler(10, 2, 2, 'drop');
    const batches = run(of, 2, 40);
    expect(of.stepsPerEpoch).toBe(2);
    expect(new Set(batches.slice(0, 2).flat()).size).toBe(8);
    expect(new Set(batches.flat()).size).toBe(10);
    expect(() => sampler(3, 2, 2, 'drop')).toThrow(InvalidArgument);
  });

  it('uneven: deals the tail out to some ranks, each patch once', () => {
    const batches = run(sampler(9, 1, 4, 'uneven'), 4, 3);
    expect(batches.map((batch) => batch.length)).toEqual([4, 4, 1]);
    expect(sorted(batches.flat())).toEqual(upTo(9));
  });
});
