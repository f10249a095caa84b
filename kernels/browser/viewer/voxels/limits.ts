/** How much of the volumes a browser takes. */
import { apply, invert, type Point } from './affine';
import type { Copy } from './copies';

/** Voxels of a part at full resolution: 64 MB. */
const MOST_OF_PART = 2 ** 25;

/** Voxels of 16 bits that all volumes of a viewer may have together: a gigabyte where there are 8 of memory or more. */
export function mostVoxels(): number {
  const gigabytes = (navigator as { deviceMemory?: number }).deviceMemory ?? 8; // only Chromium tells
  return Math.min(8, gigabytes) * 2 ** 26;
}

/** The size of a part of a volume, as near to a cube as its shape allows. */
export function sizeOfRegion(shape: Point): Point {
  let edge = Math.max(...shape);
  const size = (): Point => shape.map((count) => Math.min(count, edge)) as unknown as Point;
  while (size().reduce((product, count) => product * count, 1) > MOST_OF_PART) edge = Math.floor(edge * 0.95);
  return size();
}

/** Whether a point of the world is in the inner half of a copy. */
export function isWellInside({ affine, shape }: Copy, world: Point): boolean {
  const voxel = apply(invert(affine), world);
  return voxel.every((at, axis) => Math.abs(at - (shape[axis]! - 1) / 2) <= shape[axis]! / 4);
}
