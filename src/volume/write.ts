import type { FileHandle } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { replaceFileSlowly } from '../atomic-file';
import { InvalidArgument } from '../errors';
import type { LongCall } from '../progress';
import { allocate, type StoredType, storedTypes, type VoxelArray } from './datatypes';
import { encodeHeader, type NewHeader } from './header-encode';
import { pairPaths } from './names';
import { type Vec3, voxelCount } from './vec3';
import { checkPlace, type Volume, type VolumePlace } from './volume';

export interface WriteOptions extends LongCall {
  /** How voxels are stored; default float32, which keeps every value. */
  readonly dtype?: StoredType;
  /** Stored numbers are `(value - intercept) / slope`, rounded where the type is whole; default 1 and 0. */
  readonly slope?: number;
  readonly intercept?: number;
  /** zlib's level for .gz files, 1 (default, fast) to 9 (small). */
  readonly level?: number;
  /** NIfTI version; default 1, or 2 where an axis is longer than 32767. */
  readonly version?: 1 | 2;
}

const pieceVoxels = 2 ** 18;

/** Planes of a volume from plane z on, `[depth, y, x]`. */
export interface VolumeSlab {
  readonly z: number;
  readonly depth: number;
  readonly data: Float32Array;
}

/**
 * Writes a volume as .nii, .nii.gz, or .hdr + .img (each .gz too), with its orientation. The file appears complete
 * or not at all: it is written beside its place and renamed. Throws InvalidArgument for an unknown extension, and
 * for values that a whole-number type cannot hold.
 *
 * ```ts
 * const ct = pw.phantom({ shape: [64, 64, 48] });
 * await pw.writeVolume('phantom.nii.gz', ct);
 * ```
 */
export async function writeVolume(path: string, volume: Volume, options: WriteOptions = {}): Promise<void> {
  return writeImage(path, volume, piecesOf(volume.data), options);
}

/**
 * Writes a volume that comes slab by slab, so that it need not be in memory whole. A slab's array is not kept after
 * the next one is asked for. Errors are those of `writeVolume`; InvalidArgument also for slabs that do not come in
 * ascending z without a gap up to the last plane, and then there is no file.
 */
export async function writeSlabs(
  path: string,
  place: VolumePlace,
  slabs: AsyncIterable<VolumeSlab> | Iterable<VolumeSlab>,
  options: WriteOptions = {},
): Promise<void> {
  return writeImage(path, place, piecesInOrder(place.shape, slabs), options);
}

type Pieces<T> = AsyncIterable<T> | Iterable<T>;

async function writeImage(
  path: string,
  place: VolumePlace,
  values: Pieces<Float32Array>,
  options: WriteOptions,
): Promise<void> {
  options.signal?.throwIfAborted();
  const pair = pairPaths(path);
  if (!pair && !/\.nii(\.gz)?$/i.test(path)) {
    throw new InvalidArgument('path', 'a NIfTI file name', path, ['.nii', '.nii.gz', '.hdr', '.img']);
  }
  const { dtype = 'float32', slope = 1, intercept = 0, level = 1 } = options;
  if (!storedTypes.includes(dtype)) throw new InvalidArgument('dtype', 'a data type', dtype, storedTypes);
  if (!(Number.isFinite(slope) && slope !== 0)) throw new InvalidArgument('slope', 'finite, not 0', slope);
  if (!Number.isFinite(intercept)) throw new InvalidArgument('intercept', 'a finite number', intercept);
  checkPlace(place.spacing, place.affine);
  const header: NewHeader = { dtype, slope, intercept, version: options.version, pair: pair !== undefined };
  const head = encodeHeader(place, header);
  const voxels = storedPieces(place.shape, values, header, options);
  if (!pair) return writeAtomically(path, level, concatenate(head, voxels));
  // The image first: a header that can be seen has its voxels.
  await writeAtomically(pair.images[0]!, level, voxels);
  await writeAtomically(pair.header, level, concatenate(head, []));
}

function* piecesOf(data: Float32Array): Generator<Float32Array> {
  for (let at = 0; at < data.length; at += pieceVoxels) yield data.subarray(at, at + pieceVoxels);
}

/** Copies, for a stream may still hold a piece when the array of its slab is used again. */
async function* piecesInOrder(shape: Vec3, slabs: Pieces<VolumeSlab>): AsyncGenerator<Float32Array> {
  for await (const { data } of slabsInOrder(shape, slabs)) {
    for (const piece of piecesOf(data)) yield piece.slice();
  }
}

