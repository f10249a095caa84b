import { InvalidArgument } from '../errors';
import { componentBytes, datatypes, type StoredType } from './base/datatypes';
import { type Forms, formsOf } from './formats/header';
import { nifti1Bytes, nifti2Bytes } from './formats/nifti-bytes';
import { encodeExtensions, putExtras } from './formats/nifti-extras';
import type { VolumePlace } from './volume';

export interface NewHeader {
  readonly dtype: StoredType;
  readonly slope: number;
  readonly intercept: number;
  readonly version?: 1 | 2;
  readonly pair: boolean;
}

/** The byte at which each field begins in NIfTI-1 (nifti1.h) and in NIfTI-2 (nifti2.h). */
const fieldPlaces = {
  magic: [344, 4],
  dim: [40, 16],
  datatype: [70, 12],
  bitpix: [72, 14],
  pixdim: [76, 104],
  voxelOffset: [108, 168],
  scaling: [112, 176],
  description: [148, 240],
  qformCode: [252, 344],
  sformCode: [254, 348],
  quaternion: [256, 352],
  srow: [280, 400],
} as const;

/** A NIfTI header, little-endian, and the extensions after it. */
export function encodeHeader(volume: VolumePlace, header: NewHeader): Uint8Array {
  const longest = Math.max(...volume.shape);
  const version = header.version ?? (longest > 32767 ? 2 : 1);
  if (version === 1 && longest > 32767)
    throw new InvalidArgument('version', '2 if an axis is longer than 32767', 1);
  const size = version === 1 ? nifti1Bytes : nifti2Bytes;
  const extras = volume.header?.nifti;
  const extensions = encodeExtensions(extras?.extensions ?? []);
  const bytes = new Uint8Array(size + extensions.length);
  bytes.set(extensions, size);
  const view = new DataView(bytes.buffer);
  const placeOf = (field: keyof typeof fieldPlaces) => fieldPlaces[field][version - 1]!;
  const putText = (field: 'magic' | 'description', text: string) =>
    bytes.set(Buffer.from(text, 'latin1'), placeOf(field));
  const putFloats = (field: keyof typeof fieldPlaces, values: readonly number[]) => {
    for (const [n, value] of values.entries())
      if (version === 1) view.setFloat32(placeOf(field) + 4 * n, value, true);
      else view.setFloat64(placeOf(field) + 8 * n, value, true);
  };
  /** NIfTI-2 widens some of these, but their values fit in two bytes: the others stay 0. */
  const putShort = (field: keyof typeof fieldPlaces, value: number) =>
    view.setInt16(placeOf(field), value, true);

  const { pixdim, qfac, qform, sform } = formsToWrite(volume);
  const voxelOffset = header.pair ? 0 : bytes.length;
  view.setInt32(0, size, true);
  // The line ends behind NIfTI-2's magic show whether a transfer took the file for text.
  putText('magic', `${header.pair ? 'ni' : 'n+'}${version}${version === 1 ? '' : '\0\r\n\x1a\n'}`);
  for (const [n, value] of [3, ...volume.shape, 1, 1, 1, 1].entries())
    if (version === 1) view.setInt16(placeOf('dim') + 2 * n, value, true);
    else view.setBigInt64(placeOf('dim') + 8 * n, BigInt(value), true);
  putShort('datatype', datatypes.find(({ name }) => name === header.dtype)!.code);
  putShort('bitpix', 8 * componentBytes(header.dtype));
  putFloats('pixdim', [qfac, ...pixdim]);
  if (version === 1) putFloats('voxelOffset', [voxelOffset]);
  else view.setBigInt64(placeOf('voxelOffset'), BigInt(voxelOffset), true);
  putFloats('scaling', [header.slope, header.intercept]);
  putShort('qformCode', qform.code);
  putShort('sformCode', sform.code);
  putFloats('quaternion', [...qform.quaternion, ...qform.offset]);
  putFloats('srow', sform.rows);
  putText('description', (volume.header?.description ?? 'Patchwise').slice(0, 80));
  putExtras(view, version, extras, isUnmoved(volume));
  return bytes;
}

/** The forms the volume was read with, if they still give its affine; else new forms that do. */
function formsToWrite(volume: VolumePlace): Forms {
  const { affine, header, spacing } = volume;
  if (header && header.format !== 'analyze' && isUnmoved(volume)) return finiteForms(header);
  const sform = header?.sform.code || header?.qform.code || 1;
  return formsOf(affine, spacing, { qform: header?.qform.code || sform, sform });
}

/** Whether the volume lies where its header says. */
function isUnmoved({ affine, header }: VolumePlace): boolean {
  return header?.affine.every((value, at) => value === affine[at]) ?? false;
}

/** Drops forms that hold NaN. Reading ignores such a form; written back, it would give other programs a NaN affine. */
function finiteForms({ pixdim, qfac, qform, sform }: Forms): Forms {
  const none = { code: 0, quaternion: [0, 0, 0], offset: [0, 0, 0] } as const;
  const placed = [...qform.quaternion, ...qform.offset].every(Number.isFinite);
  const rows = sform.rows.every(Number.isFinite) ? sform : { code: 0, rows: new Array<number>(12).fill(0) };
  return { pixdim, qfac, qform: placed ? qform : none, sform: rows };
}
