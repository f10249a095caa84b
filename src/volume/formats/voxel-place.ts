import { UnreadableFile } from '../../errors';
import { type ComponentType, componentBytes } from '../base/datatypes';
import { ByteReader } from './bytes';
import type { VolumeHeader } from './header';
import { type ByteSource, HexReader, NumberReader, pastLines } from './text-readers';

/** A volume file: what its header says, and where its voxels lie. */
export interface VolumeFile {
  readonly header: VolumeHeader;
  /** Throws UnreadableFile if a file with voxels does not exist. */
  readonly voxels: () => VoxelPlace;
}

/** Where the voxels of a volume lie, and how the file stores their bytes. */
export interface VoxelPlace {
  /** The files that hold them one after the other, each an equal part. */
  readonly files: readonly string[];
  /** To skip in each file, before the stored bytes: first bytes, then lines, then bytes again. */
  readonly start: number;
  readonly lines: number;
  readonly skip: number;
  /** How bytes are stored: as they are, compressed, as decimal numbers, or as hexadecimal digits. */
  readonly packing: 'by content' | 'none' | 'deflate' | 'text' | 'hex';
  /** Length of the compressed bytes; default: to the end of the file. */
  readonly packedBytes?: number;
  /** Bytes to skip after decompression. 'end': the voxels are the last bytes. */
  readonly offset: number | 'end';
}

/** Reads the bytes of a volume's voxels, as one stream over all its files. */
export class VoxelReader {
  private current: { readonly file: number; readonly reader: ByteSource; placed: boolean } | undefined;
  private at = 0;

  private constructor(
    private readonly place: VoxelPlace,
    /** Bytes of voxels in each file. */
    private readonly share: number,
    private readonly type: ComponentType,
    private readonly signal: AbortSignal | undefined,
  ) {}

  /**
   * Checks that every file can hold its part, before any memory is taken for the voxels.
   * @param all bytes of the voxels, with those of the whole series
   * @param needed bytes up to the last voxel to read
   */
  static async open(
    place: VoxelPlace,
    { all, needed }: { readonly all: number; readonly needed: number },
    type: ComponentType,
    signal: AbortSignal | undefined,
  ): Promise<VoxelReader> {
    const share = all / place.files.length;
    if (!Number.isInteger(share / componentBytes(type))) {
      const found = `${place.files.length} files for ${all / componentBytes(type)} numbers`;
      throw new UnreadableFile(place.files[0]!, 'files that hold equal parts of the volume', found);
    }
    const voxels = new VoxelReader(place, share, type, signal);
    const count = Math.max(1, Math.ceil(needed / share));
    for (let n = 0; n < count; n++) {
      const reader = await voxels.openFile(n);
      const end = place.offset === 'end' ? share : place.offset + Math.min(share, needed - n * share);
      const isThere = end <= reader.atMost;
      if (isThere && count === 1) voxels.current = { file: n, reader, placed: false };
      else await reader.close();
      if (isThere) continue;
      const found = `a file of ${reader.fileBytes}, which cannot hold them`;
      throw new UnreadableFile(reader.path, `${end} bytes up to the last voxel`, found);
    }
    return voxels;
  }

  /** The file that the next byte comes from. */
  get path(): string {
    const file = Math.min(Math.floor(this.at / this.share), this.place.files.length - 1);
    return this.place.files[file]!;
  }

  /** Fills `target` and returns the number of bytes, which is smaller only if a file ends too early. */
  async read(target: Uint8Array): Promise<number> {
    let filled = 0;
    while (filled < target.length && this.at < this.share * this.place.files.length) {
      const reader = await this.readerOf(Math.floor(this.at / this.share));
      const left = this.share - (this.at % this.share);
      const piece = target.subarray(filled, filled + Math.min(target.length - filled, left));
      const length = await reader.read(piece);
      filled += length;
      if (length < piece.length) break;
      this.at += length;
    }
    return filled;
  }

  /** Skips voxels. Call it before the first `read`. */
  skip(bytes: number): void {
    this.at = bytes;
  }

  /** Reads the last file to its end, which checks gzip's checksum. */
  async finish(): Promise<void> {
    await this.current?.reader.finish();
  }

  async close(): Promise<void> {
    await this.current?.reader.close();
  }

  /** The reader of a file, which stands at the next byte to read. */
  private async readerOf(file: number): Promise<ByteSource> {
    if (this.current?.file !== file) {
      await this.finish();
      await this.close();
      this.current = undefined;
      this.current = { file, reader: await this.openFile(file), placed: false };
    }
    const { reader, placed } = this.current;
    if (!placed) await reader.skip((await this.offsetIn(file, reader)) + (this.at % this.share));
    this.current.placed = true;
    return reader;
  }

  private async offsetIn(file: number, reader: ByteSource): Promise<number> {
    const { offset, packing } = this.place;
    if (offset !== 'end') return offset;
    const length = packing === 'none' ? reader.atMost : await this.unpackedLength(file);
    if (length >= this.share) return length - this.share;
    throw new UnreadableFile(
      reader.path,
      `${this.share} bytes of voxels`,
      `a file that ends after ${length}`,
    );
  }

  /** Decompresses a file to count its bytes. */
  private async unpackedLength(file: number): Promise<number> {
    const reader = await this.openFile(file);
    try {
      const piece = new Uint8Array(2 ** 20);
      let length = 0;
      for (let read = 1; read > 0; length += read) read = await reader.read(piece);
      return length;
    } finally {
      await reader.close();
    }
  }

  private async openFile(n: number): Promise<ByteSource> {
    const { files, packing, packedBytes, lines, skip } = this.place;
    const { signal } = this;
    const path = files[n]!;
    const start = skip + (await pastLines(path, this.place.start, lines, signal));
    const end = packedBytes === undefined ? undefined : start + packedBytes;
    if (packing === 'by content') return ByteReader.open(path, signal);
    if (packing === 'none' || packing === 'deflate')
      return ByteReader.open(path, signal, { start, end, packing });
    const text = await ByteReader.open(path, signal, { start, packing: 'none' });
    return packing === 'hex' ? new HexReader(text) : new NumberReader(text, this.type);
  }
}
