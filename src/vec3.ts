import { InvalidArgument } from './errors';

/** Three numbers along the axes of a volume, always in the order [x, y, z]. */
export type Vec3 = PerAxis<number>;

/** One value for each axis, [x, y, z]. */
export type PerAxis<T> = readonly [T, T, T];

/** An axis of a volume: 0 is x, 1 is y, 2 is z. */
export type Axis = 0 | 1 | 2;

/** One number for all three axes, or one for each, [x, y, z]. What takes a size checks that there are three. */
export type Size = number | readonly number[];

/** The value for each axis, [x, y, z]. */
export function eachAxis<T>(value: (axis: Axis) => T): [T, T, T] {
  return [value(0), value(1), value(2)];
}

/** Number of voxels of a volume of this shape. */
export function voxelCount(shape: Vec3): number {
  return shape[0] * shape[1] * shape[2];
}

/** A size as [x, y, z]; undefined for anything but one number or three. */
export function asVec3(size: unknown): Vec3 | undefined {
  const numbers: readonly unknown[] = Array.isArray(size) ? size : [size, size, size];
  return numbers.length === 3 && numbers.every((n) => typeof n === 'number')
    ? [numbers[0] as number, numbers[1] as number, numbers[2] as number]
    : undefined;
}

/** The argument as [x, y, z]. Throws InvalidArgument unless it is one number or three. */
export function toVec3(argument: string, size: Size): Vec3 {
  const numbers = asVec3(size);
  if (numbers) return numbers;
  throw new InvalidArgument(argument, 'one number, or three [x, y, z]', size);
}

/** The argument as a shape in voxels. Throws InvalidArgument unless it is one whole number above 0, or three. */
export function checkShape(argument: string, size: Size): Vec3 {
  const shape = asVec3(size);
  if (shape?.every((n) => Number.isInteger(n) && n > 0)) return shape;
  throw new InvalidArgument(argument, 'a whole number above 0, or three [x, y, z]', size);
}

/** The argument as a spacing in mm. Throws InvalidArgument unless it is one finite number above 0, or three. */
export function checkSpacing(argument: string, size: Size): Vec3 {
  const spacing = asVec3(size);
  if (spacing?.every((s) => Number.isFinite(s) && s > 0)) return spacing;
  throw new InvalidArgument(argument, 'a finite number above 0, or three [x, y, z], in mm', size);
}
