import { InvalidArgument } from '../errors';
import type { BaselineView } from './store/format';
import { cropToShape, resampleToShape, type VoxelImage } from './store/resample';
import type { Vec3 } from './vec3';
import { Volume } from './volume';

/** The smaller view of a volume that a baseline sees: all of it in fewer voxels (filtered against aliasing, trilinear), or its centre. */
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
