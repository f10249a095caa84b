import { existsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { UnreadableFile } from '../../errors';
import { type Vec3, voxelCount } from '../../vec3';
import type { Box, ChunkDecoder } from './chunk-decoder';
import { contains, readJson, same } from './files';
import { arrayMetadata, chunkCounts, type ImageRecord, shardPath } from './format';
import { damaged, ShardReader } from './shard';

/** Reads boxes of one array in this thread. */
export class ImageReader {
  private constructor(
    private readonly record: ImageRecord,
    private readonly counts: Vec3,
    private readonly shard: ShardReader,
    private readonly decoder: ChunkDecoder,
  ) {}

  /**
   * @param decoder many images may share it, one read at a time
   * @throws UnreadableFile if the array is missing or damaged
   */
  static open(folder: string, record: ImageRecord, decoder: ChunkDecoder): ImageReader {
    return new ImageReader(record, chunkCounts(record), openShard(folder, record), decoder);
  }

  close(): void {
    this.shard.close();
  }

  /**
   * The voxels of a box within the image, scaled: [z * y * x], x fastest.
   * @throws UnreadableFile if a chunk is damaged
   */
  async read({ start, size }: Box): Promise<Float32Array> {
    const depth = this.record.chunk[2];
    const out = new Float32Array(voxelCount(size));
    const end = start[2] + size[2];
    // One layer of chunks at a time keeps the decoder's memory at a layer.
    for (let z = start[2]; z < end; ) {
      const next = Math.min(end, (Math.floor(z / depth) + 1) * depth);
      const layer: Box = { start: [start[0], start[1], z], size: [size[0], size[1], next - z] };
      await this.readLayer(layer, Math.floor(z / depth));
      out.set(this.decoder.finish(), (z - start[2]) * size[0] * size[1]);
      z = next;
    }
    return out;
  }

  private async readLayer(box: Box, cz: number): Promise<void> {
    const { chunk } = this.record;
    const [x, y] = [chunkRange(box, chunk, 0), chunkRange(box, chunk, 1)];
    this.decoder.begin(this.record, box);
    for (let cy = y.first; cy <= y.last; cy++) {
      const first = (cz * this.counts[1] + cy) * this.counts[0] + x.first;
      const row = this.shard.chunks(first, x.last - x.first + 1);
      for (const [i, bytes] of row.entries()) {
        const at: Vec3 = [(x.first + i) * chunk[0], cy * chunk[1], cz * chunk[2]];
        await this.decoder.add(bytes, at).catch((cause: unknown) => {
          throw damaged(this.shard.path, `chunk ${first + i}`, 'bytes that cannot be decompressed', cause);
        });
      }
    }
  }
}

/**
 * Opens the shard of an array.
 * @throws UnreadableFile with the cure if the metadata differ from the index or the shard is damaged
 */
export function openShard(folder: string, record: ImageRecord): ShardReader {
  const metadata = join(folder, 'zarr.json');
  const expected = arrayMetadata(record);
  if (!contains(readJson(metadata), JSON.parse(JSON.stringify(expected))))
    throw metadataError(folder, record);
  const counts = chunkCounts(record);
  return ShardReader.open(join(folder, shardPath), voxelCount(counts));
}

/** The error for a volume that is missing, damaged, or prepared again after the dataset was opened. */
function metadataError(folder: string, record: ImageRecord): UnreadableFile {
  const [volume, metadata] = [dirname(folder), join(folder, 'zarr.json')];
  if (!existsSync(volume)) {
    const found = 'none; wait if the dataset is still being copied, else prepare it again';
    return new UnreadableFile(volume, 'the folder of a volume', found);
  }
  const group = readJson(join(volume, 'zarr.json')) as { attributes?: Record<string, unknown> } | undefined;
  const now = group?.attributes?.[basename(folder)];
  if (now !== undefined && !same(now, record))
    return new UnreadableFile(
      metadata,
      'the metadata in the index',
      'a volume that was prepared again; open the dataset again, and if that does not help, prepare it again',
    );
  return damaged(metadata, 'the metadata in the index', existsSync(metadata) ? 'something else' : 'none');
}

function chunkRange({ start, size }: Box, chunk: Vec3, axis: 0 | 1): { first: number; last: number } {
  const first = Math.floor(start[axis] / chunk[axis]);
  return { first, last: Math.floor((start[axis] + size[axis] - 1) / chunk[axis]) };
}
