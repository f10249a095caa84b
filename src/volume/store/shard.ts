import { closeSync, existsSync, fstatSync, fsyncSync, openSync, readSync, writeSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { withPath } from '../../atomic-file';
import { UnreadableFile } from '../../errors';
import { voxelCount } from '../../vec3';
import { openError } from '../base/fault';
import { checksumBytes, checksumOf, crc32c, withChecksum } from '../crc32c';
import { contains, readJson, repair, same } from './files';
import { arrayMetadata, chunkCounts, type ImageRecord, shardPath } from './format';

/**
 * Bytes of one index entry. A shard holds all chunks, then the offset and length of each as uint64, then a checksum of
 * those (Zarr v3, codec sharding_indexed). Calls block, so they run in worker threads.
 */
const entryBytes = 16;
/** Offset and length of a missing chunk, which reads as the fill value. */
const missing = 2n ** 64n - 1n;

/** Writes a shard front to back. */
export class ShardWriter {
  private readonly file: number;
  private readonly index: BigUint64Array;
  private offset = 0;

  constructor(
    private readonly path: string,
    chunks: number,
  ) {
    this.file = openSync(path, 'wx');
    this.index = new BigUint64Array(2 * chunks).fill(missing);
  }

  append(chunk: number, bytes: Uint8Array): void {
    this.index[2 * chunk] = BigInt(this.offset);
    this.index[2 * chunk + 1] = BigInt(bytes.length);
    this.write(bytes);
  }

  /** Writes the index and waits until everything is on the disk. */
  finish(): void {
    this.write(withChecksum(new Uint8Array(this.index.buffer)));
    fsyncSync(this.file);
  }

  close(): void {
    closeSync(this.file);
  }

  private write(bytes: Uint8Array): void {
    try {
      for (let at = 0; at < bytes.length; ) at += writeSync(this.file, bytes, at);
    } catch (error) {
      throw withPath(error, this.path);
    }
    this.offset += bytes.length;
  }
}

/** Reads compressed chunks of a shard. */
export class ShardReader {
  /** Offset and length of each chunk. The offset of a missing chunk is -1. */
  private readonly index: Float64Array;

  /** @throws UnreadableFile if the index is damaged */
  constructor(
    readonly path: string,
    private readonly file: number,
    chunks: number,
  ) {
    const size = fstatSync(file).size;
    const length = chunks * entryBytes + checksumBytes;
    if (size < length) throw damaged(path, `an index of ${chunks} chunks`, `a file of ${size} bytes`);
    const bytes = this.bytes(size - length, length);
    const entries = bytes.subarray(0, -checksumBytes);
    const view = new DataView(bytes.buffer, bytes.byteOffset, length);
    if (checksumOf(bytes) !== crc32c(entries))
      throw damaged(path, 'an index of its chunks', 'an index with a wrong checksum');
    this.index = new Float64Array(2 * chunks);
    for (let n = 0; n < chunks; n++) {
      const offset = view.getBigUint64(n * entryBytes, true);
      const chunkLength = view.getBigUint64(n * entryBytes + 8, true);
      const absent = offset === missing && chunkLength === missing;
      this.index[2 * n] = absent ? -1 : Number(offset);
      this.index[2 * n + 1] = absent ? 0 : Number(chunkLength);
      if (!absent && this.index[2 * n]! + this.index[2 * n + 1]! > size - length)
        throw damaged(path, `chunk ${n} within the file`, 'an offset past its end');
    }
  }

  /**
   * The bytes of chunks `first` to `first + count - 1`; undefined for a missing chunk. Neighbours along x lie side by
   * side in the file, so one read fetches them all.
   */
  chunks(first: number, count: number): (Uint8Array | undefined)[] {
    const places = Array.from({ length: count }, (_, i) => ({
      offset: this.index[2 * (first + i)]!,
      length: this.index[2 * (first + i) + 1]!,
    }));
    const start = places[0]!.offset;
    const total = places.reduce((sum, place) => sum + place.length, 0);
    const adjacent = places.every(
      ({ offset }, i) => offset === (i === 0 ? start : places[i - 1]!.offset + places[i - 1]!.length),
    );
    if (adjacent && start >= 0) {
      const bytes = this.bytes(start, total);
      return places.map(({ offset, length }) => bytes.subarray(offset - start, offset - start + length));
    }
    return places.map(({ offset, length }) => (offset < 0 ? undefined : this.bytes(offset, length)));
  }

  close(): void {
    closeSync(this.file);
  }

  private bytes(offset: number, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    for (let at = 0; at < length; ) {
      const read = readSync(this.file, bytes, at, length - at, offset + at);
      if (read === 0) throw damaged(this.path, `${length} bytes at ${offset}`, 'the end of the file');
      at += read;
    }
    return bytes;
  }
}

/**
 * Opens the shard of an array.
 * @throws UnreadableFile with the cure if the metadata differ from the index or the shard is missing or damaged
 */
export function openShard(folder: string, record: ImageRecord): ShardReader {
  const expected: unknown = JSON.parse(JSON.stringify(arrayMetadata(record)));
  if (!contains(readJson(join(folder, 'zarr.json')), expected)) throw metadataError(folder, record);
  const path = join(folder, shardPath);
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch (error) {
    const own = openError(path, error);
    throw own instanceof UnreadableFile ? damaged(path, 'a file of the store', own.received) : own;
  }
  try {
    return new ShardReader(path, file, voxelCount(chunkCounts(record)));
  } catch (error) {
    closeSync(file);
    throw error;
  }
}

/** Checks the checksum of every chunk of an array. Errors are those of `openShard`, and UnreadableFile for a chunk. */
export function verifyShard(folder: string, record: ImageRecord): void {
  const shard = openShard(folder, record);
  const [across] = chunkCounts(record);
  try {
    for (let first = 0; first < voxelCount(chunkCounts(record)); first += across)
      for (const [i, bytes] of shard.chunks(first, across).entries())
        if (
          bytes &&
          (bytes.length < checksumBytes || checksumOf(bytes) !== crc32c(bytes.subarray(0, -checksumBytes)))
        )
          throw damaged(shard.path, `chunk ${first + i}`, 'bytes with a wrong checksum');
  } finally {
    shard.close();
  }
}

/** The error for a volume that is missing, damaged, or prepared again after the dataset was opened. */
function metadataError(folder: string, record: ImageRecord): UnreadableFile {
  const [volume, metadata] = [dirname(folder), join(folder, 'zarr.json')];
  if (!existsSync(volume)) {
    const found = `none; wait if the dataset is still being copied, else ${repair(dirname(volume))}`;
    return new UnreadableFile(volume, 'the folder of a volume', found);
  }
  const group = readJson(join(volume, 'zarr.json')) as { attributes?: Record<string, unknown> } | undefined;
  const now = group?.attributes?.[basename(folder)];
  if (now !== undefined && !same(now, record)) {
    const found = `a volume that was prepared again; open the dataset again, and if that does not help, ${repair(dirname(volume))}`;
    return new UnreadableFile(metadata, 'the metadata in the index', found);
  }
  return damaged(metadata, 'the metadata in the index', existsSync(metadata) ? 'something else' : 'none');
}

/** The error for a damaged file of a volume's image, with the cure. */
export function damaged(path: string, expected: string, received: string, cause?: unknown): UnreadableFile {
  const volume = path.replace(/[/\\](image|baseline)[/\\](?:zarr\.json|c[/\\].*)$/, '');
  return new UnreadableFile(path, expected, `${received}; ${repair(dirname(volume))}`, { cause });
}
