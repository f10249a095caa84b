import { InvalidArgument } from '../errors';
import { type Axis, eachAxis, type PerAxis, type Size, toVec3 } from '../vec3';
import type { Grid } from './grid';

/** The shape of the blending weight over a patch. */
export type WindowName = 'constant' | 'linear' | 'gaussian' | 'hann' | 'seed-linear';

/** All windows. `seed-linear` only shows how the sawtooth of an earlier system makes seams. */
export const windowNames: readonly WindowName[] = ['constant', 'linear', 'gaussian', 'hann', 'seed-linear'];

/** Standard deviation of the gaussian window as a fraction of the patch: MONAI's and nnU-Net's choice. */
const SIGMA = 0.125;

/** Weights are multiples of this, so that they and all their partial sums are exact in single precision. */
const UNIT = 2 ** -24;

/** Keeps the tails of a very narrow gaussian above zero, so that every voxel has a weight to normalise. */
const TINY = 1e-300;

export interface WindowOptions {
  /** Standard deviation of the gaussian window as a fraction of the patch, one for all axes or one each. */
  readonly sigma?: Size;
}

/**
 * The weights of every patch along every axis, [axis][place of the patch][voxel of the patch]. The weight of a voxel
 * of a patch is the product of its three; over the patches that cover a voxel of the volume the products sum to
 * exactly 1, because they do so on every axis. Weights in the padding are zero.
 *
 * `seed-linear` is the window of an earlier system and shows its fault: it falls from 1 to 0 in the middle of the
 * patch. If only zeros cover a plane, the weights sum to 0 and the blended volume is 0.
 */
export function axisWindows(
  grid: Grid,
  window: WindowName,
  options: WindowOptions = {},
): PerAxis<readonly Float32Array[]> {
  if (!windowNames.includes(window)) throw new InvalidArgument('window', 'a window', window, windowNames);
  return eachAxis((axis) => {
    const shape = patchWindow(grid.patch[axis], window, sigmaOf(options.sigma ?? SIGMA, axis));
    return normalise(grid, axis, shape);
  });
}

/** The window over a patch of `size` voxels before it is normalised; its greatest value is at most 1. */
export function patchWindow(size: number, window: WindowName, sigma: number = SIGMA): Float64Array {
  const shape = WINDOWS[window](size, sigma);
  return Float64Array.from({ length: size }, (_, i) => shape(i));
}

/** Each takes the patch size and gives the weight at voxel i; all but `seed-linear` are positive everywhere. */
const WINDOWS: Record<WindowName, (size: number, sigma: number) => (i: number) => number> = {
  constant: () => () => 1,
  linear: (size) => (i) => Math.min(i + 0.5, size - i - 0.5) / (size / 2),
  gaussian: (size, sigma) => (i) =>
    Math.max(TINY, Math.exp(-0.5 * ((i + 0.5 - size / 2) / (sigma * size)) ** 2)),
  hann: (size) => (i) => Math.sin((Math.PI * (i + 0.5)) / size) ** 2,
  'seed-linear': (size) => {
    const half = size >> 1;
    const rise = (i: number, length: number) => (length > 1 ? i / (length - 1) : 0);
    return (i) => (i < half ? rise(i, half) : rise(i - half, size - half));
  },
};

/** The patch with the greatest weight takes the rest of the rounding, so that the sum is exact. */
function normalise(grid: Grid, axis: Axis, shape: Float64Array): Float32Array[] {
  const starts = grid.starts[axis];
  const weights = starts.map(() => new Float32Array(shape.length));
  let first = 0;
  for (let voxel = 0; voxel < grid.volume[axis]; voxel++) {
    while (starts[first]! + shape.length <= voxel) first++;
    const valueAt = (patch: number) => shape[voxel - starts[patch]!]!;
    let sum = 0;
    let greatest = first;
    let end = first;
    for (; end < starts.length && starts[end]! <= voxel; end++) {
      if (valueAt(end) > valueAt(greatest)) greatest = end;
      sum += valueAt(end);
    }
    if (sum === 0) continue;
    let rest = 1;
    for (let patch = first; patch < end; patch++) {
      if (patch === greatest) continue;
      const weight = Math.round(valueAt(patch) / sum / UNIT) * UNIT;
      weights[patch]![voxel - starts[patch]!] = weight;
      rest -= weight;
    }
    weights[greatest]![voxel - starts[greatest]!] = rest;
  }
  return weights;
}

function sigmaOf(sigma: Size, axis: Axis): number {
  const value = toVec3('sigma', sigma)[axis];
  if (!(value > 0 && value < Infinity))
    throw new InvalidArgument('sigma', 'a positive fraction of the patch', value);
  return value;
}
