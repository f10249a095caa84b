/** Levels of volumes for pages, made by threads: the caller's thread only copies voxels, a few milliseconds at a time. */
import { setImmediate as turn } from 'node:timers/promises';
import { compiledFile } from '../../package';
import { eachAxis, type Vec3, voxelCount } from '../../vec3';
import { errorOf } from '../../volume/base/failure';
import { cutBox } from '../../volume/resample';
import { Threads } from '../../volume/store/threads';
import type { HeldVolume, Level } from '../../volumes-bundle';
import { coarseAffine, coarseShape, factorsFor } from './coarsen';
import type { LevelJob } from './level-thread';

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
/** A level with less than so many times the voxels of the one before shows little more. */
const WORTHWHILE = 3;
/** Voxels copied at a time. Copying them takes one or two milliseconds. */
const JOB_VOXELS = 1_000_000;
/** Two threads compress faster than most connections carry, and leave the other cores to cells. */
const THREADS = 2;
/** Chunks in the making while one is sent. */
const AHEAD = 3;

/** The boxes of the levels to send, from coarse to the finest with at most `most` voxels, `longest` along an axis. */
export function levelsFor(
  { shape, spacing }: Pick<HeldVolume, 'shape' | 'spacing'>,
  most: number,
  longest?: number,
): Vec3[] {
  const finest = factorsFor(shape, spacing, most, longest);
  const voxels = (factors: Vec3): number => voxelCount(coarseShape(shape, factors));
  const levels = [finest];
  for (const step of [...STEPS].reverse()) {
    const factors = factorsFor(shape, spacing, step, longest);
    if (voxels(factors) * WORTHWHILE <= voxels(levels[0]!)) levels.unshift(factors);
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
    const layers = factors[2] * Math.max(1, Math.floor(JOB_VOXELS / (size[0] * size[1] * factors[2])));
    const chunk = async (z: number): Promise<Uint8Array> => {
      const part: Vec3 = [size[0], size[1], Math.min(layers, size[2] - z)];
      await turn(); // copies one part at a time; what waits for this thread has its turn between two
      const voxels = await readBox(volume, [start[0], start[1], start[2] + z], part);
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

/** The voxels of a box, in memory that a thread reaches without a further copy. */
async function readBox({ shape, voxels }: HeldVolume, start: Vec3, size: Vec3): Promise<Float32Array> {
  if (!('data' in voxels)) return shared(await voxels.readPatch(start, size));
  const { data } = voxels;
  if (size[0] < shape[0] || size[1] < shape[1]) return shared(cutBox(data, shape, start, size));
  const slice = shape[0] * shape[1];
  const run = data.subarray(start[2] * slice, (start[2] + size[2]) * slice);
  return run.buffer instanceof SharedArrayBuffer ? run : shared(run);
}

function shared(voxels: Float32Array): Float32Array {
  const copy = new Float32Array(new SharedArrayBuffer(voxels.byteLength));
  copy.set(voxels);
  return copy;
}

/** A promise whose failure counts only for whoever awaits it. */
function settled<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}
