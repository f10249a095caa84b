import { UnreadableFile } from '../../errors';
import { eachAxis, type Vec3 } from '../../vec3';
import { loaded } from '../base/fault';
import { foreignContent } from './foreign';
import type { VolumeHeader } from './header';
import { type NiftiExtras, parseExtras } from './nifti-extras';

/** A header's fields as the file stores them, unchecked, the same for every format. */
export interface RawHeader {
  readonly format: VolumeHeader['format'];
  readonly littleEndian: boolean;
  readonly pair: boolean;
  readonly headerBytes: number;
  readonly dim: readonly number[]; // [8]
  readonly datatype: number;
  readonly pixdim: readonly number[]; // [8]
  readonly voxelOffset: number;
  readonly slope: number;
  readonly intercept: number;
  readonly units: number;
  readonly qformCode: number;
  readonly sformCode: number;
  readonly quaternion: Vec3;
  readonly qoffset: Vec3;
  readonly srow: readonly number[]; // [12]
  readonly glmin: number;
  readonly description: string;
  /** NIfTI only. */
  readonly extras?: NiftiExtras;
  /** ANALYZE only: the voxel at the world's origin. */
  readonly origin?: Vec3;
}

export const nifti1Bytes = 348;
export const nifti2Bytes = 540;

/**
 * Parses the header at the start of a file. `bytes` holds the file's first 540 bytes, or all of a shorter file. Throws
 * UnreadableFile if the file is not NIfTI-1, NIfTI-2 or ANALYZE 7.5.
 */
export async function parseHeader(bytes: Uint8Array, path: string): Promise<RawHeader> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length >= nifti1Bytes) {
    const size = [view.getInt32(0, true), view.getInt32(0, false)];
    const magic1 = latin1(bytes, 344, 347);
    const magic2 = latin1(bytes, 4, 7);
    if (size.includes(nifti1Bytes) && (magic1 === 'n+1' || magic1 === 'ni1')) return parseNifti1(bytes, view);
    if (size.includes(nifti2Bytes) && (magic2 === 'n+2' || magic2 === 'ni2')) {
      if (bytes.length < nifti2Bytes) throw shortHeader(path, nifti2Bytes, bytes.length);
      return parseNifti2(bytes, view);
    }
    if (size.includes(nifti1Bytes)) return parseAnalyze(bytes, view);
  }
  const foreign = foreignContent(bytes, path);
  if (foreign) throw new UnreadableFile(path, 'a NIfTI, MetaImage or NRRD volume', foreign);
  if (bytes.length > 0 && bytes.length < nifti1Bytes) throw shortHeader(path, nifti1Bytes, bytes.length);
  throw new UnreadableFile(
    path,
    'a NIfTI-1, NIfTI-2 or ANALYZE 7.5 header (its first number 348 or 540)',
    bytes.length === 0
      ? 'an empty file; its copy or download failed'
      : `the first bytes ${Buffer.from(bytes.subarray(0, 8)).toString('hex')}`,
  );
}

async function parseNifti1(bytes: Uint8Array, view: DataView): Promise<RawHeader> {
  const { NIFTI1 } = await loaded(import('nifti-reader-js'));
  const header = new NIFTI1();
  // It gets the header's 348 bytes only, because its code for extensions can loop on bad sizes.
  header.readHeader(bytes.slice(0, nifti1Bytes).buffer);
  const little = header.littleEndian;
  return {
    format: 'nifti-1',
    littleEndian: little,
    pair: header.magic === 'ni1',
    headerBytes: nifti1Bytes,
    dim: header.dims,
    datatype: header.datatypeCode,
    pixdim: header.pixDims,
    voxelOffset: header.vox_offset,
    slope: header.scl_slope,
    intercept: header.scl_inter,
    units: header.xyzt_units,
    qformCode: header.qform_code,
    sformCode: header.sform_code,
    quaternion: [header.quatern_b, header.quatern_c, header.quatern_d],
    qoffset: [header.qoffset_x, header.qoffset_y, header.qoffset_z],
    // Read here, because its `affine` holds the sform only if the qform's code is not higher.
    srow: numbers(12, (n) => view.getFloat32(280 + 4 * n, little)),
    glmin: view.getInt32(144, little),
    description: latin1(bytes, 148, 228),
    extras: parseExtras(view, 1, little),
  };
}

