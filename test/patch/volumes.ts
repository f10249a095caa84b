import type { Grid } from '../../src/patch/grid';
import { planGrid } from '../../src/patch/grid';
import { Random } from '../../src/random';
import type { Vec3 } from '../../src/vec3';

/** Values in [-1, 1] that differ at every voxel. */
export function noise(shape: Vec3, seed: number, channels = 1): Float32Array {
  const random = new Random(seed, 'noise');
  return Float32Array.from(
    { length: shape[0] * shape[1] * shape[2] * channels },
    () => 2 * random.next() - 1,
  );
}

/** A small grid drawn at random: dividing and not, patches smaller and larger than the volume. */
export function randomGrid(random: Random): Grid {
  const size = (): Vec3 => [1 + random.below(21), 1 + random.below(21), 1 + random.below(21)];
  const patch: Vec3 = [1 + random.below(12), 1 + random.below(12), 1 + random.below(12)];
  const stride: Vec3 = [1 + random.below(patch[0]), 1 + random.below(patch[1]), 1 + random.below(patch[2])];
  return planGrid(size(), { patch, stride, layout: random.below(2) ? 'even' : 'snapped' });
}

export function greatestDifference(a: Float32Array, b: Float32Array): number {
  let greatest = a.length === b.length ? 0 : Infinity;
  // Written so that a NaN on either side counts as a difference.
  for (let i = 0; i < a.length; i++) {
    const difference = Math.abs(a[i]! - b[i]!);
    if (!(difference <= greatest)) greatest = difference;
  }
  return greatest;
}
