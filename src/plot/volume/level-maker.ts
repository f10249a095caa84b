/** Levels of volumes for pages, made by threads: the caller's thread only copies voxels, a few milliseconds at a time. */
import { compiledFile } from '../../package';
import { eachAxis, type Vec3, voxelCount } from '../../vec3';
import { errorOf } from '../../volume/base/failure';
import { Threads } from '../../volume/store/threads';
import type { HeldVolume, Level } from '../../volumes-bundle';
import { coarseAffine, coarseShape, factorsFor } from './coarsen';
import type { LevelJob } from './level-thread';
import { PartReader } from './parts';

/** A part of a volume at full resolution. */
export interface Region {
  readonly start: Vec3;
  readonly size: Vec3;
}

/** A level to send. Its chunks, each gzip of a run of whole slices, come when they are asked for. */
export interface MadeLevel {
  readonly level: Level;
  readonly chunks: number;
  /** @throws the signal's reason on abort; for a volume on the disk the errors of `readPatch` */
  make(signal?: AbortSignal): AsyncGenerator<Uint8Array>;
}

/** The first level, which comes at once, and one between it and a full resolution that is far larger. */
const STEPS = [3_000_000, 24_000_000];
/** A level with less than so many times the voxels of the one before, or of the preview, shows little more. */
const WORTHWHILE = 3;
/** Voxels of a chunk, and of the part of the volume that it is made of. */
const CHUNK_VOXELS = 1_000_000;
const PART_VOXELS = 8_000_000;
/** Two threads compress faster than most connections carry, and leave the other cores to cells. */
const THREADS = 2;
/** Chunks in the making while one is sent. */
const AHEAD = 3;

/** The boxes of the levels to send, from coarse to the finest with at most `most` voxels, `longest` along an axis. */
export function levelsFor(
  { shape, spacing, previewed }: Pick<HeldVolume, 'shape' | 'spacing' | 'previewed'>,
  most: number,
  longest?: number,
): Vec3[] {
  const finest = factorsFor(shape, spacing, most, longest);
  const voxels = (factors: Vec3): number => voxelCount(coarseShape(shape, factors));
  const levels = [finest];
  for (const step of [...STEPS].reverse()) {
    const factors = factorsFor(shape, spacing, step, longest);
    const isWorthwhile =
      voxels(factors) * WORTHWHILE <= voxels(levels[0]!) && voxels(factors) >= WORTHWHILE * previewed;
    if (isWorthwhile) levels.unshift(factors);
  }
  return levels;
}

/** The region around a voxel, moved into the volume, and cut to at most `most` voxels, `longest` along an axis. */
export function regionWithin(
  shape: Vec3,
  at: Vec3,
  size: Vec3,
  most: number,
  longest = Number.POSITIVE_INFINITY,
): Region {
  const within = (length: number, axis: 0 | 1 | 2): number =>
    Math.max(1, Math.min(Math.round(length), shape[axis], longest));
  const wanted = eachAxis((axis) => within(size[axis], axis));
  const shrink = Math.min(1, Math.cbrt(most / voxelCount(wanted)));
  const cut = eachAxis((axis) => Math.max(1, Math.floor(wanted[axis] * shrink)));
  const start = eachAxis((axis) => {
    const first = Math.round(at[axis] - (cut[axis] - 1) / 2);
    return Math.max(0, Math.min(first, shape[axis] - cut[axis]));
  });
  return { start, size: cut };
}

export class LevelMaker {
  readonly #threads = new Threads<LevelJob, Uint8Array>(
    compiledFile('src', 'plot', 'volume', 'level-thread.js'),
    THREADS,
  );

  /** A level of the whole volume, or of a part of it. */
  level(volume: HeldVolume, factors: Vec3, region: Region = wholeOf(volume)): MadeLevel {
    const { start, size } = region;
    const { slope, intercept, affine } = volume;
    const layers = factors[2] * layersOfChunk(size, factors);
    const reader = new PartReader(volume);
    const chunk = async (z: number): Promise<Uint8Array> => {
      const part: Vec3 = [size[0], size[1], Math.min(layers, size[2] - z)];
      const voxels = await reader.read([start[0], start[1], start[2] + z], part);
      const answer = await this.#threads.run({ voxels, size: part, factors, slope, intercept });
      if ('failed' in answer) throw errorOf(answer.failed);
      return answer.result;
    };
    return {
      level: {
        shape: coarseShape(size, factors),
        affine: coarseAffine(affine, factors, start),
        slope,
        intercept,
      },
      chunks: Math.ceil(size[2] / layers),
      async *make(signal) {
        const making: Promise<Uint8Array>[] = [];
        for (let z = 0; z < size[2] || making.length > 0; ) {
          for (; making.length < AHEAD && z < size[2]; z += layers) making.push(settled(chunk(z)));
          const bytes = await making.shift()!;
          signal?.throwIfAborted();
          yield bytes;
        }
      },
    };
  }

  close(): Promise<void> {
    return this.#threads.close();
  }
}

function wholeOf({ shape }: HeldVolume): Region {
  return { start: [0, 0, 0], size: shape };
}

/** Layers of boxes in a chunk: many, for a page answers each chunk, but not too many voxels. */
function layersOfChunk([nx, ny]: Vec3, factors: Vec3): number {
  const [cx, cy] = coarseShape([nx, ny, 1], factors);
  const fits = Math.min(CHUNK_VOXELS / (cx * cy), PART_VOXELS / (nx * ny * factors[2]));
  return Math.max(1, Math.floor(fits));
}

/** A promise whose failure counts only for whoever awaits it. */
function settled<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}
