/**
 * What a prepared store is on disk. The store is a Zarr v3 group, so Python's zarr and every other Zarr reader open
 * it; each volume is a group with the array `image` (and `baseline`) in it. An array is one sharded file: its chunks
 * are small, so that a random patch decodes little more than itself, and yet 1,349 volumes are some thousand files
 * and not a million, which shared file systems could not bear.
 *
 *     dataset.json             the index: volumes, split, settings; written last, replaced at once
 *     zarr.json                the group; written first
 *     <volume>/zarr.json       a group whose attributes hold the VolumeRecord
 *     <volume>/image/zarr.json    int16 [z, y, x]
 *     <volume>/image/c/0/0/0      all chunks and, at the end, where each one is
 */
import type { Affine } from '../affine';
import type { StoredType } from '../datatypes';
import type { Intensity } from '../intensity';
import type { Vec3 } from '../vec3';
import type { BaselineView } from '../view';

export const formatVersion = 1;
export const indexFile = 'dataset.json';
export const datasetFormat = 'patchwise dataset';

export type SplitName = 'train' | 'validation' | 'test';
export const splitNames: readonly SplitName[] = ['train', 'validation', 'test'];

/** An array of the store. A voxel's value is `stored * slope + intercept`. */
export interface ImageRecord {
  readonly shape: Vec3;
  readonly chunk: Vec3;
  readonly type: StoredType;
  readonly slope: number;
  readonly intercept: number;
  readonly spacing: Vec3;
  readonly affine: Affine;
}

/** The file a volume was prepared from. */
export interface SourceRecord {
  /** Relative to the folder that was prepared, with forward slashes. */
  readonly file: string;
  readonly bytes: number;
  /** Time of the last change in ms, as the file system has it. */
  readonly modified: number;
  readonly sha256: string;
}

/** What decides which voxels are stored. */
export interface VoxelSettings {
  readonly format: number;
  readonly canonical: boolean;
  readonly spacing: Vec3 | null;
  readonly baseline: BaselineView | null;
  /** Whether axes that lose voxels were filtered first. */
  readonly antialias: boolean;
  /** Which volume of each file. */
  readonly index?: number;
  /** Which component of complex or colour voxels. */
  readonly channel?: string;
}

/** What a volume's group keeps about it. */
export interface VolumeRecord {
  readonly source: SourceRecord;
  readonly settings: VoxelSettings;
  /** Least and greatest finite value. */
  readonly range: readonly [number, number];
  readonly intensity: Intensity;
  readonly image: ImageRecord;
  readonly baseline: ImageRecord | null;
}

/** A line of the index. */
export interface IndexEntry extends VolumeRecord {
  readonly name: string;
  readonly patient: string;
  readonly split: SplitName;
  /** It was put in by itself, so preparing the files again leaves it; `blended`: it is what a model made of patches. */
  readonly added?: 'given' | 'blended';
}

/** A file that could not be prepared, and why. */
export interface LeftOut {
  readonly file: string;
  readonly reason: string;
}

/** dataset.json */
export interface DatasetIndex {
  readonly format: typeof datasetFormat;
  readonly version: number;
  readonly seed: number;
  readonly fractions: readonly [number, number, number];
  readonly settings: VoxelSettings;
  readonly volumes: readonly IndexEntry[];
  /**
   * The side of every patient that was ever drawn by this seed and these fractions, or put there, also of those whose
   * files are left out or gone: when they come back, they come back to it. Older datasets have none.
   */
  readonly sides?: Readonly<Record<string, SplitName>>;
  readonly leftOut: readonly LeftOut[];
}

/** zarr.json of a group. */
export function groupMetadata(attributes: object): object {
  return { zarr_format: 3, node_type: 'group', attributes };
}

/** zarr.json of an array: one shard holds it all, in chunks compressed by blosc. */
export function arrayMetadata({
  shape,
  chunk,
  type,
  slope,
  intercept,
  spacing,
  affine,
}: ImageRecord): object {
  const checksum = { name: 'crc32c' };
  const endian = { name: 'bytes', configuration: { endian: 'little' } };
  const codecs = [endian, { name: 'blosc', configuration: bloscConfiguration(type) }, checksum];
  const shard = shape.map((size, axis) => Math.ceil(size / chunk[axis]!) * chunk[axis]!).reverse();
  return {
    zarr_format: 3,
    node_type: 'array',
    shape: [...shape].reverse(),
    data_type: type,
    chunk_grid: { name: 'regular', configuration: { chunk_shape: shard } },
    chunk_key_encoding: { name: 'default', configuration: { separator: '/' } },
    fill_value: 0,
    codecs: [
      {
        name: 'sharding_indexed',
        configuration: {
          chunk_shape: [...chunk].reverse(),
          codecs,
          index_codecs: [endian, checksum],
          index_location: 'end',
        },
      },
    ],
    dimension_names: ['z', 'y', 'x'],
    // The names under which xarray finds scale and offset.
    attributes: { scale_factor: slope, add_offset: intercept, spacing, affine },
  };
}

/**
 * How blosc compresses voxels of a type, as measured on CTs. With noise in 16 bits, lz4 behind bitshuffle is smaller
 * than gzip and decodes more than ten times as fast; zstd is a tenth smaller still, and a fifth as fast. Of 8 bits,
 * mostly display values, shuffling makes more, and zstd alone is smaller than gzip where lz4 is half as large again.
 */
export function bloscConfiguration(type: StoredType): BloscConfiguration {
  const one = type === 'int8' || type === 'uint8';
  // numcodecs shuffles in fours, whatever the type.
  const common = { typesize: 4, blocksize: 0 };
  return one
    ? { cname: 'zstd', clevel: 3, shuffle: 'noshuffle', ...common }
    : { cname: 'lz4', clevel: 5, shuffle: 'bitshuffle', ...common };
}

/** Of Zarr v3's codec blosc. */
export interface BloscConfiguration {
  readonly cname: 'lz4' | 'zstd';
  readonly clevel: number;
  readonly shuffle: 'noshuffle' | 'bitshuffle';
  readonly typesize: number;
  readonly blocksize: number;
}

/** Place of an array's only shard in its folder. */
export const shardPath = 'c/0/0/0';

/** Chunks along each axis. */
export function chunkCounts({ shape, chunk }: Pick<ImageRecord, 'shape' | 'chunk'>): Vec3 {
  const count = (axis: 0 | 1 | 2) => Math.ceil(shape[axis] / chunk[axis]);
  return [count(0), count(1), count(2)];
}
