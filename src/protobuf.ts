/**
 * Writes messages of protocol buffers: a field is its number and wire type, then its value. A protobuf library would
 * bring a schema compiler and an install script for what are four wire types.
 */

/** A value of a field: a whole number, text, raw bytes or a message, or a float of 32 or 64 bits. */
type Value = number | string | Uint8Array | { readonly float: number } | { readonly double: number };

/** One field of a message; arrays are repeated fields. */
type Field = readonly [number: number, value: Value | readonly Value[] | undefined];

/** Encodes a message; undefined fields are left out. */
export function message(...fields: readonly Field[]): Buffer {
  const parts = fields.flatMap(([number, values]) => {
    const list = Array.isArray(values) ? (values as readonly Value[]) : [values as Value | undefined];
    return list.flatMap((value) => (value === undefined ? [] : encode(number, value)));
  });
  return Buffer.concat(parts);
}

function encode(field: number, value: Value): Uint8Array[] {
  const key = (wireType: number) => varint((field << 3) | wireType);
  if (typeof value === 'number') return [key(0), varint(value)];
  if (typeof value === 'string') return encode(field, Buffer.from(value));
  if (value instanceof Uint8Array) return [key(2), varint(value.length), value];
  const bytes = Buffer.alloc('float' in value ? 4 : 8);
  if ('float' in value) bytes.writeFloatLE(value.float);
  else bytes.writeDoubleLE(value.double);
  return [key('float' in value ? 5 : 1), bytes];
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
