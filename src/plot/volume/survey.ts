/** One pass over the voxels of a volume, in memory or on the disk: all that its view needs to know of them. */
import { type Vec3, voxelCount } from '../../vec3';
import type { StoredImage } from '../../volume/store/stored-image';
import type { HeldVoxels } from '../../volumes-bundle';
import type { ShownPlace, ShownVolume } from '../base/shown';
import { coarsen, coarseShape, factorsFor } from './coarsen';
import { STORED_LAYERS } from './parts';
import { joined, type Survey, surveyOf } from './stored-numbers';

/** Means of boxes of a volume's voxels. */
export interface Copy {
  /** Voxels of the volume in a box. */
  readonly factors: Vec3;
  readonly shape: Vec3;
  readonly voxels: Float32Array;
}

/** A volume whose voxels have been looked at. */
export interface Surveyed extends ShownPlace, Survey {
  readonly source?: string | undefined;
  readonly voxels: HeldVoxels;
  readonly copy: Copy;
}

/** A copy has at most so many voxels. A preview takes boxes of its boxes, so the copy is much finer than any preview. */
const MOST_COPIED = 24_000_000;

/** @param volume its voxels are read, not copied */
export function surveyVolume(volume: ShownVolume): Surveyed {
  const { shape, spacing, affine, source, data } = volume;
  const factors = copyFactors(volume);
  const copy = { factors, shape: coarseShape(shape, factors), voxels: coarsen(data, shape, factors) };
  return { shape, spacing, affine, source, voxels: volume, copy, ...surveyOf(data) };
}

/** Reads a stored image layer by layer. @throws what `readPatch` throws */
export async function surveyStored(image: StoredImage & { readonly source?: string }): Promise<Surveyed> {
  const { shape, spacing, affine, source } = image;
  const factors = copyFactors(image);
  const size = coarseShape(shape, factors);
  const voxels = new Float32Array(voxelCount(size));
  let survey = surveyOf(new Float32Array(0));
  const layers = Math.ceil(STORED_LAYERS / factors[2]) * factors[2];
  for (let z = 0; z < shape[2]; z += layers) {
    const layer: Vec3 = [shape[0], shape[1], Math.min(layers, shape[2] - z)];
    const read = await image.readPatch([0, 0, z], layer);
    survey = joined(survey, surveyOf(read));
    voxels.set(coarsen(read, layer, factors), (z / factors[2]) * size[0] * size[1]);
  }
  return { shape, spacing, affine, source, voxels: image, copy: { factors, shape: size, voxels }, ...survey };
}

function copyFactors({ shape, spacing }: ShownPlace): Vec3 {
  return factorsFor(shape, spacing, MOST_COPIED);
}
