import { InvalidArgument } from '../errors';
import { eachAxis, voxelCount } from '../vec3';
import { clip, expectLength, type VoxelSource } from './extract';
import { type Grid, patchStart } from './grid';

/** The patches to compute and those to leave out, as `blendSlabs` takes them for `skip`. */
export interface PatchSelection {
  readonly keep: readonly number[];
  readonly skip: readonly number[];
}

export interface ForegroundOptions {
  /** Values over this are foreground. */
  readonly above: number;
  /** A patch is kept where more than this part of its voxels is foreground; default 0: one voxel is enough. */
  readonly part?: number;
}

/**
 * Chooses the patches that hold foreground: a CT's patches of nothing but air need no model.
 * For a mask, `above: 0` chooses the patches it touches.
 *
 * @param data the volume of the grid, `[z, y, x]`; padding is not counted
 */
export function selectForeground(
  data: VoxelSource,
  grid: Grid,
  { above, part = 0 }: ForegroundOptions,
): PatchSelection {
  expectLength('data', data, voxelCount(grid.volume), 'the volume of the grid');
  if (Number.isNaN(above)) throw new InvalidArgument('above', 'a number', above);
  if (!(part >= 0 && part < 1)) throw new InvalidArgument('part', 'a part in [0, 1)', part);
  const keep: number[] = [];
  const skip: number[] = [];
  for (let index = 0; index < grid.patches; index++) {
    (hasForeground(data, grid, index, above, part) ? keep : skip).push(index);
  }
  return { keep, skip };
}

function hasForeground(data: VoxelSource, grid: Grid, index: number, above: number, part: number): boolean {
  const [vx, vy] = grid.volume;
  const start = patchStart(grid, index);
  const [x, y, z] = eachAxis((axis) => clip(grid, axis, start[axis]).map((p) => start[axis] + p));
  const needed = part * (x[1]! - x[0]!) * (y[1]! - y[0]!) * (z[1]! - z[0]!);
  let foreground = 0;
  for (let k = z[0]!; k < z[1]!; k++) {
    for (let j = y[0]!; j < y[1]!; j++) {
      const row = (k * vy + j) * vx;
      for (let i = row + x[0]!; i < row + x[1]!; i++) if (data[i]! > above) foreground++;
      if (foreground > needed) return true;
    }
  }
  return false;
}
