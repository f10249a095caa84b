import { eachAxis, type Vec3 } from '../../vec3';

/**
 * 16 numbers in row-major order that map a voxel index [i, j, k, 1] to the voxel's centre in NIfTI's world in mm: x to
 * the patient's right, y to the front, z to the head.
 */
export type Affine = readonly number[];

/** The affine whose axes lie along the world's, with steps in mm and voxel `centre` at the world's origin. */
export function diagonalAffine([dx, dy, dz]: Vec3, centre: Vec3): Affine {
  const offset = [dx, dy, dz].map((step, axis) => 0 - step * centre[axis]!);
  return [dx, 0, 0, offset[0]!, 0, dy, 0, offset[1]!, 0, 0, dz, offset[2]!, 0, 0, 0, 1];
}

/** The point in the middle of a volume, in voxels. */
export function centreOf(shape: Vec3): Vec3 {
  return eachAxis((axis) => (shape[axis] - 1) / 2);
}

/** Lengths in mm of one voxel step along x, y and z: the norms of the affine's columns. */
export function affineSpacing(affine: Affine): Vec3 {
  return eachAxis((axis) => Math.hypot(affine[axis]!, affine[axis + 4]!, affine[axis + 8]!));
}

/** The affine of a grid whose first voxel lies at voxel `start` and whose voxels are `step` voxels apart. */
export function shiftedAffine(affine: Affine, start: Vec3, step: Vec3): Affine {
  return affine.map((value, at) => {
    const [row, column] = [Math.floor(at / 4), at % 4];
    if (row === 3) return value;
    if (column < 3) return value * step[column]!;
    return value + start.reduce((sum, along, axis) => sum + affine[row * 4 + axis]! * along, 0);
  });
}

function determinant(matrix: readonly number[]): number {
  const [a, b, c, d, e, f, g, h, i] = matrix as number[];
  return a! * (e! * i! - f! * h!) - b! * (d! * i! - f! * g!) + c! * (d! * h! - e! * g!);
}

/** Inverse of a 3 x 3 matrix by its adjugate. A singular matrix gives infinities or NaN. */
function inverse(matrix: readonly number[]): number[] {
  const [a, b, c, d, e, f, g, h, i] = matrix as number[];
  const scale = 1 / determinant(matrix);
  return [
    e! * i! - f! * h!,
    c! * h! - b! * i!,
    b! * f! - c! * e!,
    f! * g! - d! * i!,
    a! * i! - c! * g!,
    c! * d! - a! * f!,
    d! * h! - e! * g!,
    b! * g! - a! * h!,
    a! * e! - b! * d!,
  ].map((cofactor) => cofactor * scale);
}

/**
 * The orthogonal matrix nearest to a 3 x 3 matrix: the limit of X -> (X + X^-T) / 2 (Higham, "Computing the polar
 * decomposition", 1986). Undefined for a singular or non-finite matrix.
 */
function nearestOrthogonal(matrix: readonly number[]): number[] | undefined {
  let x = [...matrix];
  for (let step = 0; step < 100; step++) {
    const back = inverse(x);
    const next = x.map((value, at) => (value + back[(at % 3) * 3 + Math.floor(at / 3)]!) / 2);
    if (!next.every(Number.isFinite)) return undefined;
    const change = Math.max(...next.map((value, at) => Math.abs(value - x[at]!)));
    x = next;
    if (change < 1e-14) break;
  }
  return x;
}

/**
 * The affine of a NIfTI qform: a unit quaternion's vector part, voxel sizes, position, handedness (nifti1.h).
 * A vector longer than 1 means a half turn around it, as in nifti1_io.c.
 */
export function quaternionAffine(quaternion: Vec3, spacing: Vec3, offset: Vec3, qfac: 1 | -1): Affine {
  const length = Math.hypot(...quaternion);
  const [b, c, d] = length > 1 ? (quaternion.map((q) => q / length) as [number, number, number]) : quaternion;
  const a = Math.sqrt(Math.max(0, 1 - (b * b + c * c + d * d)));
  const rotation = [
    a * a + b * b - c * c - d * d,
    2 * (b * c - a * d),
    2 * (b * d + a * c),
    2 * (b * c + a * d),
    a * a + c * c - b * b - d * d,
    2 * (c * d - a * b),
    2 * (b * d - a * c),
    2 * (c * d + a * b),
    a * a + d * d - b * b - c * c,
  ];
  const scale = [spacing[0], spacing[1], spacing[2] * qfac];
  const rows = rotation.map((value, at) => value * scale[at % 3]!);
  return [...offset.flatMap((shift, row) => [...rows.slice(3 * row, 3 * row + 3), shift]), 0, 0, 0, 1];
}

/** The affine's 3 x 3 part, row-major, with columns of length 1. */
function unitColumns(affine: Affine): number[] {
  const spacing = affineSpacing(affine);
  return [0, 1, 2, 4, 5, 6, 8, 9, 10].map((at) => affine[at]! / spacing[at % 4]!);
}

/**
 * The directions of the affine's axes: the orthogonal 3 x 3 matrix (row-major) nearest to them, and whether they are
 * sheared, so that a qform cannot hold them. Undefined if the affine is singular.
 */
export function directionsOf(affine: Affine): { orthogonal: number[]; sheared: boolean } | undefined {
  const unit = unitColumns(affine);
  const orthogonal = nearestOrthogonal(unit);
  if (!orthogonal) return undefined;
  return { orthogonal, sheared: unit.some((value, at) => Math.abs(value - orthogonal[at]!) > 1e-5) };
}

/** The qform nearest to an affine; undefined if the affine is singular. */
export function affineQuaternion(affine: Affine) {
  const directions = directionsOf(affine);
  if (!directions) return undefined;
  const { orthogonal: r, sheared } = directions;
  const qfac: 1 | -1 = determinant(r) < 0 ? -1 : 1;
  for (const at of [2, 5, 8]) r[at]! *= qfac;
  return { quaternion: rotationQuaternion(r), qfac, sheared };
}

/** Vector part of a rotation's unit quaternion with a >= 0. It starts from the largest component, for precision. */
function rotationQuaternion(r: readonly number[]): Vec3 {
  const [xx, xy, xz, yx, yy, yz, zx, zy, zz] = r as number[];
  const squares = [1 + xx! + yy! + zz!, 1 + xx! - yy! - zz!, 1 + yy! - xx! - zz!, 1 + zz! - xx! - yy!];
  const largest = squares.indexOf(Math.max(...squares));
  const s = 2 * Math.sqrt(squares[largest]!);
  const candidates: readonly (readonly number[])[] = [
    [s / 4, (zy! - yz!) / s, (xz! - zx!) / s, (yx! - xy!) / s],
    [(zy! - yz!) / s, s / 4, (xy! + yx!) / s, (xz! + zx!) / s],
    [(xz! - zx!) / s, (xy! + yx!) / s, s / 4, (yz! + zy!) / s],
    [(yx! - xy!) / s, (xz! + zx!) / s, (yz! + zy!) / s, s / 4],
  ];
  const [a, b, c, d] = candidates[largest]! as number[];
  const sign = a! < 0 ? -1 : 1;
  return [b! * sign, c! * sign, d! * sign];
}

/** Whether an affine maps the voxels to less than a volume: to a plane, a line or a point. */
export function isSingular(affine: Affine): boolean {
  const unit = unitColumns(affine);
  return !(Math.abs(determinant(unit)) > 1e-6);
}