/** The same slabs. Throws InvalidArgument where they are not a volume's, in ascending z without a gap. */
export async function* slabsInOrder(
  shape: Vec3,
  slabs: AsyncIterable<VolumeSlab> | Iterable<VolumeSlab>,
): AsyncGenerator<VolumeSlab> {
  const plane = shape[0] * shape[1];
  let next = 0;
  for await (const slab of slabs) {
    const { z, depth, data } = slab;
    if (z !== next) throw new InvalidArgument('slabs', `plane ${next} next, in ascending z`, `plane ${z}`);
    if (data.length !== depth * plane || z + depth > shape[2])
      throw new InvalidArgument('slabs', `planes of ${plane} values, ${shape[2]} in all`, [
        depth,
        data.length,
      ]);
    yield slab;
    next += depth;
  }
  if (next !== shape[2]) throw new InvalidArgument('slabs', `${shape[2]} planes`, `${next} planes`);
}

/** Replaces the file by `content`, gzipped where `path` says so. */
function writeAtomically(path: string, level: number, content: Pieces<Uint8Array>): Promise<void> {
  return replaceFileSlowly(path, (file) =>
    /\.gz$/i.test(path)
      ? pipeline(content, createGzip({ level, chunkSize: 2 ** 18 }), (gzipped) => writePieces(file, gzipped))
      : writePieces(file, content),
  );
}

async function writePieces(handle: FileHandle, pieces: Pieces<Uint8Array>): Promise<void> {
  for await (const piece of pieces) {
    for (let at = 0; at < piece.length; ) at += (await handle.write(piece, at)).bytesWritten;
  }
}

async function* concatenate(head: Uint8Array, voxels: Pieces<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield head;
  yield* voxels;
}

/** The voxels as they are stored, little-endian as every machine that Node runs on is. */
async function* storedPieces(
  shape: Vec3,
  pieces: Pieces<Float32Array>,
  { dtype, slope, intercept }: NewHeader,
  options: LongCall,
): AsyncGenerator<Uint8Array> {
  const exact = dtype === 'float32' && slope === 1 && intercept === 0;
  let done = 0;
  for await (const values of pieces) {
    options.signal?.throwIfAborted();
    const stored = exact ? values : encodeVoxels(values, dtype, slope, intercept, done, shape);
    // Bytes of their own (encodeVoxels allocates each piece): a stream may still hold the one before.
    yield new Uint8Array(stored.buffer, stored.byteOffset, stored.byteLength);
    done += values.length;
    options.onProgress?.({ done, total: voxelCount(shape), what: 'voxels' });
  }
}

const ranges: Readonly<Partial<Record<StoredType, readonly [number, number]>>> = {
  int8: [-128, 127],
  uint8: [0, 255],
  int16: [-32768, 32767],
  uint16: [0, 65535],
  int32: [-(2 ** 31), 2 ** 31 - 1],
  uint32: [0, 2 ** 32 - 1],
};

/**
 * Values as they are stored, in an array of their own. `first` is the first one's place in a volume of `shape`, for the
 * error. Throws InvalidArgument for a value that a whole-number type cannot hold.
 */
export function encodeVoxels(
  values: Float32Array,
  dtype: StoredType,
  slope: number,
  intercept: number,
  first: number,
  shape: Vec3,
): VoxelArray {
  const stored = allocate(dtype, values.length);
  const range = ranges[dtype];
  if (!range) {
    for (let n = 0; n < values.length; n++) stored[n] = (values[n]! - intercept) / slope;
    return stored;
  }
  const [least, greatest] = range;
  for (let n = 0; n < values.length; n++) {
    const whole = Math.round((values[n]! - intercept) / slope);
    if (!(whole >= least && whole <= greatest)) throw unstorable(dtype, range, values[n]!, first + n, shape);
    stored[n] = whole;
  }
  return stored;
}

function unstorable(
  dtype: StoredType,
  [least, greatest]: readonly [number, number],
  value: number,
  at: number,
  [nx, ny]: Vec3,
): InvalidArgument {
  const voxel = `[${at % nx}, ${Math.floor(at / nx) % ny}, ${Math.floor(at / (nx * ny))}]`;
  return new InvalidArgument(
    `value at voxel ${voxel}`,
    `${least} to ${greatest} to be stored as ${dtype} (or give slope and intercept, or dtype float32)`,
    value,
  );
}
