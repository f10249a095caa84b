import { UnreadableFile } from '../errors';
import { type Affine, affineOf, affineSpacing, quaternionAffine } from './affine';
import { type Datatype, datatypes } from './datatypes';
import type { RawHeader } from './header-bytes';
import type { Vec3 } from './vec3';

/** What a file's header says, checked, with lengths in mm. */
export interface NiftiHeader {
  readonly format: 'nifti-1' | 'nifti-2' | 'analyze';
  readonly littleEndian: boolean;
  /** True where the voxels lie in an .img file of their own. */
  readonly pair: boolean;
  /** Voxels along x, y and z; 1 for an axis the file does not have. */
  readonly shape: Vec3;
  /** Sizes of the axes past z (time, ...), trailing ones left out. */
  readonly series: readonly number[];
  readonly datatype: string;
  /** Bytes before the first voxel. */
  readonly voxelOffset: number;
  /** A voxel's value is `stored * slope + intercept`; 1 and 0 where the file gives none. */
  readonly slope: number;
  readonly intercept: number;
  /** Voxel size in mm as the header's pixdim gives it, made positive. */
  readonly pixdim: Vec3;
  readonly qfac: 1 | -1;
  readonly qform: { readonly code: number; readonly quaternion: Vec3; readonly offset: Vec3 };
  /** Three rows of four numbers. */
  readonly sform: { readonly code: number; readonly rows: readonly number[] };
  /** What the header's own forms amount to, by `headerAffine`. */
  readonly affine: Affine;
  readonly description: string;
}

/**
 * Checks and reads a raw header as nibabel does: pixdim made positive, a qfac other than -1 is 1, a slope of 0 or
 * not finite means no scaling. Throws UnreadableFile where the header contradicts itself.
 */
export function interpretHeader(raw: RawHeader, path: string): NiftiHeader {
  const sizes = axisSizes(raw, path);
  const shape: Vec3 = [sizes[0] ?? 1, sizes[1] ?? 1, sizes[2] ?? 1];
  const mm = unitInMm(raw.units);
  const pixdim = [1, 2, 3].map((axis) => positive(raw.pixdim[axis]!) * mm) as [number, number, number];
  const forms = {
    pixdim,
    qfac: raw.pixdim[0] === -1 ? -1 : 1,
    qform: { code: knownCode(raw.qformCode), quaternion: raw.quaternion, offset: scaled(raw.qoffset, mm) },
    sform: { code: knownCode(raw.sformCode), rows: raw.srow.map((value) => value * mm) },
  } as const;
  return {
    format: raw.format,
    littleEndian: raw.littleEndian,
    pair: raw.pair,
    shape,
    series: sizes.slice(3),
    datatype: datatypeOf(raw.datatype, path).name,
    voxelOffset: voxelOffset(raw, path),
    ...scaling(raw, path),
    ...forms,
    affine: raw.origin ? affineAbout(raw.origin, pixdim) : headerAffine(forms, shape),
    description: raw.description,
  };
}

type Forms = Pick<NiftiHeader, 'pixdim' | 'qfac' | 'qform' | 'sform'>;

/**
 * The sform where it is set and finite, else the qform, else the voxel sizes about the volume's centre with x to
 * the patient's left (nibabel's choice for headers that say nothing).
 */
export function headerAffine(forms: Forms, shape: Vec3): Affine {
  const { sform, qform, pixdim, qfac } = forms;
  if (sform.code > 0 && sform.rows.every(Number.isFinite)) return [...sform.rows, 0, 0, 0, 1];
  const rotated = quaternionAffine(qform.quaternion, pixdim, qform.offset, qfac);
  if (qform.code > 0 && rotated.every(Number.isFinite)) return rotated;
  return affineAbout(shape.map((n) => (n - 1) / 2) as [number, number, number], pixdim);
}

/** Voxel size in mm: pixdim where it agrees with the affine to 0.1 %, else the affine's own. */
export function headerSpacing(header: NiftiHeader): Vec3 {
  const steps = affineSpacing(header.affine);
  const agree = steps.every((step, axis) => Math.abs(step - header.pixdim[axis]!) <= 1e-3 * step);
  return agree || !steps.every((step) => step > 0) ? header.pixdim : steps;
}

