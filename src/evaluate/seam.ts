import { InvalidArgument } from '../errors';
import { expectLength, type VoxelSource } from '../patch/extract';
import type { Axis, Grid } from '../patch/grid';
import type { Vec3 } from '../volume/vec3';

/**
 * How much more a volume jumps where patches begin or end than elsewhere: the mean absolute difference of neighbouring
 * voxels across patch borders over that of all other neighbours, on the three axes together. 1 is a volume without
 * seams; NaN where the grid has no border inside the volume.
 *
 * @param data the volume of the grid, `[z, y, x]`
 */
export function seamEnergy(data: VoxelSource, grid: Grid): number {
  let [across, acrossCount, elsewhere, elsewhereCount] = [0, 0, 0, 0];
  for (const axis of [0, 1, 2] as const) {
    const jumps = jumpSums(data, grid.volume, axis);
    const borders = new Set(patchBorders(grid, axis));
    const lines = data.length / grid.volume[axis];
    jumps.forEach((sum, i) => {
      if (borders.has(i + 1)) {
        across += sum;
        acrossCount += lines;
      } else {
        elsewhere += sum;
        elsewhereCount += lines;
      }
    });
  }
  if (acrossCount === 0 || elsewhereCount === 0) return Number.NaN;
  if (across === 0 && elsewhere === 0) return 1;
  return across / acrossCount / (elsewhere / elsewhereCount);
}

/** The mean absolute jump between neighbouring voxels by where it is from a patch border. */
export interface SeamProfile {
  readonly axis: Axis;
  /** Voxels from the border, 0 for the jump across it. */
  readonly offsets: readonly number[];
  /** Mean absolute jump at each offset, in the data's units; NaN where every border is too near the volume's edge. */
  readonly jumps: readonly number[];
}

export interface SeamProfileOptions {
  /** How many voxels to look to either side of a border; default 16. */
  readonly reach?: number;
  /** The voxel that begins behind the border to look at; default: the mean over all borders of the axis. */
  readonly border?: number;
}

/**
 * The mean absolute jump around patch borders. A seam shows as a peak at offset 0.
 *
 * @param data the volume of the grid, `[z, y, x]`
 */
export function seamProfile(
  data: VoxelSource,
  grid: Grid,
  axis: Axis = 0,
  options: SeamProfileOptions = {},
): SeamProfile {
  const { reach = 16, border } = options;
  if (!Number.isInteger(reach) || reach < 0)
    throw new InvalidArgument('reach', 'a whole number of voxels', reach);
  const all = patchBorders(grid, axis);
  if (border !== undefined && !all.includes(border)) {
    throw new InvalidArgument('border', 'a border of the grid', border, all);
  }
  const borders = border === undefined ? all : [border];
  const jumps = jumpSums(data, grid.volume, axis);
  const lines = data.length / grid.volume[axis];
  const offsets = Array.from({ length: 2 * reach + 1 }, (_, i) => i - reach);
  return {
    axis,
    offsets,
    jumps: offsets.map((offset) => {
      const places = borders.map((b) => b - 1 + offset).filter((i) => i >= 0 && i < jumps.length);
      return places.reduce((sum, i) => sum + jumps[i]!, 0) / (places.length * lines);
    }),
  };
}

/** The voxels inside the volume, ascending, at which a patch of the axis begins or the one before has ended. */
export function patchBorders(grid: Grid, axis: Axis): readonly number[] {
  const borders = new Set<number>();
  for (const start of grid.starts[axis]) borders.add(start).add(start + grid.patch[axis]);
  return [...borders].filter((b) => b > 0 && b < grid.volume[axis]).sort((a, b) => a - b);
}

/** For each i the sum of |data[i + 1] - data[i]| along an axis, over all lines of the volume. */
function jumpSums(data: VoxelSource, shape: Vec3, axis: Axis): Float64Array {
  const [nx, ny, nz] = shape;
  expectLength('data', data, nx * ny * nz, 'the volume of the grid');
  const step = axis === 0 ? 1 : axis === 1 ? nx : nx * ny;
  const sums = new Float64Array(shape[axis] - 1);
  for (let z = 0; z < nz - (axis === 2 ? 1 : 0); z++) {
    for (let y = 0; y < ny - (axis === 1 ? 1 : 0); y++) {
      const row = (z * ny + y) * nx;
      if (axis === 0) {
        for (let x = 0; x < nx - 1; x++) sums[x]! += Math.abs(data[row + x + 1]! - data[row + x]!);
      } else {
        let sum = 0;
        for (let i = row; i < row + nx; i++) sum += Math.abs(data[i + step]! - data[i]!);
        sums[axis === 1 ? y : z]! += sum;
      }
    }
  }
  return sums;
}
