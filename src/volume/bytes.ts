import { constants, existsSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline, Readable } from 'node:stream';
import { createGunzip, type Gunzip } from 'node:zlib';
import { isSystemError, withPath } from '../atomic-file';
import { UnreadableFile } from '../errors';
import { openError } from './fault';
import { convertDicom, holdsDicom } from './foreign';

/** Deflate's largest expansion (RFC 1951: 258 bytes from 2 bits), so a bound on what a small file can hold. */
const mostExpansion = 1032;
const inputChunk = 2 ** 18;
const outputChunk = 2 ** 20;

/**
 * A file's content from its start to its end, decompressed where its first two bytes are gzip's 1f 8b, whatever
 * its name says. Memory stays at a few chunks.
 */
export abstract class ByteReader {
  constructor(
    readonly path: string,
    protected readonly handle: FileHandle,
    readonly fileBytes: number,
    protected readonly signal: AbortSignal | undefined,
  ) {}

  /** Opens a file. Throws UnreadableFile where there is none, or it is a folder or a device. */
  static async open(path: string, signal?: AbortSignal): Promise<ByteReader> {
    const handle = await openFile(path);
    try {
      const stat = await handle.stat();
      if (!stat.isFile()) {
        throw new UnreadableFile(path, 'a file', stat.isDirectory() ? folderFound(path) : 'no regular file');
      }
      const magic = Buffer.alloc(2);
      await handle.read(magic, 0, 2, 0);
      const gzip = magic[0] === 0x1f && magic[1] === 0x8b;
      return new (gzip ? GzipReader : PlainReader)(path, handle, stat.size, signal);
    } catch (error) {
      await handle.close();
      throw withPath(error, path);
    }
  }

  /** The most bytes the content can have. */
  abstract get atMost(): number;

  /** Fills `target` and returns its length; fewer bytes only at the content's end. */
  abstract read(target: Uint8Array): Promise<number>;

  /** Leaves out the next `count` bytes, or what is left of them. */
  abstract skip(count: number): Promise<void>;

  /** Reads on to the end, so that a checksum there is checked. */
  abstract finish(): Promise<void>;

  async close(): Promise<void> {
    await this.handle.close();
  }
}

class PlainReader extends ByteReader {
  private position = 0;

  get atMost(): number {
    return this.fileBytes;
  }

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

  async skip(count: number): Promise<void> {
    this.position += count;
  }

  async finish(): Promise<void> {}
}

class GzipReader extends ByteReader {
  private gunzip: Gunzip | undefined;
  private chunks: AsyncIterator<Uint8Array> | undefined;
  private rest: Uint8Array = new Uint8Array(0);

  get atMost(): number {
    return this.fileBytes * mostExpansion;
  }

  async read(target: Uint8Array): Promise<number> {
    let filled = 0;
    while (filled < target.length && (await this.more())) {
      const part = this.rest.subarray(0, target.length - filled);
      target.set(part, filled);
      filled += part.length;
      this.rest = this.rest.subarray(part.length);
    }
    return filled;
  }

  async skip(count: number): Promise<void> {
    let left = count;
    while (left > 0 && (await this.more())) {
      const part = Math.min(left, this.rest.length);
      left -= part;
      this.rest = this.rest.subarray(part);
    }
  }

  async finish(): Promise<void> {
    await this.skip(Number.POSITIVE_INFINITY);
  }

  override async close(): Promise<void> {
    this.gunzip?.destroy();
    await super.close();
  }

  /** True while there are bytes in `rest`; decompresses the next chunk when it is used up. */
  private async more(): Promise<boolean> {
    while (this.rest.length === 0) {
      this.signal?.throwIfAborted();
      this.chunks ??= this.start();
      try {
        const next = await this.chunks.next();
        if (next.done) return false;
        this.rest = next.value;
      } catch (error) {
        // The disk's error, not the stream's.
        if (isSystemError(error)) throw withPath(error, this.path);
        throw new UnreadableFile(this.path, 'an intact gzip stream', String((error as Error).message), {
          cause: error,
        });
      }
    }
    return true;
  }

  private start(): AsyncIterator<Uint8Array> {
    this.gunzip = createGunzip({ chunkSize: outputChunk });
    // Errors of either stream come out of the gunzip's iterator, so the callback has nothing to add.
    pipeline(Readable.from(filePieces(this.handle), { objectMode: false }), this.gunzip, () => {});
    return this.gunzip[Symbol.asyncIterator]();
  }
}

/** The file's bytes as they are. A read stream would close the handle when it is destroyed. */
async function* filePieces(handle: FileHandle): AsyncGenerator<Uint8Array> {
  for (let position = 0; ; ) {
    const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafe(inputChunk), 0, inputChunk, position);
    if (bytesRead === 0) return;
    position += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

function folderFound(path: string): string {
  if (holdsDicom(path)) return `a folder of DICOM files; convert it first: ${convertDicom(path)}`;
  // `prepare` makes these, and so does any other program that writes Zarr.
  if (existsSync(join(path, 'zarr.json')))
    return 'a folder in Zarr, such as a prepared dataset; give the NIfTI files that it was made of';
  return 'a folder; give the NIfTI files in it';
}

async function openFile(path: string): Promise<FileHandle> {
  try {
    // Without O_NONBLOCK, opening a named pipe waits until somebody writes to it.
    return await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  } catch (error) {
    throw openError(path, error);
  }
}
