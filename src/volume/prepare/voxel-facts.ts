import { crc32 } from 'node:zlib';
import type { VolumeHeader } from '../formats/header';
import { valueRange } from '../intensity';
import { type ReadOptions, scanVolume } from '../read';

/** What the values of a volume tell. Only finite values count. */
export interface VoxelFacts {
  /** Least and greatest value. */
  readonly range: readonly [number, number];
  /** The least value but one. It is far from the least if that is padding. */
  readonly second: number;
  /** Part of the voxels with the least value, and below `farBelowAir`. */
  readonly atLeast: number;
  /** NaN if an older dataset does not know it. */
  readonly belowAir: number;
  /** The same for the same values in the same order, whatever their format and type. */
  readonly digest: string;
}

/** Air is -1000 HU; noise and filters reach a little lower. */
export const farBelowAir = -1200;

/** Part of the voxels that are far below air and have not the least value: not padding, but values. */
export function partBelowAir(
  stored: ArrayLike<number>,
  scaling: { readonly slope: number; readonly intercept: number },
): number {
  const { slope, intercept } = scaling;
  const [least] = valueRange(stored, scaling) ?? [0];
  let count = 0;
  for (let n = 0; n < stored.length; n++) {
    const value = Math.fround(stored[n]! * slope + intercept);
    if (value < farBelowAir && value > least) count++;
  }
  return count / stored.length;
}

/** Reads a volume once, in little memory. The facts are undefined if no value is finite. Errors are those of `readVolume`. */
export async function readFacts(
  path: string,
  options: ReadOptions,
): Promise<{ header: VolumeHeader; facts: VoxelFacts | undefined }> {
  const sums = new ValueSums();
  const header = await scanVolume(path, options, (values) => sums.add(values));
  return { header, facts: sums.facts() };
}

class ValueSums {
  private low = Number.POSITIVE_INFINITY;
  private second = Number.POSITIVE_INFINITY;
  private high = Number.NEGATIVE_INFINITY;
  private lows = 0;
  private below = 0;
  private count = 0;
  private checksum = 0;

  add(values: Float32Array): void {
    let { low, second, high, lows, below } = this;
    for (let n = 0; n < values.length; n++) {
      const value = values[n]!;
      if (value < farBelowAir) below++;
      if (value > low) {
        if (value < second) second = value;
        if (value > high && value !== Number.POSITIVE_INFINITY) high = value;
      } else if (value === low) lows++;
      else if (value < low && value !== Number.NEGATIVE_INFINITY) {
        [second, low, lows] = [low, value, 1];
        if (value > high) high = value;
      }
    }
    Object.assign(this, { low, second, high, lows, below });
    this.count += values.length;
    this.checksum = crc32(Buffer.from(values.buffer, values.byteOffset, values.byteLength), this.checksum);
  }

  facts(): VoxelFacts | undefined {
    const { low, second, high, lows, below, count, checksum } = this;
    if (high === Number.NEGATIVE_INFINITY) return undefined;
    return {
      range: [low, high],
      second: Number.isFinite(second) ? second : low,
      atLeast: lows / count,
      belowAir: below / count,
      // With the counts, because a checksum of 32 bits alone may be the same by chance.
      digest: [checksum, count, low, high, lows, below].join(' '),
    };
  }
}
