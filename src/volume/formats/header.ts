import { UnreadableFile } from '../../errors';
import { eachAxis, type Vec3 } from '../../vec3';
import { type Affine, affineSpacing, centreOf, diagonalAffine, quaternionAffine } from '../base/affine';
import { datatypes } from '../base/datatypes';
import type { RawHeader } from './nifti-bytes';

/** A file's checked header, with lengths in mm. */
export interface VolumeHeader {
  readonly format: 'nifti-1' | 'nifti-2' | 'analyze';
  readonly littleEndian: boolean;
  /** True if a separate .img file holds the voxels. */
  readonly pair: boolean;
  /** Voxels along x, y and z; 1 for a missing axis. */
  readonly shape: Vec3;
  /** Sizes of the axes after z (time, ...), without trailing ones. */
  readonly series: readonly number[];
  readonly datatype: string;
  /** Bytes before the first voxel. */
  readonly voxelOffset: number;
  /** A voxel's value is `stored * slope + intercept`; 1 and 0 if the file gives no scaling. */
  readonly slope: number;
  readonly intercept: number;
  /** Voxel size in mm: the header's pixdim, made positive. */
  readonly pixdim: Vec3;
  readonly qfac: 1 | -1;
  readonly qform: { readonly code: number; readonly quaternion: Vec3; readonly offset: Vec3 };
  /** Three rows of four numbers. */
  readonly sform: { readonly code: number; readonly rows: readonly number[] };
  /** The sform, else the qform, else the voxel sizes alone. */
  readonly affine: Affine;
  readonly description: string;
}

/**
 * Checks and reads a raw header as nibabel does: it makes pixdim positive, takes a qfac other than -1 as 1, and takes
 * a slope that is 0 or not finite as no scaling. Throws UnreadableFile if the header contradicts itself.
 */
export function interpretHeader(raw: RawHeader, path: string): VolumeHeader {
  const sizes = axisSizes(raw, path);
  const shape: Vec3 = [sizes[0] ?? 1, sizes[1] ?? 1, sizes[2] ?? 1];
  const mm = unitInMm(raw.units);
  const pixdim = eachAxis((axis) => positive(raw.pixdim[axis + 1]!) * mm);
  const forms = {
    pixdim,
    qfac: raw.pixdim[0] === -1 ? -1 : 1,
    qform: {
      code: knownCode(raw.qformCode),
      quaternion: raw.quaternion,
      offset: eachAxis((axis) => raw.qoffset[axis] * mm),
    },
    sform: { code: knownCode(raw.sformCode), rows: raw.srow.map((value) => value * mm) },
  } as const;
  const { format, littleEndian, pair, description } = raw;
  return {
    format,
    littleEndian,
    pair,
    shape,
    description,
    series: sizes.slice(3),
    datatype: datatypeOf(raw.datatype, path),
    voxelOffset: voxelOffset(raw, path),
    ...scaling(raw, path),
    ...forms,
    affine: headerAffine(forms, raw.origin ?? centreOf(shape)),
  };
}

export type Forms = Pick<VolumeHeader, 'pixdim' | 'qfac' | 'qform' | 'sform'>;

/**
 * The sform if it is set and finite, else the qform by the same rule. Without either, voxel sizes around voxel `origin`
 * with x to the patient's left, as nibabel does.
 */
function headerAffine({ sform, qform, pixdim, qfac }: Forms, origin: Vec3): Affine {
  if (sform.code > 0 && sform.rows.every(Number.isFinite)) return [...sform.rows, 0, 0, 0, 1];
  const rotated = quaternionAffine(qform.quaternion, pixdim, qform.offset, qfac);
  if (qform.code > 0 && rotated.every(Number.isFinite)) return rotated;
  return diagonalAffine([-pixdim[0], pixdim[1], pixdim[2]], origin);
}

/** Voxel size in mm: pixdim if it agrees with the affine to 0.1 %, else the affine's. */
export function headerSpacing(header: VolumeHeader): Vec3 {
  const steps = affineSpacing(header.affine);
  const agree = steps.every((step, axis) => Math.abs(step - header.pixdim[axis]!) <= 1e-3 * step);
  return agree || !steps.every((step) => step > 0) ? header.pixdim : steps;
}

/** The name of the data type with this code. Throws UnreadableFile if NIfTI has no such code. */
function datatypeOf(code: number, path: string): string {
  const datatype = datatypes.find((known) => known.code === code);
  if (datatype) return datatype.name;
  const allowed = datatypes.map((known) => `${known.code} (${known.name})`).join(', ');
  throw new UnreadableFile(path, `one of NIfTI's data types ${allowed}`, `data type ${code}`);
}

function axisSizes(raw: RawHeader, path: string): number[] {
  const axes = raw.dim[0]!;
  if (!(Number.isInteger(axes) && axes >= 1 && axes <= 7))
    throw new UnreadableFile(path, 'between 1 and 7 axes', `dim[0] = ${axes}`);
  const sizes = raw.dim.slice(1, axes + 1);
  // FreeSurfer writes -1 for a surface with too many points for a 16-bit size, and their number in glmin.
  if (sizes[0] === -1 && (sizes[1] ?? 1) === 1 && (sizes[2] ?? 1) === 1 && raw.glmin > 0)
    sizes[0] = raw.glmin;
  // FreeSurfer splits its surface of seven subdivisions over three axes.
  if (raw.format === 'nifti-1' && sizes[0] === 27307 && sizes[1] === 1 && sizes[2] === 6)
    sizes.splice(0, 3, 163842, 1, 1);
  const found = `sizes ${sizes.join(' x ')}`;
  if (!sizes.every((n) => Number.isSafeInteger(n) && n > 0))
    throw new UnreadableFile(path, 'every axis to have at least one voxel', found);
  if (!Number.isSafeInteger(sizes.reduce((a, b) => a * b, 1)))
    throw new UnreadableFile(path, 'fewer than 2^53 voxels', found);
  while (sizes.length > 3 && sizes.at(-1) === 1) sizes.pop();
  return sizes;
}

function voxelOffset(raw: RawHeader, path: string): number {
  const smallest = raw.pair ? 0 : raw.headerBytes + 4;
  const offset = Math.floor(raw.voxelOffset);
  if (offset === 0) return smallest;
  if (Number.isSafeInteger(offset) && offset >= smallest) return offset;
  const expected = `the first voxel at byte ${smallest} or later`;
  throw new UnreadableFile(path, expected, `vox_offset = ${raw.voxelOffset}`);
}

function scaling({ slope, intercept }: RawHeader, path: string): { slope: number; intercept: number } {
  if (!Number.isFinite(slope) || slope === 0) return { slope: 1, intercept: 0 };
  if (Number.isFinite(intercept)) return { slope, intercept };
  // A guessed intercept would silently shift all Hounsfield units. nibabel refuses too.
  const found = `scl_slope = ${slope}, scl_inter = ${intercept}`;
  throw new UnreadableFile(path, 'a finite scl_inter beside a valid scl_slope', found);
}

/** NIfTI's coordinate systems are 0 (none) to 5. Any other code counts as none, as in nibabel. */
function knownCode(code: number): number {
  return code >= 0 && code <= 5 ? code : 0;
}

function positive(size: number): number {
  return Number.isFinite(size) && size !== 0 ? Math.abs(size) : 1;
}

/** mm per spatial unit of NIfTI: 1 is metre, 3 micrometre. All others count as mm. */
function unitInMm(units: number): number {
  return [1, 1000, 1, 0.001][units & 7] ?? 1;
}
