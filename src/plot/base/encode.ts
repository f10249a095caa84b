import { finiteRange } from '../../volume/intensity';

const arrayTypes = { i1: Int8Array, u1: Uint8Array, i2: Int16Array, u2: Uint16Array, f4: Float32Array };

/** Numbers as Plotly reads them from JSON: base64 of a typed array, little-endian. `shape` is "rows, columns". */
export interface EncodedArray {
  readonly dtype: keyof typeof arrayTypes;
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
  const [rows = 1, columns = values.length] = sizeOf(encoded);
  return { values, rows, columns };
}

/** Rows and columns of an encoded picture. */
export function sizeOf({ shape }: EncodedArray): number[] {
  return shape ? shape.split(',').map(Number) : [];
}

/** True for what `encodePicture` made. */
export function isEncoded(value: unknown): value is EncodedArray {
  return typeof value === 'object' && value !== null && 'bdata' in value && 'dtype' in value;
}

/** A number for a trace: five significant digits are more than a screen shows and a third of the bytes. */
export function short(value: number | null): number | null {
  return value === null || !Number.isFinite(value) ? null : Number(value.toPrecision(5));
}

function compact(values: Float32Array): {
  dtype: EncodedArray['dtype'];
  array: NodeJS.TypedArray;
} {
  const isWhole = values.every(Number.isInteger); // false for NaN and infinities too
  const [min, max] = isWhole || values.every(Number.isFinite) ? (finiteRange(values) ?? [0, 0]) : [0, 0];
  if (isWhole || max - min >= 100) {
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
