import { gunzipSync } from 'node:zlib';

/**
 * A second reader of single-file NIfTI-1 and NIfTI-2, slow and plain, that shares no code with the first: what the
 * fuzz compares it with. Undefined where the file cannot be read whole.
 */
export function referenceRead(
  file: Uint8Array,
  index: number,
): { shape: number[]; values: Float32Array } | undefined {
  let bytes = file;
  try {
    if (file[0] === 0x1f && file[1] === 0x8b) bytes = gunzipSync(file);
  } catch {
    return undefined;
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const second = view.getInt32(0, true) === 540 || view.getInt32(0, false) === 540;
  const little = view.getInt32(0, true) === (second ? 540 : 348);
  const size = (axis: number) =>
    second ? Number(view.getBigInt64(16 + 8 * axis, little)) : view.getInt16(40 + 2 * axis, little);
  const sizes = Array.from({ length: size(0) }, (_, axis) => size(axis + 1));
  if (sizes[0] === -1) sizes[0] = view.getInt32(144, little);
  const code = view.getInt16(second ? 12 : 70, little);
  const start = Math.floor(second ? Number(view.getBigInt64(168, little)) : view.getFloat32(108, little));
  const slope = second ? view.getFloat64(176, little) : view.getFloat32(112, little);
  const shift = second ? view.getFloat64(184, little) : view.getFloat32(116, little);
  const scaled = Number.isFinite(slope) && slope !== 0;
  const [width, read] = readers(view, little)[code] ?? [0, () => Number.NaN];
  const shape = [sizes[0] ?? 1, sizes[1] ?? 1, sizes[2] ?? 1];
  const voxels = shape[0]! * shape[1]! * shape[2]!;
  const first = (start || (second ? 544 : 352)) + index * voxels * width;
  if (first + voxels * width > bytes.length) return undefined;
  const values = new Float32Array(voxels);
  for (let n = 0; n < voxels; n++) {
    const stored = read(first + n * width);
    values[n] = scaled ? stored * slope + shift : stored;
  }
  return { shape, values };
}

function readers(view: DataView, little: boolean): Record<number, [number, (at: number) => number]> {
  return {
    2: [1, (at) => view.getUint8(at)],
    4: [2, (at) => view.getInt16(at, little)],
    8: [4, (at) => view.getInt32(at, little)],
    16: [4, (at) => view.getFloat32(at, little)],
    64: [8, (at) => view.getFloat64(at, little)],
    256: [1, (at) => view.getInt8(at)],
    512: [2, (at) => view.getUint16(at, little)],
    768: [4, (at) => view.getUint32(at, little)],
    1024: [8, (at) => Number(view.getBigInt64(at, little))],
    1280: [8, (at) => Number(view.getBigUint64(at, little))],
  };
}
