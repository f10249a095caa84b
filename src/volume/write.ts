import type { FileHandle } from 'node:fs/promises';
import { replaceFileSlowly } from '../atomic-file';
import { InvalidArgument } from '../errors';
import type { LongCall } from '../progress';
import { type Vec3, voxelCount } from '../vec3';
import { allocate, type StoredType, storedTypes, type VoxelArray } from './base/datatypes';
import type { VolumeHeader } from './formats/header';
import { pairPaths } from './formats/names';
import { gzip } from './gzip';
import { encodeHeader, type NewHeader } from './nifti-encode';
import { checkPlace, type Volume, type VolumePlace } from './volume';

export interface WriteOptions extends LongCall {
  /** Type of the stored voxels; default float32, which keeps every value. */
  readonly dtype?: StoredType;
  /** Stored numbers are `(value - intercept) / slope`, rounded for whole-number types; default 1 and 0. */
  readonly slope?: number;
  readonly intercept?: number;
  /** Store what lies outside a whole-number type as its least or greatest number; default: such a value is an error. */
  readonly clip?: boolean;
  /** zlib's level for .gz files, 1 (default, fast) to 9 (small). */
  readonly level?: number;
  /** NIfTI version; default 1, or 2 if an axis is longer than 32767. */
  readonly version?: 1 | 2;
}

const pieceVoxels = 2 ** 18;

/** Some planes of a volume, from plane z on: `[depth, y, x]`, or `[depth, y, x, channels]` from `blendSlabs`. */
export interface Slab {
  readonly z: number;
  readonly depth: number;
  readonly data: Float32Array;
}

/**
 * Writes a volume with its orientation as .nii, .nii.gz, or .hdr + .img (each .gz too). It writes a temporary file and
 * renames it, so the file is complete or missing. What the volume's own NIfTI header said stays: both forms of its place,
 * display range, intent, times, and all texts and extensions, unchanged. If these name the patient, so does the new file.
 * A volume from DICOM has no such texts. Throws InvalidArgument for an unknown extension and for values that a
 * whole-number type cannot hold.
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
 * Writes a volume slab by slab, so that the whole volume need not be in memory. You may reuse a slab's array after
 * yielding it. Errors are those of `writeVolume`. It also throws InvalidArgument, and writes no file, unless the slabs are
 * in ascending z and cover all planes without a gap.
 */
export async function writeSlabs(
  path: string,
  place: VolumePlace,
  slabs: AsyncIterable<Slab> | Iterable<Slab>,
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
  if (!pair && !/\.nii(\.gz)?$/i.test(path))
    throw new InvalidArgument('path', 'a NIfTI file name', path, ['.nii', '.nii.gz', '.hdr', '.img']);
  const { level = 1, version } = options;
  if (!(Number.isInteger(level) && level >= 1 && level <= 9))
    throw new InvalidArgument('level', 'a whole number from 1 to 9', level);
  const storage = storageOf(options);
  const header: NewHeader = { ...storage, version, pair: pair !== undefined };
  checkPlace(place.spacing, place.affine);
  const head = encodeHeader(place, header);
  const voxels = storedPieces(place.shape, values, storage, options);
  if (!pair) return writeAtomically(path, level, concatenate(head, voxels));
  // The image first, so that every header has its voxels.
  await writeAtomically(pair.images[0]!, level, voxels);
  await writeAtomically(pair.header, level, concatenate(head, []));
}

/** How numbers are stored. */
export type VoxelStorage = Pick<NewHeader, 'dtype' | 'slope' | 'intercept'> & Pick<WriteOptions, 'clip'>;

/** How voxels are stored. Throws InvalidArgument for wrong options. */
export function storageOf(options: WriteOptions): VoxelStorage {
  const { dtype = 'float32', slope = 1, intercept = 0, clip } = options;
  if (!storedTypes.includes(dtype)) throw new InvalidArgument('dtype', 'a data type', dtype, storedTypes);
  if (!(Number.isFinite(slope) && slope !== 0)) throw new InvalidArgument('slope', 'finite, not 0', slope);
  if (!Number.isFinite(intercept)) throw new InvalidArgument('intercept', 'a finite number', intercept);
  return { dtype, slope, intercept, clip };
}

