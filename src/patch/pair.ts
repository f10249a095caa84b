import { InvalidArgument } from '../errors';
import type { VoxelSource } from './extract';

/** What the values of a metric refer to. */
export interface RangeOption {
  /** Greatest minus least value the data can have: 2 for [-1, 1], 1,000 for a window of 1,000 HU. Never guessed. */
  readonly dataRange: number;
}

/** The window of values that SSIM is taken over. */
export interface WindowOption extends RangeOption {
  /**
   * Least value the data can have, -1 for [-1, 1], -200 for a window from -200 HU; it is subtracted first. SSIM compares
   * means by their ratio, so without this it depends on where the units have their zero. Default 0.
   */
  readonly low?: number;
}

/** @throws InvalidArgument for a least value that is none */
export function expectLow(low: number): number {
  if (Number.isFinite(low)) return low;
  throw new InvalidArgument('low', 'a finite number', low);
}

/** @throws InvalidArgument unless there are values, as many on both sides */
export function expectSameLength(reference: VoxelSource, candidate: VoxelSource): void {
  if (reference.length === 0) throw new InvalidArgument('reference', 'at least one value', 'none');
  if (reference.length === candidate.length) return;
  throw new InvalidArgument('candidate', `${reference.length} values, as the reference`, candidate.length);
}

/** @throws InvalidArgument for a range that is none */
export function expectRange(dataRange: number): number {
  if (dataRange > 0 && dataRange < Infinity) return dataRange;
  throw new InvalidArgument('dataRange', 'a positive number', dataRange);
}
