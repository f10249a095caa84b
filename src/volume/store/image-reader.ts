import { join } from 'node:path';
import type { Codec } from 'numcodecs';
import { componentBytes, componentsOf, type VoxelArray } from '../datatypes';
import { type Vec3, voxelCount } from '../vec3';
import { blosc } from './blosc';
import { chunkCounts, type ImageRecord, shardPath } from './format';
import { damaged, ShardReader } from './shard';

/** A box of voxels, along each axis from `start` on. */
export interface Box {
  readonly start: Vec3;
  readonly size: Vec3;
}

/** Reads boxes of one array of the store, in this thread. */
export class ImageReader {
  private constructor(
    private readonly record: ImageRecord,
    private readonly counts: Vec3,
    private readonly shard: ShardReader,
    private readonly codec: Codec,
  ) {}

  /** @throws UnreadableFile if the array is not there or damaged */
  static async open(folder: string, record: ImageRecord): Promise<ImageReader> {
    const counts = chunkCounts(record);
    const shard = ShardReader.open(join(folder, shardPath), voxelCount(counts));
    return new ImageReader(record, counts, shard, await blosc());
  }

  close(): void {
    this.shard.close();
  }

  /**
   * The voxels of a box within the image, scaled: [z * y * x], x fastest.
   * @throws UnreadableFile if a chunk is damaged
   */
  async read(box: Box): Promise<Float32Array> {
    const { chunk } = this.record;
    const out = new Float32Array(voxelCount(box.size));
    const [x, y, z] = [0, 1, 2].map((axis) => [
      Math.floor(box.start[axis]! / chunk[axis]!),
      Math.floor((box.start[axis]! + box.size[axis]! - 1) / chunk[axis]!),
    ]) as [[number, number], [number, number], [number, number]];
    for (let cz = z[0]; cz <= z[1]; cz++)
      for (let cy = y[0]; cy <= y[1]; cy++) {
        const first = (cz * this.counts[1] + cy) * this.counts[0] + x[0];
        const row = this.shard.chunks(first, x[1] - x[0] + 1);
        for (const [i, bytes] of row.entries()) {
          const voxels = bytes && (await this.decode(bytes, first + i));
          this.place(voxels, [(x[0] + i) * chunk[0], cy * chunk[1], cz * chunk[2]], box, out);
        }
      }
    return out;
  }

  private async decode(bytes: Uint8Array, index: number): Promise<VoxelArray> {
    const { chunk, type } = this.record;
    const expected = voxelCount(chunk) * componentBytes[type];
    const what = `chunk ${index} of ${expected} bytes`;
    const decoded = await Promise.resolve(this.codec.decode(bytes)).catch((cause: unknown) => {
      throw damaged(this.shard.path, what, 'one that blosc cannot decode', cause);
    });
    if (decoded.length !== expected) throw damaged(this.shard.path, what, `${decoded.length} bytes`);
    return componentsOf(type, decoded) as VoxelArray;
  }

  /** Copies the part of a chunk that lies in the box; a chunk that is not there is all zeros. */
  private place(voxels: VoxelArray | undefined, at: Vec3, { start, size }: Box, out: Float32Array): void {
    const { chunk, slope, intercept } = this.record;
    const from = (axis: 0 | 1 | 2) => Math.max(0, start[axis] - at[axis]);
    const to = (axis: 0 | 1 | 2) => Math.min(chunk[axis], start[axis] + size[axis] - at[axis]);
    const [x0, x1] = [from(0), to(0)];
    const values = voxels instanceof Int16Array || !voxels ? voxels : toDoubles(voxels);
    for (let z = from(2); z < to(2); z++)
      for (let y = from(1); y < to(1); y++) {
        const source = (z * chunk[1] + y) * chunk[0];
        const target = ((at[2] + z - start[2]) * size[1] + at[1] + y - start[1]) * size[0] + at[0] - start[0];
        if (!values) out.fill(intercept, target + x0, target + x1);
        else if (values instanceof Int16Array)
          scaleWords(values, source, out, target, x0, x1, slope, intercept);
        else scaleDoubles(values, source, out, target, x0, x1, slope, intercept);
      }
  }
}

function toDoubles(voxels: VoxelArray): Float64Array {
  return voxels instanceof Float64Array ? voxels : new Float64Array(voxels);
}

/** Two loops and not one over eight kinds of array, which V8 would make slow (its inline caches hold four). */
function scaleWords(
  source: Int16Array,
  from: number,
  target: Float32Array,
  at: number,
  x0: number,
  x1: number,
  slope: number,
  intercept: number,
): void {
  for (let x = x0; x < x1; x++) target[at + x] = source[from + x]! * slope + intercept;
}

function scaleDoubles(
  source: Float64Array,
  from: number,
  target: Float32Array,
  at: number,
  x0: number,
  x1: number,
  slope: number,
  intercept: number,
): void {
  for (let x = x0; x < x1; x++) target[at + x] = source[from + x]! * slope + intercept;
}
