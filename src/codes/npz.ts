/**
 * NumPy's .npz: a zip of .npy arrays, which `numpy.load` opens without any package of ours. Formats:
 * https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html and PKWARE's APPNOTE, without zip64 (an array
 * below 4 GB).
 */

import { promisify } from 'node:util';
import { crc32, deflateRaw, inflateRawSync } from 'node:zlib';
import { attempt, UnreadableFile } from '../errors';

export interface NpyArray {
  readonly shape: readonly number[];
  readonly data: Uint8Array | Uint16Array | Uint32Array | Float32Array | Float64Array;
}

const types = {
  '|u1': Uint8Array,
  '<u2': Uint16Array,
  '<u4': Uint32Array,
  '<f4': Float32Array,
  '<f8': Float64Array,
} as const;

/** Integer types that Python code often saves; read as uint32. */
const wide = {
  '<i8': BigInt64Array,
  '<u8': BigUint64Array,
  '<i4': Int32Array,
  '<i2': Int16Array,
} as const;

/** The bytes of an .npz with these arrays, compressed. */
export async function packNpz(arrays: ReadonlyMap<string, NpyArray>): Promise<Buffer> {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const [name, array] of arrays) {
    const content = npy(array);
    const packed = (await promisify(deflateRaw)(content, { level: 9 })) as Buffer;
    const file = Buffer.from(`${name}.npy`);
    const sizes = [crc32(content), packed.length, content.length];
    // Version, flags, method, time, date, sizes, and no extra field. The time is zip's earliest, so that equal arrays
    // make equal files.
    const about = fields('HHHHHIIIHH', 20, 0, 8, 0, 0x21, ...sizes, file.length, 0);
    const local = Buffer.concat([Buffer.from('PK\x03\x04'), about, file]);
    const place = fields('HHHII', 0, 0, 0, 0, offset); // comment, disk, attributes
    directory.push(Buffer.concat([Buffer.from('PK\x01\x02'), fields('H', 20), about, place, file]));
    parts.push(local, packed);
    offset += local.length + packed.length;
  }
  const central = Buffer.concat(directory);
  const { size } = arrays;
  const end = fields('HHHHIIH', 0, 0, size, size, central.length, offset, 0);
  return Buffer.concat([...parts, central, Buffer.from('PK\x05\x06'), end]);
}

/** Little-endian numbers of 2 (H) or 4 (I) bytes, as Python's `struct.pack`. */
function fields(format: string, ...values: readonly number[]): Buffer {
  const parts = values.map((value, i) => {
    const part = Buffer.alloc(format[i] === 'H' ? 2 : 4);
    part.writeUIntLE(value, 0, part.length);
    return part;
  });
  return Buffer.concat(parts);
}

/** The arrays of an .npz, stored or compressed. `path` is for errors. @throws UnreadableFile */
export function unpackNpz(bytes: Buffer, path: string): Map<string, NpyArray> {
  const fail = (received: string) => new UnreadableFile(path, 'codes as .npz', received);
  const end = bytes.lastIndexOf('PK\x05\x06', undefined, 'latin1');
  if (end < 0 || end + 22 > bytes.length) throw fail('no zip, or one cut short');
  const arrays = new Map<string, NpyArray>();
  let at = bytes.readUInt32LE(end + 16);
  for (let entry = bytes.readUInt16LE(end + 10); entry > 0; entry--) {
    if (at + 46 > end || bytes.toString('latin1', at, at + 4) !== 'PK\x01\x02')
      throw fail('a damaged directory');
    const [method, crc] = [bytes.readUInt16LE(at + 10), bytes.readUInt32LE(at + 16)];
    const [packed, size] = [bytes.readUInt32LE(at + 20), bytes.readUInt32LE(at + 24)];
    const next = at + 46 + bytes.readUInt16LE(at + 28);
    const file = bytes.toString('utf8', at + 46, next);
    const local = bytes.readUInt32LE(at + 42);
    if (local + 30 > end) throw fail(`${file} out of place`);
    const start = local + 30 + bytes.readUInt16LE(local + 26) + bytes.readUInt16LE(local + 28);
    at = next + bytes.readUInt16LE(at + 30) + bytes.readUInt16LE(at + 32); // extra field and comment
    if (!file.endsWith('.npy')) continue;
    if (start + packed > end || (method !== 0 && method !== 8)) throw fail(`${file} packed in another way`);
    const content = unpack(bytes.subarray(start, start + packed), method, size);
    if (!content || crc32(content) !== crc) throw fail(`${file} damaged`);
    const array = readNpy(content);
    if (typeof array === 'string') throw fail(`${file} ${array}`);
    arrays.set(file.slice(0, -4), array);
  }
  return arrays;
}

function unpack(bytes: Buffer, method: number, size: number): Buffer | undefined {
  if (method === 0) return bytes;
  return attempt(() => inflateRawSync(bytes, { maxOutputLength: Math.max(size, 1) }));
}

function npy({ shape, data }: NpyArray): Buffer {
  const type = Object.entries(types).find(([, kind]) => data instanceof kind)![0];
  const list = shape.length === 1 ? `${shape[0]},` : shape.join(', ');
  const header = `{'descr': '${type}', 'fortran_order': False, 'shape': (${list}), }`;
  const length = Math.ceil((10 + header.length + 1) / 64) * 64 - 10;
  return Buffer.concat([
    Buffer.from('\x93NUMPY\x01\x00', 'latin1'),
    fields('H', length),
    Buffer.from(`${header.padEnd(length - 1)}\n`),
    new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
  ]);
}

/** An array, or what is wrong with it. */
function readNpy(bytes: Buffer): NpyArray | string {
  if (bytes.toString('latin1', 0, 6) !== '\x93NUMPY') return 'is no .npy';
  const long = bytes[6]! > 1;
  const start = (long ? 12 : 10) + (long ? bytes.readUInt32LE(8) : bytes.readUInt16LE(8));
  const header = bytes.toString('latin1', 10, start);
  const type = /'descr':\s*'([^']+)'/.exec(header)?.[1] ?? '';
  const shape = (/'shape':\s*\(([^)]*)\)/.exec(header)?.[1] ?? '')
    .split(',')
    .filter((part) => part.trim() !== '')
    .map(Number);
  if (/'fortran_order':\s*True/.test(header)) return 'is in Fortran order';
  const count = shape.reduce((product, size) => product * size, 1);
  const [own, other] = [types[type as keyof typeof types], wide[type as keyof typeof wide]];
  if (!own && !other) return `is of type ${type || 'unknown'}`;
  if (bytes.length - start !== count * (own ?? other).BYTES_PER_ELEMENT) return 'is cut short';
  const { buffer } = new Uint8Array(bytes.subarray(start)); // a copy, so that it is aligned
  return { shape, data: own ? new own(buffer) : Uint32Array.from(new other(buffer), Number) };
}
