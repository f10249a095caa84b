/**
 * A prepared dataset on disk. It is a Zarr v3 group, so Python's zarr and other Zarr readers open it. Each volume is a
 * group with an array `image` and perhaps an array `baseline`. An array is one sharded file. Its chunks are small, so
 * a random patch decodes little more than its own voxels. One file per array keeps 1,349 volumes at some thousand
 * files, because a million would overload a shared file system.
 *
 *     dataset.json             the index: volumes, split, settings; written last, replaced atomically
 *     zarr.json                the group; written first
 *     <volume>/zarr.json       a group whose attributes hold the VolumeRecord
 *     <volume>/image/zarr.json    int16 [z, y, x]
 *     <volume>/image/c/0/0/0      all chunks, then an index of their places
 */
import type { Codec } from 'numcodecs';
import { eachAxis, type Vec3 } from '../../vec3';
import type { Affine } from '../base/affine';
import { type StoredType, storedTypes } from '../base/datatypes';
import { loaded } from '../base/fault';
import type { Intensity, IntensitySpec } from '../intensity';
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
  /** Time of the last change in ms, by the file system. */
  readonly modified: number;
  readonly sha256: string;
}

/** The settings that decide which voxels are stored. */
export interface VoxelSettings {
  readonly format: number;
  readonly canonical: boolean;
  readonly spacing: Vec3 | null;
  readonly baseline: BaselineView | null;
  /** Whether axes that lose voxels are filtered first. */
  readonly antialias: boolean;
  /** Which volume of each file. */
  readonly index?: number;
  /** Which component of complex or colour voxels. */
  readonly channel?: string;
}

/** The attributes of a volume's group. */
export interface VolumeRecord {
  readonly source: SourceRecord;
  readonly settings: VoxelSettings;
  /** Least and greatest finite value. */
  readonly range: readonly [number, number];
  /** Where `range` begins far below air: `partBelowAir` of the file. Older datasets have none. */
  readonly belowAir?: number;
  readonly intensity: Intensity;
  readonly image: ImageRecord;
  readonly baseline: ImageRecord | null;
  /** What was odd about its source, such as missing slices of a DICOM series. */
  readonly notes?: readonly string[];
}

/** One volume in the index. */
export interface IndexEntry extends VolumeRecord {
  readonly name: string;
  readonly patient: string;
  readonly split: SplitName;
  /** The volume was added alone, so preparing the files again keeps it. A model made a `blended` volume from patches. */
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
  /** What the last call asked for; absent in datasets that no call prepared, and in older ones. */
  readonly intensity?: IntensitySpec;
  readonly volumes: readonly IndexEntry[];
  /**
   * The side of every patient who was ever drawn with this seed and these fractions, or given a side. It includes
   * patients whose files are left out or gone, so they keep their side when the files return. Older datasets have none.
   */
  readonly sides?: Readonly<Record<string, SplitName>>;
  readonly leftOut: readonly LeftOut[];
  /** Fingerprint of the key that made the pseudonyms of DICOM patients. Another key would give everybody another one. */
  readonly patientKey?: string;
}

/** zarr.json of a group. */
export function groupMetadata(attributes: object): object {
  return { zarr_format: 3, node_type: 'group', attributes };
}

/**
 * The configuration of Zarr v3's codec blosc for voxels of a type, measured on CTs. For 16 bits with noise, lz4 behind
 * bitshuffle is smaller than gzip and decodes over ten times faster; zstd is another tenth smaller and five times slower.
 * For 8 bits, mostly display values, shuffling makes the data larger: zstd alone is smaller than gzip, lz4 half as large
 * again.
 */
function bloscConfiguration(type: StoredType) {
  // numcodecs always shuffles groups of four bytes.
  const common = { typesize: 4, blocksize: 0 };
  return type === 'int8' || type === 'uint8'
    ? { cname: 'zstd', clevel: 3, shuffle: 'noshuffle', ...common }
    : { cname: 'lz4', clevel: 5, shuffle: 'bitshuffle', ...common };
}

