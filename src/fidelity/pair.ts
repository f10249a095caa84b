import { InvalidArgument } from '../errors';
import type { VoxelSource } from '../patch/extract';

/** What the values of a measure refer to. */
export interface RangeOption {
  /** Greatest minus least value the data can have: 2 for [-1, 1], 1,000 for a window of 1,000 HU. Never guessed. */
  readonly dataRange: number;
}

/** The values that SSIM is taken over. */
export interface IntensityRange extends RangeOption {
  /**
   * Least value the data can have: -1 for [-1, 1], -200 for an intensity window from -200 HU. SSIM subtracts it first,
   * because it compares means by their ratio, which depends on where the units have their zero. Default 0.
   */
  readonly low?: number;
}

/** @throws InvalidArgument unless the least value is finite */
export function expectLow(low: number): number {
  if (Number.isFinite(low)) return low;
  throw new InvalidArgument('low', 'a finite number', low);
}

/** @throws InvalidArgument unless both sides have equally many values, at least one */
export function expectSameLength(reference: VoxelSource, candidate: VoxelSource): void {
  if (reference.length === 0) throw new InvalidArgument('reference', 'at least one value', 'none');
  if (reference.length === candidate.length) return;
  throw new InvalidArgument('candidate', `${reference.length} values, as the reference`, candidate.length);
}

/** @throws InvalidArgument unless the range is positive and finite */
export function expectRange(dataRange: number): number {
  if (dataRange > 0 && dataRange < Infinity) return dataRange;
  throw new InvalidArgument('dataRange', 'a positive number', dataRange);
}

/** How many voxels of a reference have no value. */
export function countUnknown(reference: ArrayLike<number>): number {
  let count = 0;
  for (let i = 0; i < reference.length; i++) if (Number.isNaN(reference[i]!)) count++;
  return count;
}
