/** NiiVue's volumes: as large in space as ours, with as many voxels as their purpose needs. */
import { NVImage } from '@niivue/niivue';
import { NO_VALUE } from '../../../../src/volumes-bundle';
import { type Affine, apply, compose, invert, type Point, spacingOf } from '../voxels/affine';
import type { Copy } from '../voxels/copies';

/** The space that a volume fills. */
export interface Space {
  readonly shape: Point;
  readonly affine: Affine;
}

/** Whether two volumes fill the same box of the world, by the same voxels. */
export function isSameSpace(one: Space, other: Space): boolean {
  return String([one.shape, one.affine]) === String([other.shape, other.affine]);
}

const INT16 = 4; // NIfTI's code

/** A volume whose voxels nobody sees: NiiVue takes its places from it. */
export function emptyImage(space: Space): Promise<NVImage> {
  const few: Point = [4, 4, 4];
  return image(few, affineOf(space, few), new Int16Array(64), [0, 1]);
}

/** A volume for the 3D rendering, of at most `most` voxels, from black and clear to white and dense within a window. */
export function imageOf(
  space: Space,
  copy: Copy,
  most: number,
  [low, high]: readonly [number, number],
): Promise<NVImage> {
  const [x, y, z] = copy.shape;
  const factor = Math.max(1, Math.cbrt((x * y * z) / most));
  const counts = copy.shape.map((count) => Math.max(4, Math.round(count / factor))) as unknown as Point;
  const affine = affineOf(space, counts);
  const toCopy = compose(invert(copy.affine), affine);
  const stored = new Int16Array(counts[0] * counts[1] * counts[2]);
  const inside = (at: number, axis: number): number =>
    Math.max(0, Math.min(copy.shape[axis]! - 1, Math.round(at)));
  let to = 0;
  for (let k = 0; k < counts[2]; k++)
    for (let j = 0; j < counts[1]; j++) {
      // Both grids lie along the same axes, so a row of one is a row of the other.
      const [start, atY, atZ] = apply(toCopy, [0, j, k]);
      const row = x * (inside(atY, 1) + y * inside(atZ, 2));
      for (let i = 0; i < counts[0]; i++)
        stored[to++] = copy.stored[row + inside(start + i * toCopy[0]!, 0)]!;
    }
  // NiiVue reads what is stored, so it gets the window as stored numbers.
  const asStored = (value: number): number => (value - copy.intercept) / copy.slope;
  for (let i = 0; i < stored.length; i++) if (stored[i] === NO_VALUE) stored[i] = NO_VALUE + 1;
  return image(counts, affine, stored, [asStored(low), asStored(high)]);
}

/** From voxel to world of a grid that fills a space. */
function affineOf({ shape, affine }: Space, counts: Point): number[] {
  const size = shape.map((count, axis) => count / counts[axis]!);
  const row = (axis: number): number[] =>
    [0, 1, 2].map((at) => (at === axis ? size[axis]! : 0)).concat((size[axis]! - 1) / 2);
  return compose(affine, [...row(0), ...row(1), ...row(2), 0, 0, 0, 1]);
}

function image(
  counts: Point,
  affine: Affine,
  stored: Int16Array,
  [low, high]: readonly [number, number],
): Promise<NVImage> {
  const file = NVImage.createNiftiArray([...counts], spacingOf(affine), [...affine], INT16, stored);
  const buffer = file.buffer as ArrayBuffer; // with it nothing is fetched
  return NVImage.loadFromUrl({ url: 'volume.nii', name: 'volume.nii', buffer, cal_min: low, cal_max: high });
}
