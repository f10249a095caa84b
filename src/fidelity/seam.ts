import { InvalidArgument } from '../errors';
import { expectLength, type VoxelSource } from '../patch/extract';
import type { Grid } from '../patch/grid';
import type { WindowName } from '../patch/windows';
import { type Axis, checkShape, type Size, type Vec3 } from '../vec3';

export interface SeamEnergyOptions {
  /**
   * Voxels `[x, y, z]` after which the model's own pattern repeats: its downsampling. A decoder that doubles the
   * resolution jumps differently between even and odd voxels, and patches begin at even ones; without the period, that
   * pattern counts as a seam. Default `[1, 1, 1]`, no pattern.
   */
  readonly period?: Size;
  /** The original. Its own energy at the same places, which is anatomy, is divided out. */
  readonly reference?: VoxelSource;
  /** The window of the blend; `seed-linear` also falls from 1 to 0 in mid-patch, so those places are measured too. */
  readonly window?: WindowName;
}

/**
 * How much more a volume jumps at patch borders than elsewhere: the mean absolute difference of neighbouring voxels
 * across borders, over the same mean at all other places of the same axis and phase. The phase is the distance from the
 * start of the patch that weighs most there, modulo `period`. With a reference, the same ratio of the reference is
 * divided out. 1 means no more jumps at borders than elsewhere; the reference itself has exactly 1. NaN if the grid has
 * no border inside the volume, or a phase occurs at borders only.
 *
 * It measures seams alone, not quality. A pattern that repeats with `period` is divided out, so the blocks of a decoder do
 * not count, and a model that blurs everything may come below 1. If neighbouring patches differ in brightness, the blend
 * spreads the difference over their overlap: that is no jump, but a difference map shows it.
 *
 * @param data the volume of the grid, `[z, y, x]`
 */
export function seamEnergy(data: VoxelSource, grid: Grid, options: SeamEnergyOptions = {}): number {
  const { reference, window } = options;
  const period = checkShape('period', options.period ?? 1);
  const places = ([0, 1, 2] as const).map((axis) => placesOf(grid, axis, period[axis], window));
  const ratio = (values: VoxelSource) => energyOf(values, grid, places);
  return reference ? quotient(ratio(data), ratio(reference)) : ratio(data);
}

/** Where an axis is measured: for the jump from voxel i to i + 1 its phase, and whether a seam may be there. */
interface Places {
  readonly axis: Axis;
  readonly phase: readonly number[];
  readonly seam: readonly boolean[];
}

function placesOf(grid: Grid, axis: Axis, period: number, window: WindowName | undefined): Places {
  const starts = grid.starts[axis];
  const middles = window === 'seed-linear' ? starts.map((start) => start + (grid.patch[axis] >> 1)) : [];
  const seams = [...patchBorders(grid, axis), ...middles];
  const jumps = Array.from({ length: grid.volume[axis] - 1 }, (_, i) => i + 1);
  return {
    axis,
    phase: jumps.map((voxel) => {
      const from = voxel - leadingStart(grid, axis, voxel);
      return ((from % period) + period) % period;
    }),
    seam: jumps.map((voxel) => seams.includes(voxel)),
  };
}

function energyOf(data: VoxelSource, grid: Grid, places: readonly Places[]): number {
  let [across, expected] = [0, 0];
  for (const { axis, phase, seam } of places) {
    const jumps = jumpSums(data, grid.volume, axis);
    jumps.forEach((sum, i) => {
      if (!seam[i]) return;
      const others = jumps.filter((_, j) => !seam[j] && phase[j] === phase[i]);
      across += sum;
      expected += others.reduce((total, other) => total + other, 0) / others.length;
    });
  }
  return places.some(({ seam }) => seam.includes(true)) ? quotient(across, expected) : Number.NaN;
}

/** For each i the sum of |data[i + 1] - data[i]| along an axis, over all lines of a volume `[z, y, x]`. */
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

/** The start of the patch whose middle is nearest to the face before a voxel, of those that reach over that face. */
function leadingStart(grid: Grid, axis: Axis, voxel: number): number {
  const patch = grid.patch[axis];
  const over = grid.starts[axis].filter((start) => start < voxel && voxel < start + patch);
  const from = (start: number) => Math.abs(start + patch / 2 - voxel);
  // Side by side without overlap no patch reaches over: the one that begins there has the phase of its own border.
  return over.reduce((best, start) => (from(start) < from(best) ? start : best), over[0] ?? voxel);
}

/** Two volumes that jump nowhere are equally without seams. */
function quotient(a: number, b: number): number {
  return a === 0 && b === 0 ? 1 : a / b;
}

/** The mean absolute jump between neighbouring voxels by where it is from a patch border. */
export interface SeamProfile {
  /** 0 for x, 1 for y, 2 for z. */
  readonly axis: Axis;
  /** Voxels from the border, 0 for the jump across it. */
  readonly offsets: readonly number[];
  /** Mean absolute jump at each offset, in the data's units; NaN where every border is too near the volume's edge. */
  readonly jumps: readonly number[];
}

interface SeamProfileOptions {
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
