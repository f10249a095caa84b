import { InvalidArgument } from '../errors';
import type { VoxelSource } from './extract';

/** What the values of a metric refer to. */
export interface RangeOption {
  /** Greatest minus least value the data can have: 2 for [-1, 1], 1,000 for a window of 1,000 HU. Never guessed. */
  readonly dataRange: number;
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
