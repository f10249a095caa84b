import { closeSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs';
import { UnreadableFile } from '../errors';

/** A named array of a checkpoint: row-major, the last axis runs fastest. */
export interface StoredTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
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
export function writeSafetensors(path: string, tensors: ReadonlyMap<string, StoredTensor>): void {
  const header: Record<string, HeaderEntry> = {};
  let offset = 0;
  for (const [name, { shape, data }] of tensors) {
    header[name] = { dtype: 'F32', shape, data_offsets: [offset, offset + data.byteLength] };
    offset += data.byteLength;
  }
  const json = Buffer.from(JSON.stringify(header));
  const text = Buffer.concat([json, Buffer.alloc((8 - (json.length % 8)) % 8, ' ')]);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  const file = openSync(path, 'w');
  try {
    for (const bytes of [length, text]) writeWhole(file, bytes);
    for (const { data } of tensors.values())
      writeWhole(file, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/**
 * Reads a safetensors file of float32 tensors, in the order of its header.
 * @throws UnreadableFile if it is cut short, not safetensors, or holds another type.
 */
export function readSafetensors(path: string): Map<string, StoredTensor> {
  const bytes = readFileSync(path);
  const fail = (received: string, cause?: unknown) =>
    new UnreadableFile(path, 'safetensors', received, { cause });
  if (bytes.length < 8) throw fail(`${bytes.length} bytes`);
  const start = 8 + Number(bytes.readBigUInt64LE(0));
  if (start > bytes.length) throw fail(`a header cut short at ${bytes.length} bytes`);
  let header: Record<string, HeaderEntry>;
  try {
    header = JSON.parse(bytes.toString('utf8', 8, start)) as Record<string, HeaderEntry>;
  } catch (cause) {
    throw fail('a header that is not JSON', cause);
  }
  const tensors = new Map<string, StoredTensor>();
  for (const [name, entry] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    const [from, to] = entry.data_offsets;
    if (entry.dtype !== 'F32') throw fail(`${name} of type ${entry.dtype}, where only F32 is read`);
    if (start + to > bytes.length) throw fail(`data cut short at ${bytes.length} of ${start + to} bytes`);
    if (to - from !== 4 * entry.shape.reduce((product, n) => product * n, 1))
      throw fail(`${name} with ${to - from} bytes for shape [${entry.shape}]`);
    // A copy: the file's data need not lie on a multiple of 4 in Node's buffer.
    const data = new Float32Array((to - from) / 4);
    new Uint8Array(data.buffer).set(bytes.subarray(start + from, start + to));
    tensors.set(name, { shape: entry.shape, data });
  }
  return tensors;
}

function writeWhole(file: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; )
    done += writeSync(file, bytes, done, Math.min(bytes.length - done, 2 ** 30));
}
