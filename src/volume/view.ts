import { InvalidArgument } from '../errors';
import { checkShape, eachAxis, type Size, type Vec3, voxelCount } from '../vec3';
import { shiftedAffine } from './base/affine';
import { cropStart, cropToShape, resampleToShape, type VoxelImage } from './resample';
import { Volume } from './volume';

/** A smaller view of each volume: all of it in fewer voxels (`resample`), or its centre (`crop`). */
export interface BaselineView {
  readonly shape: Vec3;
  readonly how: 'resample' | 'crop';
}

/** The same as a user may write it. */
export interface GivenView {
  readonly shape: Size;
  readonly how: BaselineView['how'];
}

/** The view of a volume that a baseline sees. */
export function takeView(volume: Volume, { shape, how }: GivenView): Volume {
  return how === 'crop' ? cropVolume(volume, shape) : resampleVolume(volume, shape);
}

/**
 * The centre of a volume, in another shape. Where the volume is smaller, its border voxels are repeated.
 *
 * ```ts
 * const ct = await pw.readVolume('ct.nii.gz');
 * const centre = pw.cropVolume(ct, [32, 32, 24]);
 * ```
 */
export function cropVolume(volume: Volume, shape: Size): Volume {
  return viewOf(
    volume,
    { shape: checkShape('shape', shape), how: 'crop' },
    `the centre of ${nameOf(volume)}`,
  );
}

/**
 * All of a volume, in another number of voxels: trilinear, as PyTorch's `interpolate` with align_corners off. Axes that lose
 * voxels are smoothed first, to prevent aliasing.
 *
 * ```ts
 * const ct = await pw.readVolume('ct.nii.gz');
 * const smaller = pw.resampleVolume(ct, [32, 32, 24]);
 * ```
 */
export function resampleVolume(volume: Volume, shape: Size): Volume {
  return viewOf(
    volume,
    { shape: checkShape('shape', shape), how: 'resample' },
    `${nameOf(volume)}, resampled`,
  );
}

function nameOf({ source = 'a volume' }: Volume): string {
  return source;
}

function viewOf(volume: Volume, view: BaselineView, source: string): Volume {
  const { data, ...place } = viewImage(volume, view);
  return new Volume({ ...place, data: data as Float32Array, source });
}

/** The view of stored voxels. `antialias` smooths axes that lose voxels first; default true. */
export function viewImage(
  image: VoxelImage,
  { shape, how }: BaselineView,
  options: { readonly antialias?: boolean } = {},
): VoxelImage {
  return how === 'crop' ? cropToShape(image, shape) : resampleToShape(image, shape, options);
}

/**
 * A mask of the view `{ shape: view, how: 'crop' }` in a volume: 1 inside, 0 outside. As the `mask` of `reconstruct` it
 * leaves what a cropped baseline sees and fills everything else with `fill`.
 */
export function centreMask(shape: Vec3, size: Size): Uint8Array {
  const view = checkShape('view', size);
  const mask = new Uint8Array(voxelCount(shape));
  const start = cropStart(shape, view);
  const from = eachAxis((axis) => Math.max(0, start[axis]));
  const to = eachAxis((axis) => Math.min(shape[axis], start[axis] + view[axis]));
  for (let z = from[2]; z < to[2]; z++)
    for (let y = from[1]; y < to[1]; y++) {
      const row = (z * shape[1] + y) * shape[0];
      mask.fill(1, row + from[0], row + to[0]);
    }
  return mask;
}

/**
 * The slices `from` to `to - 1` of a volume, at their place in the patient. Does not copy the voxels.
 * @throws InvalidArgument if the range is empty or not within the volume
 */
export function slabOf(volume: Volume, from: number, to: number): Volume {
  const [nx, ny, nz] = volume.shape;
  if (!(Number.isInteger(from) && Number.isInteger(to) && 0 <= from && from < to && to <= nz))
    throw new InvalidArgument('from, to', `slices in 0 to ${nz}, ascending`, [from, to]);
  const data = volume.data.subarray(from * nx * ny, to * nx * ny);
  const { spacing, affine } = volume;
  const source = `slices ${from} to ${to - 1} of ${nameOf(volume)}`;
  const moved = shiftedAffine(affine, [0, 0, from], [1, 1, 1]);
  return new Volume({ shape: [nx, ny, to - from], data, spacing, affine: moved, source });
}
