/**
 * What two volumes have where the reference has a value. A voxel that is NaN in the reference (background after a
 * resampling, say) has no truth to be compared with, so it counts in no metric. NaN of the candidate stays: what a
 * model did not give is its own fault.
 */
export function known(reference: Float32Array, candidate: Float32Array): [Float32Array, Float32Array] {
  if (countUnknown(reference) === 0) return [reference, candidate];
  const has = (_: number, i: number) => !Number.isNaN(reference[i]!);
  return [reference.filter(has), candidate.filter(has)];
}

/** How many voxels of a reference have no value. */
export function countUnknown(reference: ArrayLike<number>): number {
  let count = 0;
  for (let i = 0; i < reference.length; i++) if (Number.isNaN(reference[i]!)) count++;
  return count;
}
