/** Numbers as Plotly reads them from JSON: base64 of a typed array, little-endian. `shape` is "rows, columns". */
export interface EncodedArray {
  readonly dtype: 'i1' | 'u1' | 'i2' | 'u2' | 'f4';
  readonly bdata: string;
  readonly shape?: string;
}

/**
 * Encodes a picture in the smallest type that keeps what a reader can see: integers as they are; values that span
 * 100 units and more rounded to whole units (an HU, a grey level); everything else as float32.
 *
 * @param values row after row, `rows * columns` of them
 */
export function encodePicture(values: Float32Array, rows: number, columns: number): EncodedArray {
  const { dtype, array } = compact(values);
  const bytes = Buffer.from(array.buffer, array.byteOffset, array.byteLength);
  return { dtype, bdata: bytes.toString('base64'), shape: `${rows}, ${columns}` };
}

/** The inverse of `encodePicture`, for the static renderer. */
export function decodePicture(encoded: EncodedArray): {
  values: Float32Array;
  rows: number;
  columns: number;
} {
  const bytes = new Uint8Array(Buffer.from(encoded.bdata, 'base64'));
  const values = Float32Array.from(new arrayTypes[encoded.dtype](bytes.buffer));
  const [rows = 1, columns = values.length] = (encoded.shape ?? '').split(',').map(Number);
  return { values, rows, columns };
}

/** True for what `encodePicture` made. */
export function isEncoded(value: unknown): value is EncodedArray {
  return typeof value === 'object' && value !== null && 'bdata' in value && 'dtype' in value;
}

/** A number for a trace: five significant digits are more than a screen shows and a third of the bytes. */
export function short(value: number | null): number | null {
  return value === null || !Number.isFinite(value) ? null : Number(value.toPrecision(5));
}

const arrayTypes = { i1: Int8Array, u1: Uint8Array, i2: Int16Array, u2: Uint16Array, f4: Float32Array };

function compact(values: Float32Array): {
  dtype: EncodedArray['dtype'];
  array: Float32Array | Int8Array | Uint8Array | Int16Array | Uint16Array;
} {
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  let whole = true;
  for (const value of values) {
    if (value < min) min = value;
    if (value > max) max = value;
    if (whole && !Number.isInteger(value)) whole = false; // false for NaN and infinities too
  }
  const finite = values.every(Number.isFinite);
  if (finite && (whole || max - min >= 100)) {
    for (const [dtype, low, high] of integerTypes) {
      if (min >= low && max <= high) return { dtype, array: arrayTypes[dtype].from(values.map(Math.round)) };
    }
  }
  return { dtype: 'f4', array: values };
}

const integerTypes = [
  ['u1', 0, 255],
  ['i1', -128, 127],
  ['i2', -32768, 32767],
  ['u2', 0, 65535],
] as const;
