import type { Affine } from '../affine';
import { allocate, type StoredType, type VoxelArray } from '../datatypes';
import { type Vec3, voxelCount } from '../vec3';
import { typeOf } from './voxel-type';

/** Voxels as they are stored, and their place. */
export interface VoxelImage {
  readonly shape: Vec3;
  readonly data: VoxelArray; // [z * y * x], x fastest
  readonly spacing: Vec3;
  readonly affine: Affine;
}

/** The shape that covers the same extent at another spacing, to the nearest voxel. */
export function shapeAt({ shape, spacing }: Pick<VoxelImage, 'shape' | 'spacing'>, wanted: Vec3): Vec3 {
  const size = (axis: 0 | 1 | 2) => Math.max(1, Math.round((shape[axis] * spacing[axis]) / wanted[axis]));
  return [size(0), size(1), size(2)];
}

/** The whole extent of an image in this many voxels. */
export function resampleToShape(image: VoxelImage, shape: Vec3): VoxelImage {
  const step = (axis: 0 | 1 | 2) => image.shape[axis] / shape[axis];
  return resample(image, shape, [step(0), step(1), step(2)]);
}

/** An image at another spacing in mm, about the same centre. */
export function resampleToSpacing(image: VoxelImage, spacing: Vec3): VoxelImage {
  const step = (axis: 0 | 1 | 2) => spacing[axis] / image.spacing[axis];
  return resample(image, shapeAt(image, spacing), [step(0), step(1), step(2)]);
}

/**
 * Trilinear: a voxel of the result takes the eight voxels about its place, border voxels beyond the border. `step` is
 * the distance of its voxels in those of `image`; both have the same centre, which is how ITK and PyTorch
 * (align_corners off) see a voxel, as a box and not as a point. Whole-number types are rounded.
 */
function resample(image: VoxelImage, shape: Vec3, step: Vec3): VoxelImage {
  const [nx, ny, nz] = image.shape;
  const taps = [0, 1, 2].map((axis) => axisTaps(image.shape[axis]!, shape[axis]!, step[axis]!));
  const [tx, ty, tz] = taps as [Taps, Taps, Taps];
  const type = typeOf(image.data);
  const data = allocate(type, voxelCount(shape));
  const slices = new SliceCache(image.data, nx * ny);
  const slice = new Float64Array(nx * ny);
  const row = new Float64Array(nx);
  const line = new Float64Array(shape[0]);
  const whole = isWhole(type);
  for (let z = 0, to = 0; z < shape[2]; z++) {
    const below = slices.get(tz.first[z]!);
    const above = slices.get(Math.min(tz.first[z]! + 1, nz - 1));
    mix(below, 0, above, 0, tz.weight[z]!, slice);
    for (let y = 0; y < shape[1]; y++, to += shape[0]) {
      const front = ty.first[y]!;
      mix(slice, front * nx, slice, Math.min(front + 1, ny - 1) * nx, ty.weight[y]!, row);
      for (let x = 0; x < line.length; x++) {
        const left = tx.first[x]!;
        line[x] = between(row[left]!, row[Math.min(left + 1, nx - 1)]!, tx.weight[x]!);
      }
      if (whole) for (let x = 0; x < line.length; x++) line[x] = Math.round(line[x]!);
      data.set(line, to);
    }
  }
  const spacing = scale(image.spacing, step);
  return { shape, data, spacing, affine: movedAffine(image, shape, step) };
}

/** The centre of an image, its border repeated where the image is smaller. */
export function cropToShape(image: VoxelImage, shape: Vec3): VoxelImage {
  const start = [0, 1, 2].map((axis) => Math.floor((image.shape[axis]! - shape[axis]!) / 2));
  const source = [0, 1, 2].map((axis) =>
    Int32Array.from({ length: shape[axis]! }, (_, i) =>
      Math.min(Math.max(start[axis]! + i, 0), image.shape[axis]! - 1),
    ),
  );
  const [sx, sy, sz] = source as [Int32Array, Int32Array, Int32Array];
  const [nx, ny] = image.shape;
  const inside = [Math.max(0, -start[0]!), Math.min(shape[0], nx - start[0]!)] as const;
  const data = allocate(typeOf(image.data), voxelCount(shape));
  for (let z = 0, to = 0; z < shape[2]; z++) {
    for (let y = 0; y < shape[1]; y++, to += shape[0]) {
      const from = (sz[z]! * ny + sy[y]!) * nx;
      const first = from + sx[inside[0]]!;
      data.set(image.data.subarray(first, first + inside[1] - inside[0]), to + inside[0]);
      for (let x = 0; x < inside[0]; x++) data[to + x] = image.data[from]!;
      for (let x = inside[1]; x < shape[0]; x++) data[to + x] = image.data[from + nx - 1]!;
    }
  }
  const affine = shifted(image.affine, start as unknown as Vec3, [1, 1, 1]);
  return { shape, data, spacing: image.spacing, affine };
}

/** For each voxel of the result along an axis: the voxel before its place, and how far it is to the next. */
interface Taps {
  readonly first: Int32Array;
  readonly weight: Float64Array;
}

function axisTaps(size: number, wanted: number, step: number): Taps {
  const first = new Int32Array(wanted);
  const weight = new Float64Array(wanted);
  for (let n = 0; n < wanted; n++) {
    const place = Math.min(Math.max((n - (wanted - 1) / 2) * step + (size - 1) / 2, 0), size - 1);
    first[n] = Math.floor(place);
    weight[n] = place - first[n]!;
  }
  return { first, weight };
}

/** The last two slices as doubles: neighbours of the result mostly share theirs. */
class SliceCache {
  private readonly held: { z: number; readonly values: Float64Array }[];

  constructor(
    private readonly data: VoxelArray,
    private readonly length: number,
  ) {
    this.held = [0, 1].map(() => ({ z: -1, values: new Float64Array(length) }));
  }

  get(z: number): Float64Array {
    // Slices are asked for in pairs z and z + 1, so even and odd ones never push each other out.
    const place = this.held[z % 2]!;
    if (place.z !== z) place.values.set(this.data.subarray(z * this.length, (z + 1) * this.length));
    place.z = z;
    return place.values;
  }
}

function mix(
  a: Float64Array,
  fromA: number,
  b: Float64Array,
  fromB: number,
  weight: number,
  out: Float64Array,
): void {
  for (let n = 0; n < out.length; n++) out[n] = between(a[fromA + n]!, b[fromB + n]!, weight);
}

/** Without a weight on it, a NaN or an infinity next door does no harm. */
function between(a: number, b: number, weight: number): number {
  return weight === 0 ? a : a + (b - a) * weight;
}

/** new affine = old affine x (new index -> old index) */
function movedAffine(image: VoxelImage, shape: Vec3, step: Vec3): Affine {
  const start = (axis: 0 | 1 | 2) => (image.shape[axis] - 1) / 2 - ((shape[axis] - 1) / 2) * step[axis];
  return shifted(image.affine, [start(0), start(1), start(2)], step);
}

function shifted(affine: Affine, start: Vec3, step: Vec3): Affine {
  return affine.map((value, at) => {
    const [row, column] = [Math.floor(at / 4), at % 4];
    if (row === 3) return value;
    if (column < 3) return value * step[column]!;
    return value + start.reduce((sum, along, axis) => sum + affine[row * 4 + axis]! * along, 0);
  });
}

function scale(spacing: Vec3, step: Vec3): Vec3 {
  return [spacing[0] * step[0], spacing[1] * step[1], spacing[2] * step[2]];
}

function isWhole(type: StoredType): boolean {
  return type !== 'float32' && type !== 'float64';
}
