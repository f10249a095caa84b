/** Coarser copies of a volume: each voxel of the copy is the mean of a box of the volume's voxels. */
import { eachAxis, type Vec3, voxelCount } from '../../vec3';
import { type Affine, shiftedAffine } from '../../volume/base/affine';

/** The shape of a copy whose voxels are boxes of `factors` voxels. Boxes at the border may have fewer. */
export function coarseShape(shape: Vec3, factors: Vec3): Vec3 {
  return eachAxis((axis) => Math.ceil(shape[axis] / factors[axis]));
}

/** The affine of that copy: the centre of each box of the part of the volume that begins at voxel `start`. */
export function coarseAffine(affine: Affine, factors: Vec3, start: Vec3 = [0, 0, 0]): Affine {
  const first = eachAxis((axis) => start[axis] + (factors[axis] - 1) / 2);
  return shiftedAffine(affine, first, factors);
}

/**
 * The smallest boxes with which a copy has at most `most` voxels, and at most `longest` along an axis. Boxes are as near
 * to cubes in mm as whole numbers of voxels allow, so axes of thick slices keep theirs longer.
 */
export function factorsFor(
  shape: Vec3,
  spacing: Vec3,
  most: number,
  longest = Number.POSITIVE_INFINITY,
): Vec3 {
  let factors: Vec3 = [1, 1, 1];
  const isTooLarge = (copy: Vec3): boolean =>
    voxelCount(copy) > most || copy.some((length) => length > longest);
  while (isTooLarge(coarseShape(shape, factors))) {
    const nextSide = eachAxis((axis) =>
      factors[axis] < shape[axis] ? (factors[axis] + 0.5) * spacing[axis] : Number.POSITIVE_INFINITY,
    );
    const side = Math.min(...nextSide);
    if (side === Number.POSITIVE_INFINITY) break; // one voxel is left
    const before = factors;
    factors = eachAxis((axis) => before[axis] + (nextSide[axis] <= side * (1 + 1e-6) ? 1 : 0));
  }
  return factors;
}

/**
 * The mean of each box. It counts finite voxels only, and never one of another box: where more than half of a box has no
 * finite value the copy has none (NaN), so the border of what is unknown stays where it is to half a box.
 *
 * @param voxels of shape `shape`, x fastest
 */
export function coarsen(voxels: Float32Array, shape: Vec3, factors: Vec3): Float32Array {
  if (factors.every((factor) => factor === 1)) return voxels;
  const [nx, ny, nz] = shape;
  const [fx, fy, fz] = factors;
  const [cx, cy, cz] = coarseShape(shape, factors);
  const copy = new Float32Array(cx * cy * cz);
  const sums = new Float64Array(cx);
  for (let z = 0, to = 0; z < nz; z += fz)
    for (let y = 0; y < ny; y += fy, to += cx) {
      sums.fill(0);
      const [endZ, endY] = [Math.min(z + fz, nz), Math.min(y + fy, ny)];
      for (let layer = z; layer < endZ; layer++)
        for (let row = y; row < endY; row++) addRow(voxels, (layer * ny + row) * nx, nx, fx, sums);
      for (let x = 0; x < cx; x++) {
        const [start, end] = [x * fx, Math.min((x + 1) * fx, nx)];
        const sum = sums[x]!;
        copy[to + x] = Number.isFinite(sum)
          ? sum / ((endZ - z) * (endY - y) * (end - start))
          : finiteMean(voxels, shape, [start, y, z], [end, endY, endZ]);
      }
    }
  return copy;
}

/** Adds the voxels of a row to the sums of its boxes. A sum with a value that is not finite is not finite either. */
function addRow(
  voxels: Float32Array,
  from: number,
  length: number,
  factor: number,
  sums: Float64Array,
): void {
  for (let box = 0, x = from; x < from + length; box++) {
    const end = Math.min(x + factor, from + length);
    let sum = 0;
    for (; x < end; x++) sum += voxels[x]!;
    sums[box]! += sum;
  }
}

/** The mean of the finite voxels of a box; NaN if they are less than half of it. */
function finiteMean(voxels: Float32Array, [nx, ny]: Vec3, start: Vec3, end: Vec3): number {
  let [sum, finite, all] = [0, 0, 0];
  for (let z = start[2]; z < end[2]; z++)
    for (let y = start[1]; y < end[1]; y++)
      for (let x = start[0]; x < end[0]; x++, all++) {
        const value = voxels[(z * ny + y) * nx + x]!;
        if (!Number.isFinite(value)) continue;
        sum += value;
        finite++;
      }
  return finite >= all / 2 ? sum / finite : Number.NaN;
}
