import { InvalidArgument } from '../errors';

/** Three numbers along the axes of a volume, always in the order [x, y, z]. */
export type Vec3 = readonly [number, number, number];

/** Number of voxels of a volume of this shape. */
export function voxelCount(shape: Vec3): number {
  return shape[0] * shape[1] * shape[2];
}

/** The argument as a shape in voxels. Throws InvalidArgument unless it is three whole numbers above 0. */
export function checkShape(argument: string, shape: readonly number[]): Vec3 {
  const whole = shape.length === 3 && shape.every((n) => Number.isInteger(n) && n > 0);
  if (!whole) throw new InvalidArgument(argument, 'three whole numbers above 0, [x, y, z]', shape);
  return [shape[0]!, shape[1]!, shape[2]!];
}

/** The argument as a spacing in mm. Throws InvalidArgument unless it is three finite numbers above 0. */
export function checkSpacing(argument: string, spacing: readonly number[]): Vec3 {
  const positive = spacing.length === 3 && spacing.every((s) => Number.isFinite(s) && s > 0);
  if (!positive)
    throw new InvalidArgument(argument, 'three finite numbers above 0, [x, y, z] in mm', spacing);
  return [spacing[0]!, spacing[1]!, spacing[2]!];
}
