import { fsyncSync, readFileSync, writeSync } from 'node:fs';
import { withFile } from './atomic-file';
import { InvalidArgument, UnreadableFile } from './errors';
import { isMapping } from './setting';

/** A named array of a checkpoint: row-major, the last axis runs fastest. */
export interface StoredTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** Values of a checkpoint. @throws InvalidArgument unless they are there and fit */
export function storedValues(
  state: ReadonlyMap<string, StoredTensor>,
  name: string,
  size: number,
  what: string,
) {
  const data = state.get(name)?.data;
  if (data?.length === size) return data;
  throw new InvalidArgument(`${what} ${name}`, `${size} numbers`, data?.length ?? 'nothing');
}

interface HeaderEntry {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data_offsets: readonly [number, number];
}

/**
 * Writes float32 tensors as one safetensors file, and waits until it is on the disk: 8 bytes length of the header,
 * the JSON header padded to 8 bytes, then the data. Format: https://github.com/huggingface/safetensors.
 */
export function writeSafetensors(
  path: string,
  tensors: ReadonlyMap<string, StoredTensor>,
  metadata?: Readonly<Record<string, string>>,
): void {
  const header: Record<string, HeaderEntry | typeof metadata> = metadata ? { __metadata__: metadata } : {};
  let offset = 0;
  for (const [name, { shape, data }] of tensors) {
    header[name] = { dtype: 'F32', shape, data_offsets: [offset, offset + data.byteLength] };
    offset += data.byteLength;
  }
  const json = Buffer.from(JSON.stringify(header));
  const text = Buffer.concat([json, Buffer.alloc((8 - (json.length % 8)) % 8, ' ')]);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  withFile(path, 'w', (file) => {
    for (const bytes of [length, text]) writeWhole(file, bytes);
    for (const { data } of tensors.values())
      writeWhole(file, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    fsyncSync(file);
  });
}

/**
 * Reads a safetensors file of float32 tensors, in the order of its header.
 * @throws UnreadableFile if it is cut short, not safetensors, or holds another type.
 */
export function readSafetensors(path: string): Map<string, StoredTensor> {
  const { tensors, others } = read(path, {});
  for (const [name, type] of others)
    throw unreadable(path, `${name} of type ${type}, where only F32 is read`);
  return tensors;
}

/** A file that other programs may have written. */
interface ForeignSafetensors {
  readonly tensors: Map<string, StoredTensor>;
  /** Types of the tensors that are not read, by name. */
  readonly others: ReadonlyMap<string, string>;
  readonly metadata: Readonly<Record<string, string>>;
}

/**
 * Reads a safetensors file with its metadata. F64, F16 and BF16 become float32; of tensors of other types, such as
 * the counters of BatchNorm, only names and types are given.
 * @throws UnreadableFile if it is cut short or not safetensors
 */
export function readForeignSafetensors(path: string): ForeignSafetensors {
  return read(path, widened);
}

/** Bytes of an element, and its value. */
interface Conversion {
  readonly width: number;
  value(view: DataView, at: number): number;
}

const widened: Readonly<Record<string, Conversion>> = {
  F64: { width: 8, value: (view, at) => view.getFloat64(at, true) },
  F16: { width: 2, value: (view, at) => fromHalf(view.getUint16(at, true)) },
  BF16: { width: 2, value: (view, at) => fromBits(view.getUint16(at, true) << 16) },
};

/** @param conversions of the types that are read beside F32 */
function read(path: string, conversions: typeof widened): ForeignSafetensors {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (cause) {
    throw unreadable(path, `nothing that can be read (${(cause as NodeJS.ErrnoException).code})`, cause);
  }
  const other = otherFormat(path, bytes);
  if (other) throw unreadable(path, other);
  if (bytes.length < 8) throw unreadable(path, `${bytes.length} bytes`);
  const start = 8 + Number(bytes.readBigUInt64LE(0));
  if (start > bytes.length) throw unreadable(path, `a header cut short at ${bytes.length} bytes`);
  let header: Record<string, HeaderEntry>;
  try {
    header = JSON.parse(bytes.toString('utf8', 8, start)) as Record<string, HeaderEntry>;
  } catch (cause) {
    throw unreadable(path, 'a header that is not JSON', cause);
  }
  if (!isMapping(header)) throw unreadable(path, 'a header that is no JSON object');
  const { __metadata__: metadata, ...entries } = header;
  const tensors = new Map<string, StoredTensor>();
  const others = new Map<string, string>();
  for (const [name, entry] of Object.entries(entries)) {
    if (!isEntry(entry)) throw unreadable(path, `${name} without a type, a shape and its place in the file`);
    const { dtype, shape, data_offsets } = entry;
    const [from, to] = data_offsets;
    const conversion = conversions[dtype];
    if (dtype !== 'F32' && !conversion) {
      others.set(name, dtype);
      continue;
    }
    const width = conversion?.width ?? 4;
    if (start + to > bytes.length)
      throw unreadable(path, `data cut short at ${bytes.length} of ${start + to} bytes`);
    if (to - from !== width * shape.reduce((product, n) => product * n, 1))
      throw unreadable(path, `${name} with ${to - from} bytes for shape [${shape}]`);
    const data = new Float32Array((to - from) / width);
    const own = bytes.subarray(start + from, start + to);
    // A copy: the file's data need not lie on a multiple of 4 in Node's buffer.
    if (!conversion) new Uint8Array(data.buffer).set(own);
    else {
      const view = new DataView(own.buffer, own.byteOffset, own.byteLength);
      for (let i = 0; i < data.length; i++) data[i] = conversion.value(view, i * width);
    }
    tensors.set(name, { shape, data });
  }
  return { tensors, others, metadata: (metadata ?? {}) as unknown as Record<string, string> };
}

/** Whether a damaged header still says where a tensor is: offsets and sizes are whole numbers from 0, in order. */
function isEntry(value: unknown): value is HeaderEntry {
  if (!isMapping(value)) return false;
  const { dtype, shape, data_offsets: offsets } = value as Partial<HeaderEntry>;
  const areSizes = (list: unknown): list is number[] =>
    Array.isArray(list) && list.every((n) => Number.isSafeInteger(n) && n >= 0);
  const isPlace = areSizes(offsets) && offsets.length === 2 && offsets[0]! <= offsets[1]!;
  return typeof dtype === 'string' && areSizes(shape) && isPlace;
}

/** What `torch.save` wrote, and how to make safetensors of it; undefined for anything else. */
function otherFormat(path: string, bytes: Buffer): string | undefined {
  // Torch wrote pickles before version 1.6.
  const kinds: Readonly<Record<string, string>> = { '504b0304': 'zip', '80028a0a': 'pickle' };
  const kind = kinds[bytes.toString('hex', 0, 4)];
  const cure = 'Make safetensors of it in Python, if you trust the file, as loading it runs what is in it';
  return kind && `a PyTorch checkpoint (${kind}). ${cure}:\n${fromCheckpoint(path)}`;
}

/** Python that writes the tensors of a checkpoint, Lightning's or a plain state_dict, beside it as safetensors. */
function fromCheckpoint(path: string): string {
  const [from, to] = [path, path.replace(/(\.[^./]*)?$/, '.safetensors')].map((name) => JSON.stringify(name));
  return `    import torch, safetensors.torch
    saved = torch.load(${from}, map_location="cpu", weights_only=False)
    state = saved.get("state_dict", saved)
    tensors = {name: t.detach().clone().contiguous() for name, t in state.items() if torch.is_tensor(t)}
    safetensors.torch.save_file(tensors, ${to})`;
}

function unreadable(path: string, received: string, cause?: unknown): UnreadableFile {
  return new UnreadableFile(path, 'safetensors', received, { cause });
}

/** The number of a half-precision float's bits. */
function fromHalf(bits: number): number {
  const [sign, exponent, fraction] = [bits & 0x8000 ? -1 : 1, (bits >> 10) & 0x1f, bits & 0x3ff];
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

const scratch = new DataView(new ArrayBuffer(4));

function fromBits(bits: number): number {
  scratch.setInt32(0, bits);
  return scratch.getFloat32(0);
}

function writeWhole(file: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; )
    done += writeSync(file, bytes, done, Math.min(bytes.length - done, 2 ** 30));
}
