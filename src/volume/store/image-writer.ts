import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { allocate, type VoxelArray } from '../datatypes';
import type { Vec3 } from '../vec3';
import { blosc } from './blosc';
import { withChecksum } from './crc32c';
import { writeJson } from './files';
import { arrayMetadata, chunkCounts, type ImageRecord, shardPath } from './format';
import type { VoxelImage } from './resample';
import { ShardWriter } from './shard';
import { typeOf } from './voxel-type';

/**
 * 32 voxels a side: a random 256 x 256 x 128 patch then decodes 1.6 times its own voxels (2.3 times with 64), a
 * decoded chunk stays in a core's cache, and chunks of 16 would compress worse and double the index.
 */
const chunkSide = 32;

/** Writes an image as a Zarr array into a new folder. Not atomic in itself: the volume's folder is renamed as one. */
export async function writeImage(
  folder: string,
  image: VoxelImage,
  scaling: { readonly slope: number; readonly intercept: number },
): Promise<ImageRecord> {
  const { shape, spacing, affine, data } = image;
  const side = (axis: 0 | 1 | 2) => Math.min(chunkSide, shape[axis]);
  const chunk: Vec3 = [side(0), side(1), side(2)];
  const record = { shape, chunk, type: typeOf(data), ...scaling, spacing, affine };
  const path = join(folder, shardPath);
  mkdirSync(dirname(path), { recursive: true });
  const counts = chunkCounts(record);
  const codec = await blosc(record.type);
  const writer = new ShardWriter(path, counts[0] * counts[1] * counts[2]);
  try {
    let index = 0;
    for (let z = 0; z < counts[2]; z++)
      for (let y = 0; y < counts[1]; y++)
        for (let x = 0; x < counts[0]; x++) {
          const voxels = cutChunk(image, chunk, [x * chunk[0], y * chunk[1], z * chunk[2]]);
          const compressed = await codec.encode(new Uint8Array(voxels.buffer));
          writer.append(index++, withChecksum(compressed));
        }
    writer.finish();
  } finally {
    writer.close();
  }
  writeJson(join(folder, 'zarr.json'), arrayMetadata(record));
  return record;
}

/** A whole chunk; what lies outside the image stays 0. */
function cutChunk({ shape, data }: VoxelImage, chunk: Vec3, start: Vec3): VoxelArray {
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
