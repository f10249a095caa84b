import { constants, existsSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream';
import { createGunzip, type Gunzip } from 'node:zlib';
import { isSystemError, withPath } from '../../atomic-file';
import { UnreadableFile } from '../../errors';
import { openError } from '../base/fault';
import { convertDicom, holdsDicom } from './foreign';

/** Deflate's largest expansion (RFC 1951: 258 bytes from 2 bits). It bounds the content of a small file. */
const mostExpansion = 1032;
const inputChunk = 2 ** 18;
const outputChunk = 2 ** 20;

/**
 * Reads a file's content from start to end. It decompresses a file that begins with gzip's 1f 8b, whatever its name.
 * Memory is a few chunks.
 */
export class ByteReader {
  private position = 0;

  constructor(
    readonly path: string,
    protected readonly handle: FileHandle,
    readonly fileBytes: number,
    protected readonly signal: AbortSignal | undefined,
  ) {}

  /** Opens a file. Throws UnreadableFile if the file does not exist or is a folder or a device. */
  static async open(path: string, signal?: AbortSignal): Promise<ByteReader> {
    // Without O_NONBLOCK, opening a named pipe waits for a writer.
    const handle = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0)).catch((error) => {
      throw openError(path, error);
    });
    try {
      const stat = await handle.stat();
      if (!stat.isFile())
        throw new UnreadableFile(path, 'a file', stat.isDirectory() ? folderFound(path) : 'no regular file');
      const magic = Buffer.alloc(2);
      await handle.read(magic, 0, 2, 0);
      const gzip = magic[0] === 0x1f && magic[1] === 0x8b;
      return new (gzip ? GzipReader : ByteReader)(path, handle, stat.size, signal);
    } catch (error) {
      await handle.close();
      throw withPath(error, path);
    }
  }

  /** Upper bound of the content's length in bytes. */
  get atMost(): number {
    return this.fileBytes;
  }

  /** Fills `target` and returns the number of bytes, which is smaller only at the content's end. */
  async read(target: Uint8Array): Promise<number> {
    let filled = 0;
    while (filled < target.length) {
      const { bytesRead } = await this.handle
        .read(target, filled, target.length - filled, this.position)
        .catch((error: unknown) => {
          throw withPath(error, this.path);
        });
      if (bytesRead === 0) break;
      filled += bytesRead;
      this.position += bytesRead;
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

class GzipReader extends ByteReader {
  private gunzip: Gunzip | undefined;
  private chunks: AsyncIterator<Uint8Array> | undefined;
  private rest: Uint8Array = new Uint8Array(0);

  override get atMost(): number {
    return this.fileBytes * mostExpansion;
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
    this.gunzip?.destroy();
    await super.close();
  }

  /** Makes sure that `rest` holds bytes by decompressing the next chunk. Returns false at the end. */
  private async more(): Promise<boolean> {
    while (this.rest.length === 0) {
      this.signal?.throwIfAborted();
      this.chunks ??= this.start();
      try {
        const next = await this.chunks.next();
        if (next.done) return false;
        this.rest = next.value;
      } catch (error) {
        // An error of the disk and not of the stream.
        if (isSystemError(error)) throw withPath(error, this.path);
        const found = String((error as Error).message);
        throw new UnreadableFile(this.path, 'an intact gzip stream', found, { cause: error });
      }
    }
    return true;
  }

  private start(): AsyncIterator<Uint8Array> {
    this.gunzip = createGunzip({ chunkSize: outputChunk });
    const file = this.handle.createReadStream({ start: 0, highWaterMark: inputChunk, autoClose: false });
    // The gunzip's iterator throws the errors of both streams, so the callback does nothing.
    pipeline(file, this.gunzip, () => {});
    return this.gunzip[Symbol.asyncIterator]();
  }
}

function folderFound(path: string): string {
  if (holdsDicom(path)) return `a folder of DICOM files; convert it first: ${convertDicom(path)}`;
  // `prepare` and other programs write Zarr.
  if (existsSync(join(path, 'zarr.json')))
    return 'a folder in Zarr, such as a prepared dataset; give the NIfTI files that it was made of';
  return 'a folder; give the NIfTI files in it';
}
