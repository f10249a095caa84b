/** A reading thread: it reads boxes of any images and keeps the last ones open. */
import { type Axis, type Vec3, voxelCount } from '../../vec3';
import { type Box, ChunkDecoder } from './chunk-decoder';
import { chunkCounts, type ImageRecord } from './format';
import { damaged, openShard, type ShardReader } from './shard';
import { answerJobs } from './threads';

/** A box to read, and the image that holds it. */
export interface ReadJob {
  readonly folder: string;
  readonly record: ImageRecord;
  readonly box: Box;
}

/** Images kept open. Each takes a file descriptor and about 100 KB for its index. */
const keptOpen = 32;
const open = new Map<string, ShardReader>();
const decoder = new ChunkDecoder();

answerJobs(readBox, (voxels) => [voxels.buffer as ArrayBuffer]);

/** The voxels of a box within an image, scaled: [z * y * x], x fastest. */
async function readBox({ folder, record, box }: ReadJob): Promise<Float32Array> {
  const shard = open.get(folder) ?? openShard(folder, record);
  // Moved to the end, so that the map's first image is the least recently used.
  open.delete(folder);
  open.set(folder, shard);
  if (open.size > keptOpen) forget([...open.keys()][0]!);
  try {
    const { start, size } = box;
    const out = new Float32Array(voxelCount(size));
    const [first, last] = chunkRange(box, record.chunk, 2);
    // One layer of chunks at a time keeps the decoder's memory at a layer.
    for (let cz = first; cz <= last; cz++) {
      const z = Math.max(start[2], cz * record.chunk[2]);
      const end = Math.min(start[2] + size[2], (cz + 1) * record.chunk[2]);
      decoder.begin(record, { start: [start[0], start[1], z], size: [size[0], size[1], end - z] });
      await addLayer(shard, record, box, cz);
      out.set(decoder.finish(), (z - start[2]) * size[0] * size[1]);
    }
    return out;
  } catch (error) {
    // If the volume was prepared again, this name now belongs to another file.
    forget(folder);
    throw error;
  }
}

/** Decodes the chunks of a layer that a box needs. */
async function addLayer(shard: ShardReader, record: ImageRecord, box: Box, cz: number): Promise<void> {
  const { chunk } = record;
  const counts = chunkCounts(record);
  const [[x, lastX], [y, lastY]] = [chunkRange(box, chunk, 0), chunkRange(box, chunk, 1)];
  for (let cy = y; cy <= lastY; cy++) {
    const first = (cz * counts[1] + cy) * counts[0] + x;
    for (const [i, bytes] of shard.chunks(first, lastX - x + 1).entries()) {
      const at: Vec3 = [(x + i) * chunk[0], cy * chunk[1], cz * chunk[2]];
      await decoder.add(bytes, at).catch((cause: unknown) => {
        throw damaged(shard.path, `chunk ${first + i}`, 'bytes that cannot be decompressed', cause);
      });
    }
  }
}

/** The first and the last chunk of a box along an axis. */
function chunkRange({ start, size }: Box, chunk: Vec3, axis: Axis): [number, number] {
  const last = start[axis] + size[axis] - 1;
  return [Math.floor(start[axis] / chunk[axis]), Math.floor(last / chunk[axis])];
}

function forget(folder: string): void {
  open.get(folder)?.close();
  open.delete(folder);
}
