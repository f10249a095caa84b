import { dirname, join } from 'node:path';
import { makeFolder } from '../../make-folder';
import { eachAxis, type Vec3, voxelCount } from '../../vec3';
import { withChecksum } from '../crc32c';
import { allocate, typeOf, type VoxelArray } from '../datatypes';
import type { VoxelImage } from '../resample';
import { blosc } from './blosc';
import { writeJson } from './files';
import { arrayMetadata, chunkCounts, type ImageRecord, shardPath } from './format';
import { ShardWriter } from './shard';

/**
 * Voxels along each side of a chunk. With 32, a random 256 x 256 x 128 patch decodes 1.6 times its own voxels (2.3 times
 * with 64) and a chunk fits a core's cache. Chunks of 16 compress worse and double the index.
 */
const chunkSide = 32;

/** The description of an array without its chunk size, which the writer chooses. */
export type ImageHead = Omit<ImageRecord, 'chunk'>;

/** Writes an image as a Zarr array into a new folder. The caller makes it atomic: it renames the volume's folder. */
export async function writeImage(
  folder: string,
  { shape, spacing, affine, data }: VoxelImage,
  scaling: { readonly slope: number; readonly intercept: number },
): Promise<ImageRecord> {
  const writer = await ImageWriter.open(folder, { shape, type: typeOf(data), ...scaling, spacing, affine });
  try {
    const layer = writer.layerDepth * shape[0] * shape[1];
    for (let at = 0; at < data.length; at += layer) await writer.addLayer(data.subarray(at, at + layer));
    return writer.finish();
  } finally {
    writer.close();
  }
}

/** Writes an image layer by layer. Memory is one layer of chunks, whatever the image's depth. */
export class ImageWriter {
  private next = 0;

  private constructor(
    private readonly folder: string,
    private readonly record: ImageRecord,
    private readonly shard: ShardWriter,
    private readonly codec: Awaited<ReturnType<typeof blosc>>,
  ) {}

  static async open(folder: string, head: ImageHead): Promise<ImageWriter> {
    const chunk = eachAxis((axis) => Math.min(chunkSide, head.shape[axis]));
    const { shape, type, slope, intercept, spacing, affine } = head;
    const record = { shape, chunk, type, slope, intercept, spacing, affine };
    const path = join(folder, shardPath);
    makeFolder(dirname(path));
    const shard = new ShardWriter(path, voxelCount(chunkCounts(record)));
    return new ImageWriter(folder, record, shard, await blosc(type));
  }

  /** Planes of a layer. The last layer may have fewer. */
  get layerDepth(): number {
    return this.record.chunk[2];
  }

  /** Appends one layer: stored values of the image's type, [z * y * x]. */
  async addLayer(data: VoxelArray): Promise<void> {
    const { shape, chunk } = this.record;
    const layer = { shape: [shape[0], shape[1], data.length / (shape[0] * shape[1])] as const, data };
    const counts = chunkCounts(this.record);
    for (let y = 0; y < counts[1]; y++)
      for (let x = 0; x < counts[0]; x++) {
        const voxels = cutChunk(layer, chunk, [x * chunk[0], y * chunk[1], 0]);
        const compressed = await this.codec.encode(new Uint8Array(voxels.buffer));
        this.shard.append(this.next++, withChecksum(compressed));
      }
  }

  /** Writes the index and the metadata, and waits until everything is on the disk. */
  finish(): ImageRecord {
    this.shard.finish();
    writeJson(join(this.folder, 'zarr.json'), arrayMetadata(this.record));
    return this.record;
  }

  close(): void {
    this.shard.close();
  }
}

/** A whole chunk. Voxels outside the image are 0. */
function cutChunk({ shape, data }: Pick<VoxelImage, 'shape' | 'data'>, chunk: Vec3, start: Vec3): VoxelArray {
  const [cx, cy, cz] = chunk;
  const voxels = allocate(typeOf(data), cx * cy * cz);
  const [width, height, depth] = eachAxis((axis) => Math.min(chunk[axis], shape[axis] - start[axis]));
  for (let z = 0; z < depth; z++)
    for (let y = 0; y < height; y++) {
      const from = ((start[2] + z) * shape[1] + start[1] + y) * shape[0] + start[0];
      voxels.set(data.subarray(from, from + width), (z * cy + y) * cx);
    }
  return voxels;
}
