import { constants, existsSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream';
import { createUnzip, type Unzip } from 'node:zlib';
import { isSystemError, withPath } from '../../atomic-file';
import { UnreadableFile } from '../../errors';
import { openError } from '../base/fault';

/** Deflate's largest expansion (RFC 1951: 258 bytes from 2 bits). It bounds the content of a small file. */
const mostExpansion = 1032;
const inputChunk = 2 ** 18;
const outputChunk = 2 ** 20;
/** Read at the same time as others: most of the time is the system's work on memory that nobody has used yet. */
const partBytes = 2 ** 20;

/** The part of a file to read, and whether it is decompressed. */
interface Part {
  /** Where it begins and ends; default: the whole file. */
  readonly start?: number;
  readonly end?: number;
  /** Decompress gzip or zlib, or gzip only if the file begins with its 1f 8b (default), whatever its name. */
  readonly packing?: 'none' | 'deflate' | 'by content';
}

/** Reads a file's content from start to end, decompressed. Memory is a few chunks. */
export class ByteReader {
  /** Whether it decompresses the file. */
  readonly packed: boolean = false;
  private position: number;

  constructor(
    readonly path: string,
    protected readonly handle: FileHandle,
    readonly fileBytes: number,
    protected readonly start: number,
    protected readonly end: number,
    protected readonly signal: AbortSignal | undefined,
  ) {
    this.position = start;
  }

  /** Opens a file. Throws UnreadableFile if the file does not exist or is a folder or a device. */
  static async open(path: string, signal?: AbortSignal, part: Part = {}): Promise<ByteReader> {
    // Without O_NONBLOCK, opening a named pipe waits for a writer.
    const handle = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0)).catch((error) => {
      throw openError(path, error);
    });
    try {
      const stat = await handle.stat();
      if (!stat.isFile())
        throw new UnreadableFile(
          path,
          'a file',
          stat.isDirectory() ? folderFound(path) : 'no regular file but a device, pipe or socket',
        );
      const { packing = 'by content', start = 0, end = stat.size } = part;
      const packed = packing === 'by content' ? await isGzip(handle) : packing === 'deflate';
      const reader = packed ? InflateReader : ByteReader;
      return new reader(path, handle, stat.size, start, Math.min(end, stat.size), signal);
    } catch (error) {
      await handle.close();
      throw withPath(error, path);
    }
  }

  /** Upper bound of the content's length in bytes. */
  get atMost(): number {
    return Math.max(0, this.end - this.start);
  }

  /** Fills `target` and returns the number of bytes, which is smaller only at the content's end. */
  async read(target: Uint8Array): Promise<number> {
    const wanted = target.subarray(0, Math.max(0, this.end - this.position));
    const parts: Uint8Array[] = [];
    for (let at = 0; at < wanted.length; at += partBytes) parts.push(wanted.subarray(at, at + partBytes));
    const lengths = await Promise.all(
      parts.map((part, n) => this.readPart(part, this.position + n * partBytes)),
    );
    // A file that has become shorter ends inside a part.
    const last = lengths.findIndex((length, n) => length < parts[n]!.length);
    const whole = last < 0 ? lengths : lengths.slice(0, last + 1);
    const filled = whole.reduce((sum, length) => sum + length, 0);
    this.position += filled;
    return filled;
  }

  private async readPart(part: Uint8Array, from: number): Promise<number> {
    let filled = 0;
    while (filled < part.length) {
      const { bytesRead } = await this.handle
        .read(part, filled, part.length - filled, from + filled)
        .catch((error: unknown) => {
          throw withPath(error, this.path);
        });
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    return filled;
  }

  /** Skips the next `count` bytes, or all that are left. */
  async skip(count: number): Promise<void> {
    this.position += count;
  }

  /** Reads to the end, which checks gzip's checksum. */
  async finish(): Promise<void> {}

  async close(): Promise<void> {
    await this.handle.close();
  }
}

class InflateReader extends ByteReader {
  override readonly packed = true;
  private inflate: Unzip | undefined;
  private chunks: AsyncIterator<Uint8Array> | undefined;
  private rest: Uint8Array = new Uint8Array(0);

  override get atMost(): number {
    return super.atMost * mostExpansion;
  }

  override async read(target: Uint8Array): Promise<number> {
    let filled = 0;
    while (filled < target.length && (await this.more())) {
      const part = this.rest.subarray(0, target.length - filled);
      target.set(part, filled);
      filled += part.length;
      this.rest = this.rest.subarray(part.length);
    }
    return filled;
  }

  override async skip(count: number): Promise<void> {
    let left = count;
    while (left > 0 && (await this.more())) {
      const part = Math.min(left, this.rest.length);
      left -= part;
      this.rest = this.rest.subarray(part);
    }
  }

  override async finish(): Promise<void> {
    await this.skip(Number.POSITIVE_INFINITY);
  }

  override async close(): Promise<void> {
    this.inflate?.destroy();
    await super.close();
  }

  /** Makes sure that `rest` holds bytes by decompressing the next chunk. Returns false at the end. */
  private async more(): Promise<boolean> {
    while (this.rest.length === 0) {
      this.signal?.throwIfAborted();
      this.chunks ??= this.unpacked();
      try {
        const next = await this.chunks.next();
        if (next.done) return false;
        this.rest = next.value;
      } catch (error) {
        // An error of the disk and not of the stream.
        if (isSystemError(error)) throw withPath(error, this.path);
        const found = String((error as Error).message);
        throw new UnreadableFile(this.path, 'intact gzip or zlib data', found, { cause: error });
      }
    }
    return true;
  }

  private unpacked(): AsyncIterator<Uint8Array> {
    this.inflate = createUnzip({ chunkSize: outputChunk });
    const last = this.end - 1;
    const range = { start: this.start, end: Math.max(this.start, last) };
    const file = this.handle.createReadStream({ ...range, highWaterMark: inputChunk, autoClose: false });
    // The iterator throws the errors of both streams, so the callback does nothing.
    pipeline(file, this.inflate, () => {});
    return this.inflate[Symbol.asyncIterator]();
  }
}

async function isGzip(handle: FileHandle): Promise<boolean> {
  const magic = Buffer.alloc(2);
  await handle.read(magic, 0, 2, 0);
  return magic[0] === 0x1f && magic[1] === 0x8b;
}

function folderFound(path: string): string {
  // `prepare` and other programs write Zarr.
  if (existsSync(join(path, 'zarr.json')))
    return 'a folder in Zarr, such as a prepared dataset; give the files that it was made of';
  return 'a folder; give the files in it';
}