/** How a file stores its voxels, if as whole numbers of up to 32 bits. Undefined for other files. */
export function wholeStorage(header: VolumeHeader | undefined): VoxelStorage | undefined {
  const dtype = storedTypes.find((type) => type === header?.datatype);
  if (!header || !dtype || !(dtype in ranges)) return undefined;
  return { dtype, slope: header.slope, intercept: header.intercept };
}

/** The values in pieces of a size at which encoding can be interrupted. */
export function* piecesOf(data: Float32Array): Generator<Float32Array> {
  for (let at = 0; at < data.length; at += pieceVoxels) yield data.subarray(at, at + pieceVoxels);
}

async function* piecesInOrder(shape: Vec3, slabs: Pieces<Slab>): AsyncGenerator<Float32Array> {
  for await (const { data } of slabsInOrder(shape, slabs)) yield* piecesOf(data);
}

/** Passes on the slabs. Throws InvalidArgument unless they are in ascending z and cover the volume without a gap. */
export async function* slabsInOrder(shape: Vec3, slabs: Pieces<Slab>): AsyncGenerator<Slab> {
  const plane = shape[0] * shape[1];
  let next = 0;
  for await (const slab of slabs) {
    const { z, depth, data } = slab;
    if (z !== next) throw new InvalidArgument('slabs', `plane ${next} next, in ascending z`, `plane ${z}`);
    const expected = `planes of ${plane} values, ${shape[2]} in all`;
    if (data.length !== depth * plane || z + depth > shape[2])
      throw new InvalidArgument('slabs', expected, [depth, data.length]);
    yield slab;
    next += depth;
  }
  if (next !== shape[2]) throw new InvalidArgument('slabs', `${shape[2]} planes`, `${next} planes`);
}

/** Replaces the file by `content`, gzipped if `path` ends in .gz. */
function writeAtomically(path: string, level: number, content: Pieces<Uint8Array>): Promise<void> {
  return replaceFileSlowly(path, (file) =>
    writePieces(file, /\.gz$/i.test(path) ? gzip(content, level) : content),
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

/** The stored voxels, little-endian, as are all machines that run Node. */
async function* storedPieces(
  shape: Vec3,
  pieces: Pieces<Float32Array>,
  storage: VoxelStorage,
  options: LongCall,
): AsyncGenerator<Uint8Array> {
  const { dtype, slope, intercept } = storage;
  const exact = dtype === 'float32' && slope === 1 && intercept === 0;
  // Used again for each piece: fresh memory costs more time than the numbers.
  const buffer = exact ? undefined : allocate(dtype, pieceVoxels);
  let done = 0;
  for await (const values of pieces) {
    options.signal?.throwIfAborted();
    const stored = buffer ? encodeVoxels(values, storage, done, shape, buffer) : values;
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
 * The stored form of values, in `target` or in a new array. `first` is the place of the first value in a volume of
 * `shape`; the error names the voxel by it. Throws InvalidArgument for a value that a whole-number type cannot hold.
 */
export function encodeVoxels(
  values: Float32Array,
  storage: VoxelStorage,
  first: number,
  shape: Vec3,
  target = allocate(storage.dtype, values.length),
): VoxelArray {
  const { dtype, slope, intercept, clip = false } = storage;
  const stored = target.subarray(0, values.length);
  const [least, greatest] = ranges[dtype] ?? [];
  if (least === undefined || greatest === undefined) {
    for (let n = 0; n < values.length; n++) stored[n] = (values[n]! - intercept) / slope;
    return stored;
  }
  const isPlain = slope === 1 && intercept === 0;
  for (let n = 0; n < values.length; n++) {
    // Rounded down below, which is faster than Math.round.
    const above = (isPlain ? values[n]! : (values[n]! - intercept) / slope) + 0.5;
    if (above >= least && above < greatest + 1) stored[n] = Math.floor(above);
    else if (!clip || Number.isNaN(above)) throw beyond(values[n]!, first + n, storage, shape);
    else stored[n] = above < least ? least : greatest;
  }
  return stored;
}

function beyond(value: number, at: number, { dtype }: VoxelStorage, [nx, ny]: Vec3): InvalidArgument {
  const voxel = [at % nx, Math.floor(at / nx) % ny, Math.floor(at / (nx * ny))].join(', ');
  const expected = `${ranges[dtype]!.join(' to ')} for storage as ${dtype}`;
  const cure = '(or give slope and intercept, or dtype float32)';
  return new InvalidArgument(`value at voxel [${voxel}]`, `${expected} ${cure}`, value);
}
