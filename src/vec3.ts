import { InvalidArgument } from './errors';

/** Three numbers along the axes of a volume, always in the order [x, y, z]. */
export type Vec3 = PerAxis<number>;

/** One value for each axis, [x, y, z]. */
export type PerAxis<T> = readonly [T, T, T];

/** An axis of a volume: 0 is x, 1 is y, 2 is z. */
export type Axis = 0 | 1 | 2;

/** The axes, as a user names them. */
export const axisNames = ['x', 'y', 'z'] as const;
export type AxisName = (typeof axisNames)[number];

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

/** A reader of sizes. It throws InvalidArgument unless the argument is one number, or three, that pass the test. */
function sizes(expected: string, accepts: (n: number) => boolean) {
  return (argument: string, size: Size): Vec3 => {
    const numbers = asVec3(size);
    if (numbers?.every(accepts)) return numbers;
    throw new InvalidArgument(argument, expected, size);
  };
}

/** The argument as [x, y, z]. */
export const toVec3 = sizes('one number, or three [x, y, z]', () => true);
/** The argument as a shape in voxels. */
export const checkShape = sizes(
  'a whole number above 0, or three [x, y, z]',
  (n) => Number.isInteger(n) && n > 0,
);
/** The argument as a spacing in mm. */
export const checkSpacing = sizes(
  'a finite number above 0, or three [x, y, z], in mm',
  (n) => Number.isFinite(n) && n > 0,
);
