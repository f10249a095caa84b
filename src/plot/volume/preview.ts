/** The copies of volumes that a notebook and a report store: as fine as a number of bytes allows. */
import { gzipSync } from 'node:zlib';
import { eachAxis, type Vec3, voxelCount } from '../../vec3';
import type { StoredLevel } from '../../volumes-bundle';
import type { ShownPlace } from '../base/shown';
import { coarseAffine, coarsen, coarseShape, factorsFor } from './coarsen';
import { coarseScaling, type Scaling, store } from './stored-numbers';
import type { Copy, Surveyed } from './survey';

/** Runs of layers that are compressed to tell how large the whole gets, and the least voxels in each. */
const SAMPLES = 8;
const SAMPLE_VOXELS = 8000;
/** Means have less noise than what they are the means of: so many times the voxels that its bytes allow may fit. */
const HOPE = 3;

/**
 * Previews of volumes of one place, all of one shape, together at most `bytes` of base64. Where the volumes themselves fit
 * their numbers are those of full resolution; coarser copies are stored in fewer steps.
 *
 * @param full how each volume is stored at full resolution
 */
export function previewsOf(
  volumes: readonly Surveyed[],
  full: readonly Scaling[],
  units: 'HU' | '',
  bytes: number,
): StoredLevel[] {
  const [first] = volumes;
  const copies = volumes.map(({ copy }) => copy);
  const { factors, shape } = copies[0]!;
  const made = (further: Vec3, scalings: readonly Scaling[]): StoredLevel[] | undefined => {
    if (estimatedBytes(copies, further, scalings) > bytes) return undefined;
    const levels = copies.map((copy, i) => storedLevel(first!, copy, further, scalings[i]!));
    return levels.reduce((sum, { data }) => sum + data.length, 0) <= bytes ? levels : undefined;
  };
  const exact = factors.every((factor) => factor === 1) ? made([1, 1, 1], full) : undefined;
  if (exact) return exact;
  const scalings = volumes.map((volume) => coarseScaling(volume, units, volume.copy.voxels));
  const spacing = eachAxis((axis) => first!.spacing[axis] * factors[axis]);
  const share = (HOPE * bytes) / estimatedBytes(copies, [1, 1, 1], scalings);
  let most = Math.max(1, Math.floor(share * voxelCount(shape)));
  for (;;) {
    const further = factorsFor(shape, spacing, most);
    const levels = made(further, scalings);
    if (levels) return levels;
    most = voxelCount(coarseShape(shape, further)) - 1;
    if (most === 0) return copies.map((copy, i) => storedLevel(first!, copy, further, scalings[i]!));
  }
}

/** The bytes that copies of the copies would take, judged by runs of layers spread over them. */
function estimatedBytes(copies: readonly Copy[], further: Vec3, scalings: readonly Scaling[]): number {
  const sizes = copies.map(({ shape, voxels }, i) => {
    const [nx, ny, nz] = shape;
    const [cx, cy, cz] = coarseShape(shape, further);
    const depth = Math.ceil(SAMPLE_VOXELS / (cx * cy)) * further[2];
    const runs = Math.ceil(nz / depth);
    const sampled = Math.min(SAMPLES, runs);
    let [layers, length] = [0, 0];
    for (let n = 0; n < sampled; n++) {
      const z = Math.floor(((n + 0.5) * runs) / sampled) * depth;
      const end = Math.min(z + depth, nz);
      const run = coarsen(voxels.subarray(z * nx * ny, end * nx * ny), [nx, ny, end - z], further);
      layers += run.length / (cx * cy);
      length += encoded(run, scalings[i]!).length;
    }
    return (length / layers) * cz;
  });
  return sizes.reduce((sum, size) => sum + size, 0);
}

function storedLevel(place: ShownPlace, copy: Copy, further: Vec3, scaling: Scaling): StoredLevel {
  const factors = eachAxis((axis) => copy.factors[axis] * further[axis]);
  return {
    shape: coarseShape(copy.shape, further),
    affine: coarseAffine(place.affine, factors),
    ...scaling,
    data: encoded(coarsen(copy.voxels, copy.shape, further), scaling),
  };
}

function encoded(voxels: Float32Array, scaling: Scaling): string {
  const { buffer } = store(voxels, scaling);
  return gzipSync(Buffer.from(buffer)).toString('base64');
}
