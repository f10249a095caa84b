import { UnreadableFile } from '../../errors';
import { eachAxis, type Vec3 } from '../../vec3';
import { type Affine, centreOf, diagonalAffine, quaternionAffine } from '../base/affine';
import { datatypes } from '../base/datatypes';
import type { ByteReader } from './bytes';
import { axesOf, type Forms, type VolumeHeader } from './header';
import { imagePath, type PairPaths } from './names';
import { parseHeader, type RawHeader } from './nifti-bytes';
import { readExtensions } from './nifti-extras';
import type { VolumeFile } from './voxel-place';

/**
 * Reads the header of a NIfTI or ANALYZE file.
 * @param start the file's first 540 bytes, or all of a shorter file
 * @param pair names the image of an .hdr file
 */
export async function readNifti(
  reader: ByteReader,
  start: Uint8Array,
  pair: PairPaths | undefined,
): Promise<VolumeFile> {
  const { path } = reader;
  const raw = await parseHeader(start, path);
  const offset = voxelOffset(raw, path);
  const header = interpretHeader(raw, path);
  const { headerBytes, littleEndian: little } = raw;
  const end = raw.pair ? Number.POSITIVE_INFINITY : offset;
  const nifti = raw.extras && {
    ...raw.extras,
    extensions: await readExtensions(reader, start, { headerBytes, end, little }),
  };
  // Gzip's checksum comes last. Without it, a damaged stream could pass for a header.
  if (raw.pair) await reader.finish();
  return {
    header: { ...header, nifti },
    voxels: () => {
      const file = raw.pair ? imagePath(path, pair) : path;
      return { files: [file], start: 0, lines: 0, skip: 0, packing: 'by content', offset };
    },
  };
}

/**
 * Checks and reads a raw header as nibabel does: it makes pixdim positive, takes a qfac other than -1 as 1, and takes
 * a slope that is 0 or not finite as no scaling. Throws UnreadableFile if the header contradicts itself.
 */
function interpretHeader(raw: RawHeader, path: string): VolumeHeader {
  const { shape, series } = axesOf(axisSizes(raw, path), path);
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
  const { format, littleEndian, description } = raw;
  return {
    format,
    littleEndian,
    shape,
    description,
    series,
    datatype: datatypeOf(raw.datatype, path),
    ...scaling(raw, path),
    ...forms,
    affine: headerAffine(forms, raw.origin ?? centreOf(shape)),
  };
}

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
