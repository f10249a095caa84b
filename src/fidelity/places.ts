/** Where a reconstruction is good or bad: by patch, by the distance to a patch border, voxel by voxel. */
import { InvalidArgument } from '../errors';
import { expectLength, extractPatch, type VoxelSource } from '../patch/extract';
import { type Grid, patchStart } from '../patch/grid';
import { type Axis, checkShape, eachAxis, type Vec3, voxelCount } from '../vec3';
import { knownErrors } from './error-sums';
import { expectLow, expectRange, expectSameLength, type IntensityRange, type RangeOption } from './pair';
import { patchBorders } from './seam';
import { gaussianTaps, K1, K2, type SsimOptions } from './ssim';

/** How far a reconstruction is from its original within one patch of the grid. */
export interface PatchRow {
  readonly index: number;
  /** First voxel `[x, y, z]`. */
  readonly start: Vec3;
  /** dB. */
  readonly psnr: number;
  readonly mae: number;
  readonly rmse: number;
}

/**
 * The errors within every patch of a grid, the worst (by RMSE) first. Both volumes are `[z, y, x]`, clipped to the
 * intensity window. Voxels at which the reference is NaN do not count; a patch of nothing else comes last.
 */
export function patchErrors(
  reference: Float32Array,
  candidate: Float32Array,
  grid: Grid,
  options: RangeOption,
): PatchRow[] {
  expectLength('candidate', candidate, reference.length, 'as the reference');
  const rows = Array.from({ length: grid.patches }, (_, index): PatchRow => {
    const sums = knownErrors(extractPatch(reference, grid, index), extractPatch(candidate, grid, index));
    const start = patchStart(grid, index);
    return { index, start, psnr: sums.psnr(options), mae: sums.mae, rmse: sums.rmse };
  });
  const order = ({ rmse }: PatchRow) => (Number.isNaN(rmse) ? -1 : rmse);
  return rows.sort((a, b) => order(b) - order(a) || a.index - b.index);
}

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
  const [x, y, z] = eachAxis((axis) => along(grid, axis, reach));
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

/** Where `distances` has this value, in as much memory as these places need. */
function indicesOf(distances: Uint8Array, distance: number): Uint32Array {
  let count = 0;
  for (const d of distances) if (d === distance) count++;
  const indices = new Uint32Array(count);
  let at = 0;
  for (let i = 0; i < distances.length; i++) if (distances[i] === distance) indices[at++] = i;
  return indices;
}

function pick(values: Float32Array, places: Uint32Array): Float32Array {
  return Float32Array.from(places, (place) => values[place]!);
}

/**
 * SSIM at every voxel, over the windows of `ssim`. It is NaN within five voxels of the volume's edge, where a window
 * would reach over it, and where the reference has a NaN in the window; its mean over the rest is `ssim`. It shows where
 * a reconstruction fails and needs the memory of some six volumes in double precision: to measure, use `ssim`.
 *
 * @returns `[z, y, x]`
 */
export function ssimMap(reference: VoxelSource, candidate: VoxelSource, options: SsimOptions): Float32Array {
  const { dataRange, low = 0, signal } = options;
  const shape = checkShape('shape', options.shape);
  expectSameLength(reference, candidate);
  expectLength('reference', reference, voxelCount(shape), 'the shape given');
  expectLow(low);
  const c1 = (K1 * expectRange(dataRange)) ** 2;
  const c2 = (K2 * dataRange) ** 2;
  const filtered = (value: (i: number) => number): Float64Array => {
    signal?.throwIfAborted();
    return filter(
      Float64Array.from({ length: reference.length }, (_, i) => value(i)),
      shape,
    );
  };
  const a = (i: number) => reference[i]! - low;
  const b = (i: number) => candidate[i]! - low;
  const meanA = filtered(a);
  const meanB = filtered(b);
  const meanAB = filtered((i) => a(i) * b(i));
  const squares = filtered((i) => a(i) ** 2 + b(i) ** 2);
  return Float32Array.from(meanA, (a, i) => {
    const b = meanB[i]!;
    const covariance = meanAB[i]! - a * b;
    const variances = squares[i]! - a * a - b * b;
    return ((2 * a * b + c1) * (2 * covariance + c2)) / ((a * a + b * b + c1) * (variances + c2));
  });
}

/** Gaussian means along the three axes; NaN where a window reaches over the edge. */
function filter(values: Float64Array, shape: Vec3): Float64Array {
  const taps = gaussianTaps();
  const radius = (taps.length - 1) / 2;
  const steps = [1, shape[0], shape[0] * shape[1]] as const;
  let source = values;
  for (const axis of [0, 1, 2] as const) {
    const [size, step] = [shape[axis], steps[axis]];
    const out = new Float64Array(values.length).fill(Number.NaN);
    for (let i = 0; i < out.length; i++) {
      const at = Math.floor(i / step) % size;
      if (at < radius || at >= size - radius) continue;
      let sum = 0;
      for (let t = 0; t < taps.length; t++) sum += taps[t]! * source[i + (t - radius) * step]!;
      out[i] = sum;
    }
    source = out;
  }
  return source;
}
