import { dirname, join } from 'node:path';
import { makeFolder } from '../../make-folder';
import { withChecksum } from '../crc32c';
import { allocate, type VoxelArray } from '../datatypes';
import type { VoxelImage } from '../resample';
import type { Vec3 } from '../vec3';
import { typeOf } from '../voxel-type';
import { blosc } from './blosc';
import { writeJson } from './files';
import { arrayMetadata, chunkCounts, type ImageRecord, shardPath } from './format';
import { ShardWriter } from './shard';

/**
 * 32 voxels a side: a random 256 x 256 x 128 patch then decodes 1.6 times its own voxels (2.3 times with 64), a
 * decoded chunk stays in a core's cache, and chunks of 16 would compress worse and double the index.
 */
const chunkSide = 32;

/** What an array is, before its voxels. */
export type ImageHead = Omit<ImageRecord, 'chunk'>;

/** Writes an image as a Zarr array into a new folder. Not atomic in itself: the volume's folder is renamed as one. */
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

/** Writes an image layer by layer: memory is that of a layer of chunks, however deep the image is. */
export class ImageWriter {
  private next = 0;

  private constructor(
    private readonly folder: string,
    private readonly record: ImageRecord,
    private readonly shard: ShardWriter,
    private readonly codec: Awaited<ReturnType<typeof blosc>>,
  ) {}

  static async open(folder: string, head: ImageHead): Promise<ImageWriter> {
    const side = (axis: 0 | 1 | 2) => Math.min(chunkSide, head.shape[axis]);
    const chunk: Vec3 = [side(0), side(1), side(2)];
    const { shape, type, slope, intercept, spacing, affine } = head;
    const record = { shape, chunk, type, slope, intercept, spacing, affine };
    const path = join(folder, shardPath);
    makeFolder(dirname(path));
    const counts = chunkCounts(record);
    const codec = await blosc(record.type);
    return new ImageWriter(folder, record, new ShardWriter(path, counts[0] * counts[1] * counts[2]), codec);
  }

  /** Planes of a layer; the last one may have fewer. */
  get layerDepth(): number {
    return this.record.chunk[2];
  }

  /** The next planes, a whole layer: `[z, y, x]`, stored values of the image's type. */
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

  /** Writes what makes the layers an array; all of it is on the disk when this returns. */
  finish(): ImageRecord {
    this.shard.finish();
    writeJson(join(this.folder, 'zarr.json'), arrayMetadata(this.record));
    return this.record;
  }

  close(): void {
    this.shard.close();
  }
}

/** A whole chunk; what lies outside the image stays 0. */
function cutChunk({ shape, data }: Pick<VoxelImage, 'shape' | 'data'>, chunk: Vec3, start: Vec3): VoxelArray {
  const [cx, cy, cz] = chunk;
  const voxels = allocate(typeOf(data), cx * cy * cz);
  const inside = (axis: 0 | 1 | 2) => Math.min(chunk[axis], shape[axis] - start[axis]);
  const [width, height, depth] = [inside(0), inside(1), inside(2)];
  for (let z = 0; z < depth; z++)
    for (let y = 0; y < height; y++) {
      const from = ((start[2] + z) * shape[1] + start[1] + y) * shape[0] + start[0];
      voxels.set(data.subarray(from, from + width), (z * cy + y) * cx);
    }
  return voxels;
}
