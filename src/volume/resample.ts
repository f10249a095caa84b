import type { Affine } from './affine';
import { allocate, type StoredType, type VoxelArray } from './datatypes';
import { type Vec3, voxelCount } from './vec3';
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

export interface ResampleOptions {
  /** Filter axes that lose voxels with a gaussian first, so that what is finer than the result does not alias; default true. */
  readonly antialias?: boolean;
}

/** The whole extent of an image in this many voxels. */
export function resampleToShape(image: VoxelImage, shape: Vec3, options: ResampleOptions = {}): VoxelImage {
  const step = (axis: 0 | 1 | 2) => image.shape[axis] / shape[axis];
  return resample(image, shape, [step(0), step(1), step(2)], options);
}

/** An image at another spacing in mm, about the same centre. */
export function resampleToSpacing(
  image: VoxelImage,
  spacing: Vec3,
  options: ResampleOptions = {},
): VoxelImage {
  const step = (axis: 0 | 1 | 2) => spacing[axis] / image.spacing[axis];
  return resample(image, shapeAt(image, spacing), [step(0), step(1), step(2)], options);
}

/**
 * Trilinear: a voxel of the result takes the eight voxels about its place, border voxels beyond the border. `step` is
 * the distance of its voxels in those of `image`; both have the same centre, which is how ITK and PyTorch
 * (align_corners off) see a voxel, as a box and not as a point. Whole-number types are rounded. With the gaussian it is
 * scikit-image's `resize(order=1, anti_aliasing=True, mode='edge')`.
 */
function resample(
  image: VoxelImage,
  shape: Vec3,
  step: Vec3,
  { antialias = true }: ResampleOptions,
): VoxelImage {
  const [nx, ny] = image.shape;
  const taps = [0, 1, 2].map((axis) => axisTaps(image.shape[axis]!, shape[axis]!, step[axis]!, antialias));
  const [tx, ty, tz] = taps as [Taps[], Taps[], Taps[]];
  const type = typeOf(image.data);
  const data = allocate(type, voxelCount(shape));
  const most = Math.max(...tz.map(({ weights }) => weights.length));
  const slices = new SliceCache(image.data, nx * ny, most);
  const slice = new Float64Array(nx * ny);
  const row = new Float64Array(nx);
  const line = new Float64Array(shape[0]);
  const whole = isWhole(type);
  for (let z = 0, to = 0; z < shape[2]; z++) {
    slice.fill(0);
    tz[z]!.weights.forEach((weight, k) => void addWeighted(slices.get(tz[z]!.first + k), 0, weight, slice));
    for (let y = 0; y < shape[1]; y++, to += shape[0]) {
      row.fill(0);
      ty[y]!.weights.forEach((weight, k) => void addWeighted(slice, (ty[y]!.first + k) * nx, weight, row));
      for (let x = 0; x < line.length; x++) line[x] = weightedSum(row, tx[x]!);
      if (whole) for (let x = 0; x < line.length; x++) line[x] = Math.round(line[x]!);
      data.set(line, to);
    }
  }
  const spacing = scale(image.spacing, step);
  return { shape, data, spacing, affine: movedAffine(image, shape, step) };
}

/** The first voxel of the centre crop of an image; negative where the image is smaller. */
export function cropStart(image: Vec3, shape: Vec3): Vec3 {
  return [0, 1, 2].map((axis) => Math.floor((image[axis]! - shape[axis]!) / 2)) as unknown as Vec3;
}

/** The centre of an image, its border repeated where the image is smaller. */
export function cropToShape(image: VoxelImage, shape: Vec3): VoxelImage {
  const start = cropStart(image.shape, shape);
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
  const affine = shifted(image.affine, start, [1, 1, 1]);
  return { shape, data, spacing: image.spacing, affine };
}

/** The voxels along an axis that a voxel of the result is made of, from the first one on: their weights sum to 1. */
interface Taps {
  readonly first: number;
  readonly weights: Float64Array;
}

/** Linear interpolation of the axis behind its filter, both as one weighted sum. */
function axisTaps(size: number, wanted: number, step: number, antialias: boolean): Taps[] {
  const filter = antialias ? gaussian(step) : Float64Array.of(1);
  const reach = filter.length >> 1;
  return Array.from({ length: wanted }, (_, n) => {
    const place = Math.min(Math.max((n - (wanted - 1) / 2) * step + (size - 1) / 2, 0), size - 1);
    const below = Math.floor(place);
    const part = place - below;
    const sums = new Map<number, number>();
    const add = (centre: number, share: number): void => {
      // Without a weight on it, a NaN or an infinity next door does no harm.
      if (share === 0) return;
      filter.forEach((weight, k) => {
        const voxel = Math.min(Math.max(centre + k - reach, 0), size - 1);
        sums.set(voxel, (sums.get(voxel) ?? 0) + share * weight);
      });
    };
    add(below, 1 - part);
    add(Math.min(below + 1, size - 1), part);
    const voxels = [...sums.keys()].sort((a, b) => a - b); // neighbours, each one there
    return { first: voxels[0]!, weights: Float64Array.from(voxels, (voxel) => sums.get(voxel)!) };
  });
}

/** scikit-image's filter before an axis is made `step` times as coarse: sigma (step - 1) / 2, cut at 4 sigma. */
function gaussian(step: number): Float64Array {
  const sigma = Math.max(0, (step - 1) / 2);
  const reach = Math.floor(4 * sigma + 0.5);
  if (reach === 0) return Float64Array.of(1);
  const weights = Float64Array.from({ length: 2 * reach + 1 }, (_, k) =>
    Math.exp(-0.5 * ((k - reach) / sigma) ** 2),
  );
  const sum = weights.reduce((a, b) => a + b, 0);
  return weights.map((weight) => weight / sum);
}

/** The last slices as doubles: neighbours of the result mostly share theirs. */
class SliceCache {
  private readonly held: { z: number; readonly values: Float64Array }[];

  constructor(
    private readonly data: VoxelArray,
    private readonly length: number,
    slices: number,
  ) {
    this.held = Array.from({ length: slices }, () => ({ z: -1, values: new Float64Array(length) }));
  }

  get(z: number): Float64Array {
    // As many slices as are asked for in a row have places of their own and never push each other out.
    const place = this.held[z % this.held.length]!;
    if (place.z !== z) place.values.set(this.data.subarray(z * this.length, (z + 1) * this.length));
    place.z = z;
    return place.values;
  }
}

function addWeighted(values: Float64Array, from: number, weight: number, sum: Float64Array): void {
  for (let n = 0; n < sum.length; n++) sum[n]! += weight * values[from + n]!;
}

function weightedSum(values: Float64Array, { first, weights }: Taps): number {
  let sum = 0;
  for (let k = 0; k < weights.length; k++) sum += weights[k]! * values[first + k]!;
  return sum;
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
