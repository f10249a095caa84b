import ndarray from 'ndarray';
import { InvalidArgument } from '../errors';
import { checkShape, checkSpacing, type Size, type Vec3, voxelCount } from '../vec3';
import { type Affine, affineSpacing, diagonalAffine } from './base/affine';
import type { VolumeHeader } from './formats/header';

/** An ndarray (scijs) of shape [x, y, z] that shares a volume's voxels: writing to it changes the volume. */
export type NdArray<T extends ndarray.TypedArray> = ndarray.NdArray<T>;

export interface VolumeInit {
  /** Voxels along x, y and z. */
  readonly shape: Size;
  /** Values, x fastest, then y, then z. */
  readonly data: Float32Array;
  /** Voxel size in mm; must equal the affine's to 0.1 %. By default the affine's, or 1. */
  readonly spacing?: Size;
  /** Maps voxel indices to world mm: 16 numbers, row-major. By default the spacing alone. */
  readonly affine?: Affine;
  /** Origin of the volume: a path, or how it was made. */
  readonly source?: string;
  /** What a person should know about the file, such as how a DICOM series was chosen. */
  readonly notes?: readonly string[];
  /** The header of its file. Writing the volume keeps the header's forms. */
  readonly header?: VolumeHeader;
}

/** A 3D image: real values (Hounsfield units for CT) and their place in the patient. */
export class Volume {
  readonly shape: Vec3;
  readonly data: Float32Array; // [z * y * x], x fastest
  readonly spacing: Vec3;
  readonly affine: Affine;
  readonly source?: string;
  readonly notes: readonly string[];
  readonly header?: VolumeHeader;

  /** Keeps `data` without a copy. Throws InvalidArgument if the parts do not fit together. */
  constructor(init: VolumeInit) {
    this.shape = checkShape('shape', init.shape);
    const voxels = voxelCount(this.shape);
    if (init.data.length !== voxels) {
      throw new InvalidArgument('data', `${voxels} values for ${this.shape.join(' x ')}`, init.data.length);
    }
    if (init.affine && (init.affine.length !== 16 || !init.affine.every(Number.isFinite))) {
      throw new InvalidArgument('affine', '16 finite numbers, row-major', init.affine);
    }
    this.data = init.data;
    this.spacing = checkSpacing('spacing', init.spacing ?? spacingOf(init.affine));
    this.affine = init.affine ?? diagonalAffine(this.spacing, [0, 0, 0]);
    checkPlace(this.spacing, this.affine);
    this.source = init.source;
    this.notes = init.notes ?? [];
    this.header = init.header;
  }

  /** The voxels as an ndarray of shape [x, y, z], strides [1, nx, nx * ny]; no copy. */
  view(): NdArray<Float32Array> {
    const [nx, ny, nz] = this.shape;
    return ndarray(this.data, [nx, ny, nz], [1, nx, nx * ny]);
  }

  /** A volume of the same size and place with other values. */
  with(data: Float32Array, source?: string): Volume {
    const { shape, spacing, affine, header } = this;
    return new Volume({ shape, spacing, affine, header, data, source });
  }
}

/** The size of an image and its place in the patient, without its voxels. */
export type VolumePlace = Pick<Volume, 'shape' | 'spacing' | 'affine' | 'header'>;

/** @throws InvalidArgument if the voxel size differs from the affine's by over 0.1 %: a file stores only one of them */
export function checkPlace(spacing: Vec3, affine: Affine): void {
  const steps = affineSpacing(affine);
  if (steps.some((step, axis) => step > 0 && Math.abs(step - spacing[axis]!) > 1e-3 * step))
    throw new InvalidArgument('spacing', `the affine's voxel size ${steps.join(', ')}, or nothing`, spacing);
}

function spacingOf(affine: Affine | undefined): Vec3 {
  if (!affine) return [1, 1, 1];
  const [x, y, z] = affineSpacing(affine).map((step) => step || 1);
  return [x!, y!, z!];
}
