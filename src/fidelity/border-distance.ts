import { InvalidArgument } from '../errors';
import { expectLength, type VoxelSource } from '../patch/extract';
import type { Grid } from '../patch/grid';
import type { Axis } from '../vec3';
import { knownErrors } from './error-sums';
import { expectSameLength, type IntensityRange } from './pair';
import { patchBorders } from './seam';
import { ssimMap } from './ssim-map';

/** The quality of all voxels that are equally far from the nearest patch border. */
export interface DistanceRow {
  /** Voxels from the nearest border, 0 for those that touch one. */
  readonly distance: number;
  readonly voxels: number;
  /** dB over these voxels. */
  readonly psnr: number;
  readonly mae: number;
  /** Mean of the local SSIM at these voxels; NaN where all are too near the volume's edge. */
  readonly ssim: number;
}

export interface DistanceOptions extends IntensityRange {
  /** The last row holds all voxels at this distance or more; default 12. */
  readonly reach?: number;
}

/**
 * PSNR, MAE and SSIM by the distance to the nearest patch border on any axis. They hardly change with it where
 * blending hides the borders. Voxels at which the reference is NaN do not count.
 *
 * @param reference the volume of the grid, `[z, y, x]`
 * @throws InvalidArgument where the grid has no border inside the volume
 */
export function qualityByDistance(
  reference: Float32Array,
  candidate: Float32Array,
  grid: Grid,
  { dataRange, low, reach = 12 }: DistanceOptions,
): DistanceRow[] {
  expectSameLength(reference, candidate);
  const distances = borderDistances(grid, reach);
  expectLength('reference', reference as VoxelSource, distances.length, 'the volume of the grid');
  const similarity = ssimMap(reference, candidate, { shape: grid.volume, dataRange, low });
  return Array.from({ length: reach + 1 }, (_, distance): DistanceRow | undefined => {
    const places = indicesOf(distances, distance);
    const errors = knownErrors(pick(reference, places), pick(candidate, places));
    if (errors.count === 0) return undefined;
    const local = pick(similarity, places).filter((value) => !Number.isNaN(value));
    return {
      distance,
      voxels: errors.count,
      psnr: errors.psnr({ dataRange }),
      mae: errors.mae,
      ssim: local.reduce((sum, value) => sum + value, 0) / local.length,
    };
  }).filter((row) => row !== undefined);
}

/** For each voxel `[z, y, x]` how far the nearest border is on any axis, at most `reach`. */
export function borderDistances(grid: Grid, reach: number): Uint8Array {
  if (!Number.isInteger(reach) || reach < 1 || reach > 255)
    throw new InvalidArgument('reach', 'a whole number of voxels, 1 to 255', reach);
  const [x, y, z] = ([0, 1, 2] as const).map((axis) => along(grid, axis, reach)) as [
    number[],
    number[],
    number[],
  ];
  if ([...x, ...y, ...z].every((distance) => distance === reach))
    throw new InvalidArgument('grid', 'patch borders inside the volume', 'none');
  const distances = new Uint8Array(x.length * y.length * z.length);
  let i = 0;
  for (const dz of z) for (const dy of y) for (const dx of x) distances[i++] = Math.min(dx, dy, dz);
  return distances;
}

function along(grid: Grid, axis: Axis, reach: number): number[] {
  const borders = patchBorders(grid, axis);
  return Array.from({ length: grid.volume[axis] }, (_, voxel) =>
    Math.min(reach, ...borders.map((border) => (voxel < border ? border - 1 - voxel : voxel - border))),
  );
}

function indicesOf(distances: Uint8Array, distance: number): Uint32Array {
  let count = 0;
  for (const d of distances) if (d === distance) count++;
  const indices = new Uint32Array(count);
  let at = 0;
  distances.forEach((d, i) => {
    if (d === distance) indices[at++] = i;
  });
  return indices;
}

function pick(values: Float32Array, places: Uint32Array): Float32Array {
  return Float32Array.from(places, (place) => values[place]!);
}
