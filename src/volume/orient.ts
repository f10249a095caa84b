import { InvalidArgument } from '../errors';
import { eachAxis, type Vec3 } from '../vec3';
import { type Affine, directionsOf } from './base/affine';
import type { VoxelArray } from './base/datatypes';
import type { VoxelImage } from './resample';

/** For each axis of the result: the source axis, and whether it is flipped. */
interface AxisMap {
  readonly from: Vec3;
  readonly flip: readonly [boolean, boolean, boolean];
}

type Oriented<T> = VoxelImage & { readonly data: T };

/**
 * The map that brings a volume closest to RAS+ without resampling, as nibabel's `as_closest_canonical`. Each axis goes
 * to the free world axis it is most parallel to; the most parallel axis goes first. Throws InvalidArgument if the affine
 * is singular.
 */
export function canonicalAxes(affine: Affine): AxisMap {
  const directions = directionsOf(affine);
  if (!directions) throw new InvalidArgument('affine', 'an affine that can be inverted', affine);
  const along = (world: number, axis: number) => directions.orthogonal[world * 3 + axis]!;
  const from: [number, number, number] = [0, 0, 0];
  const flip: [boolean, boolean, boolean] = [false, false, false];
  const decided = (axis: number) => Math.max(...[0, 1, 2].map((world) => along(world, axis) ** 2));
  const free = new Set([0, 1, 2]);
  for (const axis of [0, 1, 2].sort((a, b) => decided(b) - decided(a))) {
    const world = [...free].reduce((best, w) =>
      Math.abs(along(w, axis)) > Math.abs(along(best, axis)) ? w : best,
    );
    free.delete(world);
    from[world] = axis;
    flip[world] = along(world, axis) < 0;
  }
  return { from, flip };
}

/** Where the axes run, in nibabel's letters: `LPS` if x runs to the patient's left, y to the back, z to the head. */
export function orientationOf(affine: Affine): string {
  const { from, flip } = canonicalAxes(affine);
  return eachAxis((axis) => {
    const world = from.indexOf(axis);
    return (flip[world] ? 'LPI' : 'RAS')[world]!;
  }).join('');
}

/** Permutes and flips the axes of voxels, spacing and affine. Copies the voxels unless nothing changes. */
export function reorient<T extends VoxelArray>(image: Oriented<T>, { from, flip }: AxisMap): Oriented<T> {
  const { shape, spacing, affine } = image;
  if (from.every((axis, to) => axis === to) && !flip.includes(true)) return image;
  const strides: Vec3 = [1, shape[0], shape[0] * shape[1]];
  const size = eachAxis((to) => shape[from[to]]!);
  const step = eachAxis((to) => (flip[to] ? -1 : 1) * strides[from[to]]!);
  const start = eachAxis((to) => (flip[to] ? (size[to] - 1) * strides[from[to]]! : 0));
  const data = image.data.slice() as T;
  copyVoxels(cells(image.data), cells(data), size, step, start[0] + start[1] + start[2]);
  const moved = movedAffine(affine, size, { from, flip });
  return { shape: size, spacing: eachAxis((to) => spacing[from[to]]!), affine: moved, data };
}

function copyVoxels(source: Cells, target: Cells, size: Vec3, step: Vec3, start: number): void {
  let to = 0;
  for (let z = 0; z < size[2]; z++) {
    for (let y = 0; y < size[1]; y++) {
      let at = start + z * step[2] + y * step[1];
      for (let x = 0; x < size[0]; x++, at += step[0]) target[to++] = source[at]!;
    }
  }
}

/** The affine for the new axes: old affine x (new index -> old index). */
function movedAffine(affine: Affine, size: Vec3, { from, flip }: AxisMap): Affine {
  return affine.map((value, at) => {
    const [row, column] = [at - (at % 4), at % 4];
    if (row === 12) return value;
    const step = (to: number) => affine[row + from[to]!]!;
    if (column < 3) return flip[column] ? -step(column) : step(column);
    return [0, 1, 2].reduce((sum, to) => (flip[to] ? sum + step(to) * (size[to]! - 1) : sum), value);
  });
}

type Cells = Uint8Array | Uint16Array | Uint32Array | Float64Array;

/** The same memory as one of four array types. With more types the copying loop would be slow (V8's inline caches). */
function cells(data: VoxelArray): Cells {
  const { buffer, byteOffset, length } = data;
  if (data.BYTES_PER_ELEMENT === 1) return new Uint8Array(buffer, byteOffset, length);
  if (data.BYTES_PER_ELEMENT === 2) return new Uint16Array(buffer, byteOffset, length);
  if (data.BYTES_PER_ELEMENT === 4) return new Uint32Array(buffer, byteOffset, length);
  return new Float64Array(buffer, byteOffset, length);
}
