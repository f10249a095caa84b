import { InvalidArgument } from '../../errors';
import type { Axis } from '../../vec3';
import type { ShownVolume } from './shown';

export type PlaneName = 'axial' | 'coronal' | 'sagittal';
export const planeNames: readonly PlaneName[] = ['axial', 'coronal', 'sagittal'];

/** Where the world's axes point to in NIfTI, RAS+: right, anterior, superior. Left and top of a picture show these. */
const TOWARDS = ['R', 'A', 'S'] as const;

/**
 * How one anatomical plane of a volume lies on the screen, by the radiological convention: the patient's right is on
 * the left of axial and coronal pictures, anterior is on the left of sagittal ones; anterior is up in axial ones,
 * superior is up in the others. Data are never flipped: an axis that runs the other way is drawn reversed, so that
 * ticks and hover always name the voxel. Oblique volumes are shown along the voxel axes nearest to the patient's.
 */
export interface Plane {
  readonly name: PlaneName;
  readonly horizontal: Axis;
  readonly vertical: Axis;
  /** The axis the plane is cut across. */
  readonly through: Axis;
  readonly reversed: { readonly horizontal: boolean; readonly vertical: boolean };
  readonly edges: { readonly left: string; readonly top: string };
  readonly columns: number;
  readonly rows: number;
  readonly count: number;
  /** Height of a voxel over its width, in mm. */
  readonly aspect: number;
}

/** The three planes of a volume. */
export function planesOf(volume: ShownVolume): Record<PlaneName, Plane> {
  const voxelAxis = nearestAxes(volume.affine);
  const plane = (name: PlaneName, across: Axis, up: Axis): Plane => {
    const through = (3 - across - up) as Axis;
    const horizontal = voxelAxis[across];
    const vertical = voxelAxis[up];
    const [h, v, t] = [horizontal.axis, vertical.axis, voxelAxis[through].axis];
    return {
      name,
      horizontal: h,
      vertical: v,
      through: t,
      reversed: { horizontal: horizontal.ascending, vertical: !vertical.ascending },
      edges: { left: TOWARDS[across], top: TOWARDS[up] },
      columns: volume.shape[h],
      rows: volume.shape[v],
      count: volume.shape[t],
      aspect: volume.spacing[v] / volume.spacing[h],
    };
  };
  return { axial: plane('axial', 0, 1), coronal: plane('coronal', 0, 2), sagittal: plane('sagittal', 1, 2) };
}

/** The voxels of one slice, row after row; of every `step`-th row and column. */
export function sliceOf(volume: ShownVolume, plane: Plane, index: number, step = 1): Float32Array {
  if (!Number.isInteger(index) || index < 0 || index >= plane.count) {
    throw new InvalidArgument('index', `a slice of the ${plane.name} plane, 0 to ${plane.count - 1}`, index);
  }
  const [nx, ny] = volume.shape;
  const strides = [1, nx, nx * ny] as const;
  const [across, up] = [step * strides[plane.horizontal], step * strides[plane.vertical]];
  const [rows, columns] = [Math.ceil(plane.rows / step), Math.ceil(plane.columns / step)];
  const values = new Float32Array(rows * columns);
  let at = 0;
  for (let row = 0; row < rows; row++) {
    let from = index * strides[plane.through] + row * up;
    for (let column = 0; column < columns; column++, from += across) values[at++] = volume.data[from]!;
  }
  return values;
}

/** For each world axis the voxel axis nearest to it, and whether the two run the same way. */
function nearestAxes(affine: readonly number[]): readonly { axis: Axis; ascending: boolean }[] {
  const cosine = (world: number, voxel: number): number => {
    const length = Math.hypot(affine[voxel]!, affine[4 + voxel]!, affine[8 + voxel]!);
    return length > 0 ? affine[4 * world + voxel]! / length : 0;
  };
  const alignment = (order: readonly Axis[]): number =>
    order.reduce((sum: number, voxel, world) => sum + Math.abs(cosine(world, voxel)), 0);
  const best = orders.reduce((a, b) => (alignment(b) > alignment(a) ? b : a));
  return best.map((axis, world) => ({ axis, ascending: cosine(world, axis) >= 0 }));
}

const axes: readonly Axis[] = [0, 1, 2];
/** The six ways to give each world axis a voxel axis. */
const orders = axes.flatMap((x) =>
  axes.filter((y) => y !== x).map((y): readonly Axis[] => [x, y, (3 - x - y) as Axis]),
);

/** `n` of `count` slices, evenly spread. */
export function spread(count: number, n: number): number[] {
  return Array.from({ length: n }, (_, i) => Math.floor(((i + 0.5) * count) / n));
}