/** The codec of an array's chunks. It encodes by `bloscConfiguration` and decodes any blosc. */
export async function blosc(type: StoredType): Promise<Codec> {
  // numcodecs is an ES module, which CommonJS can only load with import().
  const { default: Blosc } = await loaded(import('numcodecs/blosc'));
  const { cname, clevel, shuffle, blocksize } = bloscConfiguration(type);
  return Blosc.fromConfig({
    id: 'blosc',
    cname,
    clevel,
    blocksize,
    shuffle: shuffle === 'bitshuffle' ? 2 : 0,
  });
}

/** zarr.json of an array: one shard holds all chunks, compressed by blosc. */
export function arrayMetadata(record: ImageRecord): object {
  const { shape, chunk, type, spacing, affine } = record;
  const checksum = { name: 'crc32c' };
  const endian = { name: 'bytes', configuration: { endian: 'little' } };
  const sharding = {
    chunk_shape: chunk.toReversed(),
    codecs: [endian, { name: 'blosc', configuration: bloscConfiguration(type) }, checksum],
    index_codecs: [endian, checksum],
    index_location: 'end',
  };
  const counts = chunkCounts(record);
  const shard = eachAxis((axis) => counts[axis] * chunk[axis]).reverse();
  return {
    zarr_format: 3,
    node_type: 'array',
    shape: shape.toReversed(),
    data_type: type,
    chunk_grid: { name: 'regular', configuration: { chunk_shape: shard } },
    chunk_key_encoding: { name: 'default', configuration: { separator: '/' } },
    fill_value: 0,
    codecs: [{ name: 'sharding_indexed', configuration: sharding }],
    dimension_names: ['z', 'y', 'x'],
    // xarray reads scale and offset under these names.
    attributes: { scale_factor: record.slope, add_offset: record.intercept, spacing, affine },
  };
}

/** Path of an array's only shard within its folder. */
export const shardPath = 'c/0/0/0';

/** Chunks along each axis. */
export function chunkCounts({ shape, chunk }: Pick<ImageRecord, 'shape' | 'chunk'>): Vec3 {
  return eachAxis((axis) => Math.ceil(shape[axis] / chunk[axis]));
}

/** Whether a value read from JSON is a whole entry. JSON has no checksum, and a disk may flip a bit. */
export function isSoundEntry(value: unknown): value is IndexEntry {
  const { name, patient, split } = partsOf(value);
  const named = typeof name === 'string' && /^[^./\\][^/\\]*$/.test(name) && typeof patient === 'string';
  return named && splitNames.some((side) => side === split) && isSoundRecord(value);
}

export function isSoundRecord(value: unknown): value is VolumeRecord {
  const { source, settings, range, intensity, image, baseline } = partsOf(value);
  const { file, bytes, modified, sha256 } = partsOf(source);
  const { name, low, high } = partsOf(intensity);
  return (
    [file, sha256, name].every((text) => typeof text === 'string') &&
    areNumbers([bytes, modified, low, high], 4) &&
    typeof settings === 'object' &&
    areNumbers(range, 2) &&
    isSoundImage(image) &&
    (!baseline || isSoundImage(baseline))
  );
}

function isSoundImage(value: unknown): value is ImageRecord {
  const { shape, chunk, type, slope, intercept, spacing, affine } = partsOf(value);
  const isSize = (sizes: unknown) =>
    areNumbers(sizes, 3) && sizes.every((n) => Number.isSafeInteger(n) && n > 0);
  return (
    [shape, chunk].every(isSize) &&
    storedTypes.some((stored) => stored === type) &&
    areNumbers([slope, intercept], 2) &&
    areNumbers(spacing, 3) &&
    areNumbers(affine, 16)
  );
}

function areNumbers(value: unknown, count: number): value is number[] {
  return Array.isArray(value) && value.length === count && value.every(Number.isFinite);
}

function partsOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}
