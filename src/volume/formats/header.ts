import { UnreadableFile } from '../../errors';
import { eachAxis, type Vec3 } from '../../vec3';
import { type Affine, affineQuaternion, affineSpacing } from '../base/affine';
import type { NiftiExtras } from './nifti-extras';

/** A file's checked header, with lengths in mm and places in NIfTI's world, whatever the format. */
export interface VolumeHeader {
  readonly format: 'nifti-1' | 'nifti-2' | 'analyze' | 'metaimage' | 'nrrd';
  readonly littleEndian: boolean;
  /** Voxels along x, y and z; 1 for a missing axis. */
  readonly shape: Vec3;
  /** Sizes of the axes after z (time, ...), without trailing ones. */
  readonly series: readonly number[];
  /** The name of the data type, such as int16 or float32. */
  readonly datatype: string;
  /** A voxel's value is `stored * slope + intercept`; 1 and 0 if the file gives no scaling. */
  readonly slope: number;
  readonly intercept: number;
  /** Voxel size in mm, positive: NIfTI's pixdim, MetaImage's ElementSpacing, the lengths of NRRD's space directions. */
  readonly pixdim: Vec3;
  readonly qfac: 1 | -1;
  /** Of MetaImage and NRRD, the two forms that give the affine. */
  readonly qform: { readonly code: number; readonly quaternion: Vec3; readonly offset: Vec3 };
  /** Three rows of four numbers. */
  readonly sform: { readonly code: number; readonly rows: readonly number[] };
  /** NIfTI's sform, else its qform, else the voxel sizes alone; the directions and origin of the other formats. */
  readonly affine: Affine;
  readonly description: string;
  /** NIfTI's other fields and extensions, as the file has them. */
  readonly nifti?: NiftiExtras;
}

export type Forms = Pick<VolumeHeader, 'pixdim' | 'qfac' | 'qform' | 'sform'>;

/**
 * The forms that give an affine. A qform cannot hold a shear, so the sform alone holds a sheared affine.
 * @param spacing the voxel size, if the affine is sheared or flat
 */
export function formsOf(affine: Affine, spacing: Vec3, codes = { qform: 1, sform: 1 }): Forms {
  const turned = affineQuaternion(affine);
  const rigid = turned !== undefined && !turned.sheared;
  return {
    pixdim: rigid ? affineSpacing(affine) : spacing,
    qfac: turned?.qfac ?? 1,
    qform: {
      code: rigid ? codes.qform : 0,
      quaternion: turned?.quaternion ?? [0, 0, 0],
      offset: [affine[3]!, affine[7]!, affine[11]!],
    },
    sform: { code: codes.sform, rows: affine.slice(0, 12) },
  };
}

/** Voxel size in mm: pixdim if it agrees with the affine to 0.1 %, else the affine's. */
export function headerSpacing(header: VolumeHeader): Vec3 {
  const steps = affineSpacing(header.affine);
  const agree = steps.every((step, axis) => Math.abs(step - header.pixdim[axis]!) <= 1e-3 * step);
  return agree || !steps.every((step) => step > 0) ? header.pixdim : steps;
}

/** The shape and the series of a file with these sizes. Throws UnreadableFile for sizes that no volume has. */
export function axesOf(sizes: readonly number[], path: string): Pick<VolumeHeader, 'shape' | 'series'> {
  const found = `sizes ${sizes.join(' x ')}`;
  if (!sizes.every((n) => Number.isSafeInteger(n) && n > 0))
    throw new UnreadableFile(path, 'every axis to have at least one voxel', found);
  if (!Number.isSafeInteger(sizes.reduce((a, b) => a * b, 1)))
    throw new UnreadableFile(path, 'fewer than 2^53 voxels', found);
  const series = sizes.slice(3);
  while (series.at(-1) === 1) series.pop();
  return { shape: eachAxis((axis) => sizes[axis] ?? 1), series };
}