/** Read without nifti-reader-js, which misreads negative and big-endian 64-bit sizes. */
function parseNifti2(bytes: Uint8Array, view: DataView): RawHeader {
  const little = view.getInt32(0, true) === nifti2Bytes;
  const double = (at: number) => view.getFloat64(at, little);
  const doubles = (count: number, at: number) => numbers(count, (n) => double(at + 8 * n));
  return {
    format: 'nifti-2',
    littleEndian: little,
    pair: latin1(bytes, 4, 7) === 'ni2',
    headerBytes: nifti2Bytes,
    dim: numbers(8, (n) => Number(view.getBigInt64(16 + 8 * n, little))),
    datatype: view.getInt16(12, little),
    pixdim: doubles(8, 104),
    voxelOffset: Number(view.getBigInt64(168, little)),
    slope: double(176),
    intercept: double(184),
    units: view.getInt32(500, little),
    qformCode: view.getInt32(344, little),
    sformCode: view.getInt32(348, little),
    quaternion: eachAxis((axis) => double(352 + 8 * axis)),
    qoffset: eachAxis((axis) => double(376 + 8 * axis)),
    srow: doubles(12, 400),
    glmin: 0,
    description: latin1(bytes, 240, 320),
    extras: parseExtras(view, 2, little),
  };
}

/** ANALYZE 7.5 with scale factor and origin in its spare fields, as SPM2 writes and nibabel reads it. */
function parseAnalyze(bytes: Uint8Array, view: DataView): RawHeader {
  const little = view.getInt32(0, true) === nifti1Bytes;
  const dim = numbers(8, (n) => view.getInt16(40 + 2 * n, little));
  const origin = numbers(3, (n) => view.getInt16(253 + 2 * n, little));
  const inside = origin.every((at, axis) => at > -dim[axis + 1]! && at < 2 * dim[axis + 1]!);
  const centre = (axis: number) => (Math.max(1, dim[axis + 1]!) - 1) / 2;
  const isSet = inside && origin.some((at) => at !== 0);
  return {
    format: 'analyze',
    littleEndian: little,
    pair: true,
    headerBytes: nifti1Bytes,
    dim,
    datatype: view.getInt16(70, little),
    pixdim: numbers(8, (n) => view.getFloat32(76 + 4 * n, little)),
    voxelOffset: view.getFloat32(108, little),
    ...analyzeScaling(view, little),
    units: 0,
    qformCode: 0,
    sformCode: 0,
    quaternion: [0, 0, 0],
    qoffset: [0, 0, 0],
    srow: new Array<number>(12).fill(0),
    glmin: 0,
    description: latin1(bytes, 148, 228),
    origin: eachAxis((axis) => (isSet ? origin[axis]! - 1 : centre(axis))),
  };
}

/** SPM2's rule: the scale factor if it is set, else the ratio of real to stored range if both are set. */
function analyzeScaling(view: DataView, little: boolean): { slope: number; intercept: number } {
  const slope = view.getFloat32(112, little);
  const offset = view.getFloat32(116, little);
  if (Number.isFinite(slope) && slope !== 0)
    return { slope, intercept: Number.isFinite(offset) ? offset : 0 };
  const [realMax, realMin] = [view.getFloat32(124, little), view.getFloat32(128, little)];
  const [storedMax, storedMin] = [view.getInt32(140, little), view.getInt32(144, little)];
  const ranges = [realMax - realMin, storedMax - storedMin];
  if (!ranges.every((range) => Number.isFinite(range) && range !== 0)) return { slope: 1, intercept: 0 };
  const factor = ranges[0]! / ranges[1]!;
  return { slope: factor, intercept: realMin - factor * storedMin };
}

function shortHeader(path: string, expected: number, received: number): UnreadableFile {
  return new UnreadableFile(path, `a header of ${expected} bytes`, `a file that ends after ${received}`);
}

function numbers(count: number, read: (n: number) => number): number[] {
  return Array.from({ length: count }, (_, n) => read(n));
}

/** Text up to the first zero byte. */
function latin1(bytes: Uint8Array, start: number, end: number): string {
  const text = Buffer.from(bytes.subarray(start, end)).toString('latin1');
  return text.split('\0', 1)[0]!;
}
