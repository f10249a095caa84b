/**
 * NumPy's .npz: a zip of .npy arrays, which `numpy.load` opens without any package of ours. Formats:
 * https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html and PKWARE's APPNOTE, without zip64 (an array
 * below 4 GB).
 */
import { promisify } from 'node:util';
import { crc32, deflateRaw, inflateRawSync } from 'node:zlib';
import { UnreadableFile } from '../errors';

export type NpyData = Uint8Array | Uint16Array | Uint32Array | Float32Array | Float64Array;

export interface NpyArray {
  readonly shape: readonly number[];
  readonly data: NpyData;
}

const types = {
  '|u1': Uint8Array,
  '<u2': Uint16Array,
  '<u4': Uint32Array,
  '<f4': Float32Array,
  '<f8': Float64Array,
} as const;

/** Integer types that Python code often saves; read as uint32. */
const wide = { '<i8': 8, '<u8': 8, '<i4': 4, '<i2': 2 } as const;

/** The bytes of an .npz with these arrays, compressed. */
export async function packNpz(arrays: ReadonlyMap<string, NpyArray>): Promise<Buffer> {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const [name, array] of arrays) {
    const content = npy(array);
    const packed = (await promisify(deflateRaw)(content, { level: 9 })) as Buffer;
    const file = Buffer.from(`${name}.npy`);
    const sizes = Buffer.alloc(16);
    // The time is zip's earliest, so that equal arrays make equal files.
    sizes.writeUInt16LE(0x21, 2);
    sizes.writeUInt32LE(crc32(content), 4);
    sizes.writeUInt32LE(packed.length, 8);
    sizes.writeUInt32LE(content.length, 12);
    const method = Buffer.from([20, 0, 0, 0, 8, 0]); // version, flags, method
    const nameLength = Buffer.from([file.length, 0, 0, 0]); // and no extra field
    const local = Buffer.concat([Buffer.from('PK\x03\x04'), method, sizes, nameLength, file]);
    const place = Buffer.alloc(14); // comment, disk, attributes
    place.writeUInt32LE(offset, 10);
    directory.push(
      Buffer.concat([
        Buffer.from('PK\x01\x02'),
        Buffer.from([20, 0]),
        ...[method, sizes, nameLength, place, file],
      ]),
    );
    parts.push(local, packed);
    offset += local.length + packed.length;
  }
  const central = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 'latin1');
  end.writeUInt16LE(arrays.size, 8);
  end.writeUInt16LE(arrays.size, 10);
  end.writeUInt32LE(central.length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...parts, central, end]);
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
    const [name, extra, comment] = [28, 30, 32].map((o) => bytes.readUInt16LE(at + o)) as [
      number,
      number,
      number,
    ];
    const file = bytes.toString('utf8', at + 46, at + 46 + name);
    const local = bytes.readUInt32LE(at + 42);
    if (local + 30 > end) throw fail(`${file} out of place`);
    const start = local + 30 + bytes.readUInt16LE(local + 26) + bytes.readUInt16LE(local + 28);
    at += 46 + name + extra + comment;
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
  try {
    return inflateRawSync(bytes, { maxOutputLength: Math.max(size, 1) });
  } catch {
    return undefined;
  }
}

function npy({ shape, data }: NpyArray): Buffer {
  const type = Object.entries(types).find(([, kind]) => data instanceof kind)![0];
  const list = shape.length === 1 ? `${shape[0]},` : shape.join(', ');
  const header = `{'descr': '${type}', 'fortran_order': False, 'shape': (${list}), }`;
  const length = Math.ceil((10 + header.length + 1) / 64) * 64 - 10;
  const start = Buffer.concat([Buffer.from('\x93NUMPY\x01\x00', 'latin1'), Buffer.alloc(2)]);
  start.writeUInt16LE(length, 8);
  const text = Buffer.from(`${header.padEnd(length - 1)}\n`);
  return Buffer.concat([start, text, new Uint8Array(data.buffer, data.byteOffset, data.byteLength)]);
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
  const width =
    type in types ? types[type as keyof typeof types].BYTES_PER_ELEMENT : wide[type as keyof typeof wide];
  if (!width) return `is of type ${type || 'unknown'}`;
  if (bytes.length - start !== count * width) return 'is cut short';
  const content = new Uint8Array(bytes.subarray(start)); // a copy, so that it is aligned
  if (type in types) return { shape, data: new types[type as keyof typeof types](content.buffer) };
  return { shape, data: Uint32Array.from({ length: count }, (_, i) => numberAt(content, i, type)) };
}

function numberAt(bytes: Uint8Array, i: number, type: string): number {
  const view = new DataView(bytes.buffer);
  if (type === '<i2') return view.getInt16(2 * i, true);
  if (type === '<i4') return view.getInt32(4 * i, true);
  return Number(view.getBigInt64(8 * i, true));
}