/** The datatype of this code. Throws UnreadableFile for a code that NIfTI does not have. */
export function datatypeOf(code: number, path: string): Datatype {
  const datatype = datatypes.find((known) => known.code === code);
  if (datatype) return datatype;
  const allowed = datatypes.map((known) => `${known.code} (${known.name})`).join(', ');
  throw new UnreadableFile(path, `one of NIfTI's data types ${allowed}`, `data type ${code}`);
}

function affineAbout(centre: Vec3, spacing: Vec3): Affine {
  const [dx, dy, dz] = spacing;
  return affineOf([-dx, 0, 0, 0, dy, 0, 0, 0, dz], [centre[0] * dx, -centre[1] * dy, -centre[2] * dz]);
}

function axisSizes(raw: RawHeader, path: string): number[] {
  const axes = raw.dim[0]!;
  if (!(Number.isInteger(axes) && axes >= 1 && axes <= 7)) {
    throw new UnreadableFile(path, 'between 1 and 7 axes', `dim[0] = ${axes}`);
  }
  const sizes = raw.dim.slice(1, axes + 1);
  // FreeSurfer stores a surface with more points than a 16-bit size can say as -1, the number itself in glmin.
  if (sizes[0] === -1 && (sizes[1] ?? 1) === 1 && (sizes[2] ?? 1) === 1 && raw.glmin > 0)
    sizes[0] = raw.glmin;
  // Its surface of seven subdivisions fits, cut into three axes.
  if (raw.format === 'nifti-1' && sizes[0] === 27307 && sizes[1] === 1 && sizes[2] === 6)
    sizes.splice(0, 3, 163842, 1, 1);
  if (!sizes.every((n) => Number.isSafeInteger(n) && n > 0)) {
    throw new UnreadableFile(path, 'every axis to have at least one voxel', `sizes ${sizes.join(' x ')}`);
  }
  if (!Number.isSafeInteger(sizes.reduce((a, b) => a * b, 1))) {
    throw new UnreadableFile(path, 'fewer than 2^53 voxels', `sizes ${sizes.join(' x ')}`);
  }
  while (sizes.length > 3 && sizes.at(-1) === 1) sizes.pop();
  return sizes;
}

function voxelOffset(raw: RawHeader, path: string): number {
  const smallest = raw.pair ? 0 : raw.headerBytes + 4;
  const offset = Math.floor(raw.voxelOffset);
  if (offset === 0) return smallest;
  if (Number.isSafeInteger(offset) && offset >= smallest) return offset;
  throw new UnreadableFile(
    path,
    `the first voxel at byte ${smallest} or later`,
    `vox_offset = ${raw.voxelOffset}`,
  );
}

function scaling(raw: RawHeader, path: string): { slope: number; intercept: number } {
  if (!Number.isFinite(raw.slope) || raw.slope === 0) return { slope: 1, intercept: 0 };
  // A guessed intercept would shift every Hounsfield unit without a sign of it, so refuse, as nibabel does.
  if (!Number.isFinite(raw.intercept)) {
    throw new UnreadableFile(
      path,
      'a finite scl_inter beside a valid scl_slope',
      `scl_slope = ${raw.slope}, scl_inter = ${raw.intercept}`,
    );
  }
  return { slope: raw.slope, intercept: raw.intercept };
}

/** NIfTI's coordinate systems are 0 (none) to 5; nibabel takes any other for none. */
function knownCode(code: number): number {
  return code >= 0 && code <= 5 ? code : 0;
}

function positive(size: number): number {
  return Number.isFinite(size) && size !== 0 ? Math.abs(size) : 1;
}

/** NIfTI's spatial units: 1 metre, 3 micrometre; 2 and "unknown" are taken as mm. */
function unitInMm(units: number): number {
  return [1, 1000, 1, 0.001][units & 7] ?? 1;
}

function scaled(vector: Vec3, factor: number): Vec3 {
  return [vector[0] * factor, vector[1] * factor, vector[2] * factor];
}
