import { InvalidArgument } from '../errors';
import { cropStart, cropToShape, resampleToShape, type VoxelImage } from './resample';
import { type Vec3, voxelCount } from './vec3';
import { Volume } from './volume';

/** A smaller view of each volume: all of it at fewer voxels, or its centre at the same. */
export interface BaselineView {
  readonly shape: Vec3;
  readonly how: 'resample' | 'crop';
}

/**
 * The smaller view of a volume that a baseline sees: all of it in fewer voxels (filtered against aliasing, trilinear), or its centre.
 *
 * ```ts
 * const ct = await pw.readVolume('ct.nii.gz');
 * const smaller = pw.viewVolume(ct, { how: 'resample', shape: [32, 32, 24] });
 * ```
 */
export function viewVolume(volume: Volume, view: BaselineView): Volume {
  return changed(volume, view.how === 'crop' ? cropToShape : resampleToShape, view.shape, view.how);
}

/**
 * The whole extent of a volume in this many voxels: trilinear, as PyTorch's `interpolate` with align_corners off; where
 * that is fewer, after a filter against aliasing.
 */
export function resampleVolume(volume: Volume, shape: Vec3): Volume {
  return changed(volume, resampleToShape, shape, 'resample');
}

function changed(
  volume: Volume,
  change: (image: VoxelImage, shape: Vec3) => VoxelImage,
  shape: Vec3,
  how: BaselineView['how'],
): Volume {
  const { data, ...place } = change(volume, shape);
  const source = `${how === 'crop' ? 'the centre' : 'a smaller view'} of ${volume.source ?? 'a volume'}`;
  return new Volume({ ...place, data: data as Float32Array, source });
}

/**
 * Where in a volume the view `{ shape: view, how: 'crop' }` lies: 1 a voxel of it, 0 elsewhere. As a `mask` of
 * `reconstruct` it leaves what a baseline of the centre has seen.
 */
export function centreMask(shape: Vec3, view: Vec3): Uint8Array {
  const mask = new Uint8Array(voxelCount(shape));
  const start = cropStart(shape, view);
  const [from, to] = [
    start.map((first) => Math.max(0, first)),
    start.map((first, axis) => Math.min(shape[axis]!, first + view[axis]!)),
  ];
  for (let z = from[2]!; z < to[2]!; z++)
    for (let y = from[1]!; y < to[1]!; y++) {
      const row = (z * shape[1] + y) * shape[0];
      mask.fill(1, row + from[0]!, row + to[0]!);
    }
  return mask;
}

/**
 * The slices `from` to `to` (not included) of a volume, in their place. No copy.
 * @throws InvalidArgument where there are none
 */
export function slabOf(volume: Volume, from: number, to: number): Volume {
  const [nx, ny, nz] = volume.shape;
  if (!(Number.isInteger(from) && Number.isInteger(to) && 0 <= from && from < to && to <= nz))
    throw new InvalidArgument('from, to', `slices in 0 to ${nz}, ascending`, [from, to]);
  const data = volume.data.subarray(from * nx * ny, to * nx * ny);
  const { spacing, affine } = volume;
  const moved = affine.map((value, i) => (i % 4 === 3 && i < 12 ? value + from * affine[i - 1]! : value));
  const source = `slices ${from} to ${to - 1} of ${volume.source ?? 'a volume'}`;
  return new Volume({ shape: [nx, ny, to - from], data, spacing, affine: moved, source });
}
