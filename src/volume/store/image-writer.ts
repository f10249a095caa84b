import { dirname, join } from 'node:path';
import { makeFolder } from '../../make-folder';
import { eachAxis, type Vec3, voxelCount } from '../../vec3';
import { allocate, typeOf, type VoxelArray } from '../base/datatypes';
import { withChecksum } from '../crc32c';
import { writeJson } from './files';
import { arrayMetadata, blosc, chunkCounts, type ImageRecord, shardPath } from './format';
import { ShardWriter } from './shard';

/**
 * Voxels along each side of a chunk. With 32, a random 256 x 256 x 128 patch decodes 1.6 times its own voxels (2.3 times
 * with 64) and a chunk fits a core's cache. Chunks of 16 compress worse and double the index.
 */
const chunkSide = 32;

/**
 * Writes an image as a Zarr array into a new folder and waits until it is on the disk. Memory is one layer of chunks,
 * whatever the image's depth. The caller makes it atomic: it renames the volume's folder.
 * @param head the array without its chunk size
 * @param pieces stored values of the image's type, x fastest, of any lengths
 */
export async function writeImage(
  folder: string,
  head: Omit<ImageRecord, 'chunk'>,
  pieces: AsyncIterable<VoxelArray> | Iterable<VoxelArray>,
): Promise<ImageRecord> {
  const { shape, type, slope, intercept, spacing, affine } = head;
  const chunk = eachAxis((axis) => Math.min(chunkSide, shape[axis]));
  const record = { shape, chunk, type, slope, intercept, spacing, affine };
  const counts = chunkCounts(record);
  const codec = await blosc(type);
  const path = join(folder, shardPath);
  makeFolder(dirname(path));
  const shard = new ShardWriter(path, voxelCount(counts));
  const layer = allocate(type, shape[0] * shape[1] * chunk[2]);
  let [filled, next] = [0, 0];
  const writeLayer = async (): Promise<void> => {
    const depth = filled / (shape[0] * shape[1]);
    filled = 0;
    for (let y = 0; y < counts[1]; y++)
      for (let x = 0; x < counts[0]; x++) {
        const voxels = cutChunk(layer, [shape[0], shape[1], depth], chunk, x * chunk[0], y * chunk[1]);
        shard.append(next++, withChecksum(await codec.encode(new Uint8Array(voxels.buffer))));
      }
  };
  try {
    for await (const piece of pieces)
      for (let at = 0; at < piece.length; ) {
        const part = piece.subarray(at, at + layer.length - filled);
        layer.set(part, filled);
        at += part.length;
        filled += part.length;
        if (filled === layer.length) await writeLayer();
      }
    if (filled > 0) await writeLayer();
    shard.finish();
    writeJson(join(folder, 'zarr.json'), arrayMetadata(record));
    return record;
  } finally {
    shard.close();
  }
}

/** The chunk that begins at x, y of a layer. Voxels outside the layer are 0. */
function cutChunk(layer: VoxelArray, [nx, ny, nz]: Vec3, chunk: Vec3, x: number, y: number): VoxelArray {
  const voxels = allocate(typeOf(layer), voxelCount(chunk));
  const width = Math.min(chunk[0], nx - x);
  for (let z = 0; z < Math.min(chunk[2], nz); z++)
    for (let row = 0; row < Math.min(chunk[1], ny - y); row++) {
      const from = (z * ny + y + row) * nx + x;
      voxels.set(layer.subarray(from, from + width), (z * chunk[1] + row) * chunk[0]);
    }
  return voxels;
}
