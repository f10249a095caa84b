import { eachAxis, type Vec3, voxelCount } from '../vec3';
import { type Affine, shiftedAffine } from './base/affine';
import { allocate, typeOf, type VoxelArray } from './base/datatypes';

/** Stored voxels and their place in the patient. */
export interface VoxelImage {
  readonly shape: Vec3;
  readonly data: VoxelArray; // [z * y * x], x fastest
  readonly spacing: Vec3;
  readonly affine: Affine;
}

/** Resamples the whole extent of an image to another shape. */
export function resampleToShape(image: VoxelImage, shape: Vec3, options: ResampleOptions = {}): VoxelImage {
  return resample(
    image,
    shape,
    eachAxis((axis) => image.shape[axis] / shape[axis]),
    options,
  );
}

/** Resamples an image to another spacing in mm, around the same centre. The shape is rounded to whole voxels. */
export function resampleToSpacing(
  image: VoxelImage,
  spacing: Vec3,
  options: ResampleOptions = {},
): VoxelImage {
  const step = eachAxis((axis) => spacing[axis] / image.spacing[axis]);
  return resample(image, shapeAtSpacing(image, spacing), step, options);
}

/** The shape that an image has at another spacing in mm: whole voxels, at least one. */
export function shapeAtSpacing(image: Pick<VoxelImage, 'shape' | 'spacing'>, spacing: Vec3): Vec3 {
  const extent = eachAxis((axis) => image.shape[axis] * image.spacing[axis]);
  return eachAxis((axis) => Math.max(1, Math.round(extent[axis] / spacing[axis])));
}

/** `antialias` smooths axes that lose voxels with a gaussian first; default true. */
type ResampleOptions = { readonly antialias?: boolean };

/**
 * Trilinear interpolation. Beyond the border it repeats border voxels. `step` is the distance between result voxels in
 * voxels of `image`. Both images have the same centre: a voxel is a box and not a point, as in ITK and in PyTorch with
 * align_corners off. Whole-number types are rounded. With the gaussian, the result equals scikit-image's
 * `resize(order=1, anti_aliasing=True, mode='edge')`.
 */
function resample(image: VoxelImage, shape: Vec3, step: Vec3, options: ResampleOptions): VoxelImage {
  const { antialias = true } = options;
  const [nx, ny] = image.shape;
  const [tx, ty, tz] = eachAxis((axis) => axisTaps(image.shape[axis], shape[axis], step[axis], antialias));
  const type = typeOf(image.data);
  const data = allocate(type, voxelCount(shape));
  const most = Math.max(...tz.map(({ weights }) => weights.length));
  const slices = new SliceCache(image.data, nx * ny, most);
  const slice = new Float64Array(nx * ny);
  const row = new Float64Array(nx);
  const line = new Float64Array(shape[0]);
  const whole = type !== 'float32' && type !== 'float64';
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
  const spacing = eachAxis((axis) => image.spacing[axis] * step[axis]);
  const start = eachAxis((axis) => (image.shape[axis] - 1) / 2 - ((shape[axis] - 1) / 2) * step[axis]);
  return { shape, data, spacing, affine: shiftedAffine(image.affine, start, step) };
}

/** The first voxel of an image's centre crop; negative along axes where the image is smaller. */
export function cropStart(image: Vec3, shape: Vec3): Vec3 {
  return eachAxis((axis) => Math.floor((image[axis] - shape[axis]) / 2));
}

/** Crops the centre of an image. Where the image is smaller, border voxels are repeated. */
export function cropToShape(image: VoxelImage, shape: Vec3): VoxelImage {
  const start = cropStart(image.shape, shape);
  const { data, spacing, affine } = image;
  const cut = cutBox(data, image.shape, start, shape);
  return { shape, data: cut, spacing, affine: shiftedAffine(affine, start, [1, 1, 1]) };
}

/** The voxels of a box that begins at `start`. A voxel outside the image takes the value of the nearest border voxel. */
export function cutBox<T extends VoxelArray>(data: T, [nx, ny, nz]: Vec3, start: Vec3, size: Vec3): T {
  const inside = (voxel: number, n: number) => Math.min(Math.max(voxel, 0), n - 1);
  const outside = (voxels: number) => Math.min(Math.max(voxels, 0), size[0]);
  const [left, right] = [outside(-start[0]), outside(start[0] + size[0] - nx)];
  const box = allocate(typeOf(data), voxelCount(size)) as T;
  for (let z = 0, to = 0; z < size[2]; z++)
    for (let y = 0; y < size[1]; y++, to += size[0]) {
      const from = (inside(start[2] + z, nz) * ny + inside(start[1] + y, ny)) * nx;
      const row = data.subarray(from, from + nx);
      box.set(row.subarray(start[0] + left, start[0] + size[0] - right), to + left);
      box.fill(row[0]!, to, to + left);
      box.fill(row[nx - 1]!, to + size[0] - right, to + size[0]);
    }
  return box;
}

/** Weights of the input voxels, from `first` on, that make one result voxel along an axis. They sum to 1. */
interface Taps {
  readonly first: number;
  readonly weights: Float64Array;
}

/** Filter and linear interpolation along an axis, combined into one weighted sum per voxel. */
function axisTaps(size: number, wanted: number, step: number, antialias: boolean): Taps[] {
  const filter = antialias ? gaussian(step) : Float64Array.of(1);
  const reach = filter.length >> 1;
  return Array.from({ length: wanted }, (_, n) => {
    const place = Math.min(Math.max((n - (wanted - 1) / 2) * step + (size - 1) / 2, 0), size - 1);
    const below = Math.floor(place);
    const part = place - below;
    const sums = new Map<number, number>();
    const add = (centre: number, share: number): void => {
      // A weight of 0 would still spread a neighbour's NaN or infinity.
      if (share === 0) return;
      filter.forEach((weight, k) => {
        const voxel = Math.min(Math.max(centre + k - reach, 0), size - 1);
        sums.set(voxel, (sums.get(voxel) ?? 0) + share * weight);
      });
    };
    add(below, 1 - part);
    add(Math.min(below + 1, size - 1), part);
    const voxels = [...sums.keys()].sort((a, b) => a - b); // adjacent, without a gap
    return { first: voxels[0]!, weights: Float64Array.from(voxels, (voxel) => sums.get(voxel)!) };
  });
}

/** scikit-image's filter for an axis that becomes `step` times coarser: sigma (step - 1) / 2, cut at 4 sigma. */
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

/** Keeps the last slices as doubles: neighbouring result slices mostly need the same ones. */
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
    // The slices of one result slice are adjacent, so each has its own place.
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
