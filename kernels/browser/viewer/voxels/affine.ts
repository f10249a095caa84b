/** Affine maps of points: 16 numbers, row by row, as NIfTI writes them. */

export type Point = readonly [x: number, y: number, z: number];
export type Affine = readonly number[];

export function apply(affine: Affine, [x, y, z]: Point): [number, number, number] {
  const row = (i: number): number =>
    affine[4 * i]! * x + affine[4 * i + 1]! * y + affine[4 * i + 2]! * z + affine[4 * i + 3]!;
  return [row(0), row(1), row(2)];
}

/** The map that does `second` after `first`. */
export function compose(second: Affine, first: Affine): number[] {
  return Array.from({ length: 16 }, (_, at) => {
    const [row, column] = [Math.floor(at / 4), at % 4];
    return [0, 1, 2, 3].reduce((sum, k) => sum + second[4 * row + k]! * first[4 * k + column]!, 0);
  });
}

export function invert(affine: Affine): number[] {
  const [a, b, c, d, e, f, g, h, i] = [0, 1, 2, 4, 5, 6, 8, 9, 10].map((at) => affine[at]!) as [
    ...[number, number, number],
    ...[number, number, number],
    ...[number, number, number],
  ];
  const determinant = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g);
  const linear = [e * i - f * h, c * h - b * i, b * f - c * e]
    .concat([f * g - d * i, a * i - c * g, c * d - a * f])
    .concat([d * h - e * g, b * g - a * h, a * e - b * d])
    .map((cofactor) => cofactor / determinant);
  const rows = [0, 1, 2].map((row) => linear.slice(3 * row, 3 * row + 3));
  const shift = [affine[3]!, affine[7]!, affine[11]!];
  return rows
    .flatMap((row) => [...row, -row.reduce((sum, value, at) => sum + value * shift[at]!, 0)])
    .concat([0, 0, 0, 1]);
}

/** Column by column, as WebGL takes matrices. Also the way back. */
export function transpose(affine: ArrayLike<number>): number[] {
  return Array.from({ length: 16 }, (_, at) => affine[4 * (at % 4) + Math.floor(at / 4)]!);
}

/** The length of a step along each voxel axis, in mm. */
export function spacingOf(affine: Affine): [number, number, number] {
  const length = (axis: number): number => Math.hypot(affine[axis]!, affine[4 + axis]!, affine[8 + axis]!);
  return [length(0), length(1), length(2)];
}
