/**
 * The few messages of ONNX that an export needs, written as protobuf by hand: a generic protobuf library brings its
 * own schema compiler and an install script, for what are two wire types and a dozen field numbers. Field numbers are
 * those of https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
 */

/** A value of a field: a whole number, text, raw bytes, a message, or a 32-bit float. */
type Value = number | string | Uint8Array | { readonly float: number };

/** One field of a message; arrays are repeated fields. */
export type Field = readonly [number: number, value: Value | readonly Value[] | undefined];

/** Encodes a message; undefined fields are left out. */
export function message(...fields: readonly Field[]): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const [number, values] of fields) {
    if (values === undefined) continue;
    const list = Array.isArray(values) ? (values as readonly Value[]) : [values as Value];
    for (const value of list) parts.push(...encode(number, value));
  }
  return Buffer.concat(parts);
}

function encode(number: number, value: Value): Uint8Array[] {
  if (typeof value === 'number') return [varint((number << 3) | 0), varint(value)];
  if (typeof value === 'string') return encode(number, Buffer.from(value));
  if (value instanceof Uint8Array) return [varint((number << 3) | 2), varint(value.length), value];
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(value.float);
  return [varint((number << 3) | 5), bytes];
}

/** Base 128, lowest first; a negative number as its 64-bit two's complement. */
function varint(value: number): Uint8Array {
  let rest = BigInt.asUintN(64, BigInt(value));
  const bytes: number[] = [];
  do {
    const low = Number(rest & 0x7fn);
    rest >>= 7n;
    bytes.push(rest > 0n ? low | 0x80 : low);
  } while (rest > 0n);
  return Uint8Array.from(bytes);
}

const FLOAT = 1;
const INT64 = 7;

export type Element = 'float' | 'int64';

/** TensorProto */
export function tensorProto(
  name: string,
  shape: readonly number[],
  data: Float32Array | readonly number[],
): Uint8Array {
  const raw =
    data instanceof Float32Array
      ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
      : new Uint8Array(BigInt64Array.from(data.map(BigInt)).buffer);
  return message([1, shape], [2, data instanceof Float32Array ? FLOAT : INT64], [8, name], [9, raw]);
}

/** ValueInfoProto; a text in the shape is a size that is known when the model runs. */
export function valueInfo(name: string, element: Element, shape: readonly (number | string)[]): Uint8Array {
  const dims = shape.map((size) => (typeof size === 'number' ? message([1, size]) : message([2, size])));
  const tensor = message([1, element === 'float' ? FLOAT : INT64], [2, message([1, dims])]);
  return message([1, name], [2, message([1, tensor])]);
}

export type Attribute = number | string | readonly number[] | { readonly float: number };

/** NodeProto */
export function nodeProto(
  op: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes: Readonly<Record<string, Attribute>>,
): Uint8Array {
  const encoded = Object.entries(attributes).map(([name, value]) => {
    if (typeof value === 'number') return message([1, name], [3, value], [20, 2]);
    if (typeof value === 'string') return message([1, name], [4, value], [20, 3]);
    if ('float' in value) return message([1, name], [2, value], [20, 1]);
    return message([1, name], [8, value], [20, 7]);
  });
  return message([1, inputs], [2, outputs], [3, outputs[0]], [4, op], [5, encoded]);
}
