import { InvalidArgument } from '../errors';
import { checkShape, eachAxis, type PerAxis, type Size, toVec3, type Vec3 } from '../vec3';

/** Where the last patch of an axis goes: back to the border (`snapped`), or all patches are spaced evenly (`even`). */
export type GridLayout = 'snapped' | 'even';

export interface GridOptions {
  /** Size of a patch in voxels. */
  readonly patch: Size;
  /** Distance between neighbouring patches in voxels; give this or `overlap`, the default is an overlap of 0.25. */
  readonly stride?: Size;
  /** The part that neighbours share: a fraction of the patch (under 1) or a number of voxels (1 and more). */
  readonly overlap?: Size;
  readonly layout?: GridLayout;
}

/**
 * The positions of all patches of a volume: a frozen value that extracting, training, blending and planning share.
 * Positions are in voxels of the volume. Along an axis on which the volume is smaller than the patch they are negative,
 * and voxels outside the volume are padding.
 */
export interface Grid {
  readonly volume: Vec3;
  readonly patch: Vec3;
  /** The requested distance. The last one on an axis is shorter if the grid does not divide the volume. */
  readonly stride: Vec3;
  readonly layout: GridLayout;
  /** Number of patches along each axis. */
  readonly counts: Vec3;
  /** Number of patches in all. */
  readonly patches: number;
  /** First voxel of each patch along each axis, ascending. */
  readonly starts: PerAxis<readonly number[]>;
  /** Voxels shared by each pair of neighbours along each axis, in the order of `starts`. */
  readonly overlap: PerAxis<readonly number[]>;
  /** Voxels added on either side where the volume is smaller than the patch; blending crops them again. */
  readonly padding: { readonly before: Vec3; readonly after: Vec3 };
  /** The part of the volume's voxels that patches cover, counted from `starts`: 1. */
  readonly coverage: number;
}

const LAYOUTS: readonly GridLayout[] = ['snapped', 'even'];

/**
 * Plans the patches of a volume so that they cover every voxel.
 *
 * ```ts
 * const grid = pw.planGrid([512, 512, 604], { patch: [256, 256, 128], stride: [192, 192, 96] });
 * console.log(grid.patches); // 54
 * ```
 * @throws InvalidArgument if a size is not a positive integer or neighbours leave a gap
 */
export function planGrid(volume: Size, options: GridOptions): Grid {
  if (options.stride !== undefined && options.overlap !== undefined)
    throw new InvalidArgument('overlap', 'either a stride or an overlap, not both', options.overlap);
  const size = checkShape('volume', volume);
  const patch = checkShape('patch', options.patch);
  const stride = strideOf(patch, options);
  const layout = options.layout ?? 'snapped';
  if (!LAYOUTS.includes(layout)) throw new InvalidArgument('layout', 'a grid layout', layout, LAYOUTS);

  const starts = eachAxis((axis) => axisStarts(size[axis], patch[axis], stride[axis], layout));
  const before = eachAxis((axis) => Math.max(0, -starts[axis][0]!));
  const after = eachAxis((axis) => Math.max(0, starts[axis].at(-1)! + patch[axis] - size[axis]));
  return freezeGrid({ volume: size, patch, stride, layout, starts, padding: { before, after } });
}

/** The place of a patch along each axis; the index of a patch counts x fastest, then y, then z. */
export function patchPlace(grid: Grid, index: number): Vec3 {
  if (!Number.isInteger(index) || index < 0 || index >= grid.patches) {
    throw new InvalidArgument('index', `a patch of the grid, 0 to ${grid.patches - 1}`, index);
  }
  const [nx, ny] = grid.counts;
  return [index % nx, Math.floor(index / nx) % ny, Math.floor(index / (nx * ny))];
}

/** The first voxel of a patch, negative where the patch begins in the padding. */
export function patchStart(grid: Grid, index: number): Vec3 {
  const place = patchPlace(grid, index);
  return eachAxis((axis) => grid.starts[axis][place[axis]]!);
}

function axisStarts(volume: number, patch: number, stride: number, layout: GridLayout): number[] {
  const room = volume - patch;
  if (room <= 0) return [0 - Math.floor(-room / 2)];
  const count = Math.ceil(room / stride) + 1;
  const step = layout === 'even' ? room / (count - 1) : stride;
  return Array.from({ length: count }, (_, i) => Math.min(Math.round(i * step), room));
}

function strideOf(patch: Vec3, { stride, overlap = 0.25 }: GridOptions): Vec3 {
  if (stride === undefined) return strideFromOverlap(patch, overlap);
  const wanted = checkShape('stride', stride);
  const gap = wanted.findIndex((distance, axis) => distance > patch[axis]!);
  if (gap < 0) return wanted;
  const expected = `at most the patch size ${patch[gap]}, so that neighbours leave no gap`;
  throw new InvalidArgument(`stride[${gap}]`, expected, wanted[gap]);
}

function strideFromOverlap(patch: Vec3, overlap: Size): Vec3 {
  const wanted = toVec3('overlap', overlap);
  return eachAxis((axis) => {
    const [value, size] = [wanted[axis], patch[axis]];
    if (value >= 1 && Number.isInteger(value) && value < size) return size - value;
    // The small term keeps 100 * (1 - 0.9) = 9.999… from becoming 9.
    if (value >= 0 && value < 1) return Math.max(1, Math.floor(size * (1 - value) + 1e-9));
    const argument = typeof overlap === 'number' ? 'overlap' : `overlap[${axis}]`;
    const expected = `a fraction in [0, 1) or whole voxels below the patch size ${size}`;
    throw new InvalidArgument(argument, expected, value);
  });
}

function freezeGrid(
  placed: Pick<Grid, 'volume' | 'patch' | 'stride' | 'layout' | 'starts' | 'padding'>,
): Grid {
  const { volume, patch, stride, starts, padding } = placed;
  const counts = eachAxis((axis) => starts[axis].length);
  const overlap = eachAxis((axis) => starts[axis].slice(1).map((s, i) => starts[axis][i]! + patch[axis] - s));
  const covered = eachAxis((axis) => coveredVoxels(volume[axis], patch[axis], starts[axis]) / volume[axis]);
  const { before, after } = padding;
  const parts = [volume, patch, stride, counts, ...starts, ...overlap, starts, overlap];
  for (const part of [...parts, before, after, padding]) Object.freeze(part);
  const patches = counts[0] * counts[1] * counts[2];
  const coverage = covered[0] * covered[1] * covered[2];
  return Object.freeze({ ...placed, counts, patches, overlap, coverage });
}

function coveredVoxels(volume: number, patch: number, starts: readonly number[]): number {
  let [covered, end] = [0, 0];
  for (const start of starts) {
    const from = Math.max(start, end);
    end = Math.min(volume, Math.max(end, start + patch));
    covered += Math.max(0, end - from);
  }
  return covered;
}
