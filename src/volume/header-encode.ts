import { InvalidArgument } from '../errors';
import { affineQuaternion, affineSpacing, matrixOf, nearestOrthogonal } from './affine';
import { componentBytes, datatypes, type StoredType } from './datatypes';
import { nifti1Bytes, nifti2Bytes } from './header-bytes';
import type { Vec3 } from './vec3';
import type { Volume } from './volume';

export interface NewHeader {
  readonly dtype: StoredType;
  readonly slope: number;
  readonly intercept: number;
  readonly version?: 1 | 2;
  readonly pair: boolean;
}

export const storedTypes: readonly StoredType[] = [
  'int8',
  'uint8',
  'int16',
  'uint16',
  'int32',
  'uint32',
  'float32',
  'float64',
];

type Placed = Pick<Volume, 'shape' | 'spacing' | 'affine' | 'header'>;

/** A NIfTI header, little-endian, with the empty extension flag that comes between it and the voxels. */
export function encodeHeader(volume: Placed, header: NewHeader): Uint8Array {
  const longest = Math.max(...volume.shape);
  const version = header.version ?? (longest > 32767 ? 2 : 1);
  if (version === 1 && longest > 32767) {
    throw new InvalidArgument('version', '2 where an axis is longer than 32767', 1);
  }
  const bytes = new Uint8Array((version === 1 ? nifti1Bytes : nifti2Bytes) + 4);
  const view = new DataView(bytes.buffer);
  const put = version === 1 ? nifti1Fields(view) : nifti2Fields(view);
  const forms = formsOf(volume);
  const { code } = datatypes.find((known) => known.name === header.dtype)!;
  const magic = `${header.pair ? 'ni' : 'n+'}${version}`;
  put.magic(magic);
  put.dim([3, ...volume.shape, 1, 1, 1, 1]);
  put.datatype(code, 8 * componentBytes[header.dtype]);
  put.pixdim([forms.qfac, ...forms.pixdim, 1, 1, 1, 1]);
  put.offset(header.pair ? 0 : bytes.length);
  put.scaling(header.slope, header.intercept);
  put.codes(forms.qform.code, forms.sform.code);
  put.quaternion([...forms.qform.quaternion, ...forms.qform.offset]);
  put.rows(forms.sform.rows);
  put.units(2); // mm
  put.description(volume.header?.description || 'Patchwise');
  return bytes;
}

interface Forms {
  readonly pixdim: Vec3;
  readonly qfac: 1 | -1;
  readonly qform: { readonly code: number; readonly quaternion: Vec3; readonly offset: Vec3 };
  readonly sform: { readonly code: number; readonly rows: readonly number[] };
}

/** The forms the volume was read with, as long as they still say its affine; else new ones that do. */
function formsOf(volume: Placed): Forms {
  const { affine, header, spacing } = volume;
  const unchanged = header?.format !== 'analyze' && header?.affine.every((value, at) => value === affine[at]);
  if (header && unchanged) return finiteForms(header);
  const offset: Vec3 = [affine[3]!, affine[7]!, affine[11]!];
  const turned = affineQuaternion(affine);
  // A qform cannot say a shear, so a sheared affine is left to the sform alone.
  const rigid = turned !== undefined && !isSheared(volume);
  const code = header?.sform.code || header?.qform.code || 1;
  return {
    pixdim: rigid ? affineSpacing(affine) : spacing,
    qfac: turned?.qfac ?? 1,
    qform: {
      code: rigid ? header?.qform.code || code : 0,
      quaternion: turned?.quaternion ?? [0, 0, 0],
      offset,
    },
    sform: { code, rows: affine.slice(0, 12) },
  };
}

/** A form with NaN in it is not used when a file is read. Written back, it would give the next reader a NaN affine. */
function finiteForms({ pixdim, qfac, qform, sform }: Forms): Forms {
  const none = { code: 0, quaternion: [0, 0, 0], offset: [0, 0, 0] } as const;
  const placed = [...qform.quaternion, ...qform.offset].every(Number.isFinite);
  const rows = sform.rows.every(Number.isFinite) ? sform : { code: 0, rows: new Array<number>(12).fill(0) };
  return { pixdim, qfac, qform: placed ? qform : none, sform: rows };
}

function isSheared({ affine }: Placed): boolean {
  const spacing = affineSpacing(affine);
  const unit = matrixOf(affine).map((value, at) => value / spacing[at % 3]!);
  const rotation = nearestOrthogonal(unit)!;
  return unit.some((value, at) => Math.abs(value - rotation[at]!) > 1e-5);
}

interface Fields {
  magic(text: string): void;
  dim(sizes: readonly number[]): void;
  datatype(code: number, bits: number): void;
  pixdim(sizes: readonly number[]): void;
  offset(bytes: number): void;
  scaling(slope: number, intercept: number): void;
  codes(qform: number, sform: number): void;
  quaternion(values: readonly number[]): void;
  rows(values: readonly number[]): void;
  units(code: number): void;
  description(text: string): void;
}

function nifti1Fields(view: DataView): Fields {
  const floats = (at: number, values: readonly number[]) => {
    for (const [n, value] of values.entries()) view.setFloat32(at + 4 * n, value, true);
  };
  view.setInt32(0, nifti1Bytes, true);
  return {
    magic: (text) => putText(view, 344, text, 4),
    dim: (sizes) => {
      for (const [n, size] of sizes.entries()) view.setInt16(40 + 2 * n, size, true);
    },
    datatype: (code, bits) => {
      view.setInt16(70, code, true);
      view.setInt16(72, bits, true);
    },
    pixdim: (sizes) => floats(76, sizes),
    offset: (bytes) => floats(108, [bytes]),
    scaling: (slope, intercept) => floats(112, [slope, intercept]),
    codes: (qform, sform) => {
      view.setInt16(252, qform, true);
      view.setInt16(254, sform, true);
    },
    quaternion: (values) => floats(256, values),
    rows: (values) => floats(280, values),
    units: (code) => view.setUint8(123, code),
    description: (text) => putText(view, 148, text, 80),
  };
}

function nifti2Fields(view: DataView): Fields {
  const doubles = (at: number, values: readonly number[]) => {
    for (const [n, value] of values.entries()) view.setFloat64(at + 8 * n, value, true);
  };
  view.setInt32(0, nifti2Bytes, true);
  return {
    // The line ends after the magic show a transfer that took the file for text.
    magic: (text) => putText(view, 4, `${text}\0\r\n\x1a\n`, 8),
    dim: (sizes) => {
      for (const [n, size] of sizes.entries()) view.setBigInt64(16 + 8 * n, BigInt(size), true);
    },
    datatype: (code, bits) => {
      view.setInt16(12, code, true);
      view.setInt16(14, bits, true);
    },
    pixdim: (sizes) => doubles(104, sizes),
    offset: (bytes) => view.setBigInt64(168, BigInt(bytes), true),
    scaling: (slope, intercept) => doubles(176, [slope, intercept]),
    codes: (qform, sform) => {
      view.setInt32(344, qform, true);
      view.setInt32(348, sform, true);
    },
    quaternion: (values) => doubles(352, values),
    rows: (values) => doubles(400, values),
    units: (code) => view.setInt32(500, code, true),
    description: (text) => putText(view, 240, text, 80),
  };
}

function putText(view: DataView, at: number, text: string, length: number): void {
  for (let n = 0; n < Math.min(text.length, length); n++) view.setUint8(at + n, text.charCodeAt(n) & 255);
}
