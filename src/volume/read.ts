import { statSync } from 'node:fs';
import { attempt, InvalidArgument, NoMemory, UnreadableFile } from '../errors';
import type { VoxelMemory } from '../memory/voxel-memory';
import { type Vec3, voxelCount } from '../vec3';
import type { Affine } from './base/affine';
import { allocate, componentBytes, componentsOf, swapBytes, type VoxelArray } from './base/datatypes';
import { convert, type Layout, voxelLayout } from './convert';
import type { Series } from './dicom/scan';
import { readVolumeFile } from './formats/file';
import { headerSpacing, type VolumeHeader } from './formats/header';
import { VoxelReader } from './formats/voxel-place';
import { emptyFolder, findVolumes } from './intake';
import { canonicalAxes, reorient } from './orient';
import { isDicomFile, type SeriesFile, type SeriesOptions, withSeries } from './series';
import { Volume } from './volume';

export interface ReadOptions extends SeriesOptions {
  /** Which volume of a 4D to 7D file, counted from 0 with the fourth axis fastest. */
  readonly index?: number;
  /** Which component of a complex or colour voxel: real, imaginary, red, green, blue or alpha. */
  readonly channel?: string;
  /** Permute and flip the axes so that x runs to the patient's right, y to the front, z to the head (RAS+). */
  readonly canonical?: boolean;
}

/** Unscaled voxels as the file stores them: `value = stored * slope + intercept`. */
export interface Voxels {
  readonly shape: Vec3;
  readonly data: VoxelArray; // [z * y * x], x fastest
  readonly slope: number;
  readonly intercept: number;
  readonly spacing: Vec3;
  readonly affine: Affine;
  readonly header: VolumeHeader;
}

/** Bytes read between two calls of `onProgress` and two checks of the signal: voxels as they are, and to convert. */
const pieceBytes = 2 ** 22;
const convertedBytes = 2 ** 20;

/**
 * Reads a volume of a NIfTI-1, NIfTI-2 or ANALYZE 7.5 file (.nii, .hdr + .img, each plain or gzipped), of MetaImage
 * (.mha, .mhd + .raw or .zraw) or of NRRD (.nrrd, .nhdr + data), scaled to real values. The file's content tells its
 * format. It converts compressed voxels as they arrive, so memory is little more than the volume. It does not read the
 * .mat file in which SPM stores the affine of an ANALYZE file. Throws UnreadableFile if the file is another kind, cut
 * short or damaged; InvalidArgument if `index` or `channel` is missing or wrong; the signal's reason on abort.
 *
 * A folder of DICOM files, or a DICOM file with several slices, is decoded by dcm2niix: the series with the most slices, or
 * the one that `series` chooses, or a series from `listSeries`. Slices lie where their positions say: tilt is corrected,
 * missing and uneven slices are interpolated, and `notes` tell so. The patient's name, dates and the files' names are not kept. A folder with one volume file gives that
 * file.
 *
 * ```ts
 * const ct = await pw.readVolume('ct.nii.gz');
 * console.log(ct.shape, ct.spacing); // [x, y, z] in voxels and in mm
 * ```
 */
export async function readVolume(
  from: string | Series,
  options: ReadOptions & {
    /** Holds the voxels, which makes cutting, blending and comparing patches faster. */
    readonly memory?: VoxelMemory;
  } = {},
): Promise<Volume> {
  return withImage(from, options, async (image) => {
    const { header, layout, source, notes } = image;
    const { memory, canonical } = options;
    const voxels = voxelCount(header.shape);
    const inMemory = memory && !canonical;
    const data = reserve(source, 4 * voxels, () =>
      inMemory ? memory.floats(voxels) : new Float32Array(voxels),
    );
    if (layout.type === 'float32' && layout.channels === 1) {
      await readInto(data, image);
      convert(data, data, 0, layout, header);
    } else await convertInto(data, image);
    const place = { shape: header.shape, spacing: headerSpacing(header), affine: header.affine };
    const volume = new Volume({ ...place, data, source, notes, header });
    if (!canonical) return volume;
    const turned = reorient(volume, canonicalAxes(volume.affine));
    const target = memory ? reserve(source, 4 * voxels, () => memory.floats(voxels)) : undefined;
    target?.set(turned.data);
    return new Volume({ ...turned, data: target ?? turned.data, source, notes, header });
  });
}

/**
 * Reads a volume without conversion: an int16 file gives an Int16Array, and so on. 64-bit integers come as doubles.
 * Errors are those of `readVolume`.
 */
export async function readVoxels(path: string, options: ReadOptions = {}): Promise<Voxels> {
  return withImage(path, options, async (image) => {
    const { header, layout, source } = image;
    const bytes = volumeBytes(header, layout) / layout.channels;
    const data = reserve(source, bytes, () => allocate(layout.type, voxelCount(header.shape)));
    const wide = layout.type === 'int64' || layout.type === 'uint64';
    if (wide || layout.channels > 1)
      await convertInto(data, { ...image, header: { ...header, slope: 1, intercept: 0 } });
    else await readInto(data, image);
    const { shape, affine, slope, intercept } = header;
    const stored = { shape, data, affine, spacing: headerSpacing(header) };
    const oriented = options.canonical ? reorient(stored, canonicalAxes(affine)) : stored;
    return { ...oriented, slope, intercept, header };
  });
}

/**
 * Reads a volume and passes its values to `look` piece by piece, in the order of the file. Memory is two pieces, whatever
 * the volume's size. Errors are those of `readVolume`.
 */
export async function scanVolume(
  path: string,
  options: ReadOptions,
  look: (values: Float32Array) => void,
): Promise<VolumeHeader> {
  return withImage(path, options, async (image) => {
    const { header, layout } = image;
    const voxels = voxelCount(header.shape);
    const atOnce = Math.min(voxels, Math.floor(pieceBytes / layout.voxelBytes));
    const buffer = new Uint8Array(atOnce * layout.voxelBytes);
    const values = new Float32Array(atOnce);
    for (let voxel = 0; voxel < voxels; voxel += atOnce) {
      const count = Math.min(atOnce, voxels - voxel);
      const piece = buffer.subarray(0, count * layout.voxelBytes);
      await fill(piece, voxel * layout.voxelBytes, voxels * layout.voxelBytes, image);
      convert(componentsOf(layout.type, piece), values, 0, layout, header);
      look(values.subarray(0, count));
    }
    return header;
  });
}

/**
 * Checks that `readVolume` would accept a file with these options, as far as its header tells. Returns the header.
 * Errors are those of `readVolume`.
 */
export async function checkVolume(path: string, options: ReadOptions = {}): Promise<VolumeHeader> {
  return withImage(path, options, async ({ header }) => header, { finish: false });
}

/** A file's header, without its voxels. Errors are those of `readVolume`. */
export async function readHeader(path: string): Promise<VolumeHeader> {
  return (await readVolumeFile(path)).header;
}

/** An open file whose reader stands at the first wanted voxel. */
interface OpenImage extends Omit<SeriesFile, 'path'> {
  readonly header: VolumeHeader;
  readonly layout: Layout;
  readonly reader: VoxelReader;
  readonly options: ReadOptions;
}

/** Opens an image, or the chosen series of a DICOM folder, passes it to `use`, and always closes it. */
async function withImage<T>(
  from: string | Series,
  options: ReadOptions,
  use: (image: OpenImage) => Promise<T>,
  how: { readonly finish: boolean } = { finish: true },
): Promise<T> {
  options.signal?.throwIfAborted();
  const file = typeof from === 'string' && !isDicomFile(from) ? await onlyFile(from, options) : undefined;
  if (file !== undefined) return withFile({ path: file, source: file, notes: [] }, options, use, how);
  return withSeries(from, options, (made) => withFile(made, options, use, how));
}

/** A path that is no folder, or the only volume file of a folder; undefined for a folder of DICOM. */
async function onlyFile(path: string, { series, signal }: ReadOptions): Promise<string | undefined> {
  if (!attempt(() => statSync(path))?.isDirectory()) return path;
  const { volumes, datasets, leftOut } = await findVolumes(path, { series, signal });
  // Reading it gives the reason.
  if (datasets.length > 0) return path;
  const isDicom = volumes.some((volume) => volume.series);
  if (isDicom && (series !== undefined || volumes.every((volume) => volume.series))) return undefined;
  const [first, ...others] = volumes;
  if (!first) throw emptyFolder(path, leftOut);
  if (others.length === 0) return first.given;
  const names = volumes.slice(0, 4).map(({ given }) => given);
  const more = volumes.length > 4 ? ', ...' : '';
  const cure = isDicom ? 'give one of the files, or choose a series' : 'give one of them';
  const found = `${volumes.length}: ${names.join(', ')}${more}; ${cure}`;
  throw new UnreadableFile(path, 'one volume', found);
}

async function withFile<T>(
  { path, source, notes }: SeriesFile,
  options: ReadOptions,
  use: (image: OpenImage) => Promise<T>,
  { finish }: { readonly finish: boolean },
): Promise<T> {
  const { header, voxels } = await readVolumeFile(path, options.signal);
  const layout = voxelLayout(header, path, options.channel);
  const bytes = volumeBytes(header, layout);
  const skipped = volumeIndex(source, header, options.index) * bytes;
  const all = bytes * header.series.reduce((a, b) => a * b, 1);
  // It checks the length before the volume is allocated, so that a wrong header costs no memory.
  const reader = await VoxelReader.open(
    voxels(),
    { all, needed: skipped + bytes },
    layout.type,
    options.signal,
  );
  try {
    reader.skip(skipped);
    const result = await use({ header, layout, reader, options, source, notes });
    // Gzip's checksum comes last. Without it, a damaged stream could pass for voxels.
    if (finish) await reader.finish();
    return result;
  } finally {
    await reader.close();
  }
}

/** Reads the voxels as stored, in this machine's byte order. */
async function readInto(target: VoxelArray, image: OpenImage): Promise<void> {
  const total = target.byteLength;
  for (let at = 0; at < total; at += pieceBytes) {
    // Piece by piece, because Node 20 allows no byte array over more than 4 GiB.
    const length = Math.min(pieceBytes, total - at);
    await fill(new Uint8Array(target.buffer, target.byteOffset + at, length), at, total, image);
  }
}

/** Reads the voxels piece by piece through two small buffers and scales them into `target`. */
async function convertInto(target: VoxelArray, image: OpenImage): Promise<void> {
  const { header, layout } = image;
  const total = target.length * layout.voxelBytes;
  const length = Math.min(total, Math.floor(convertedBytes / layout.voxelBytes) * layout.voxelBytes);
  const buffers = [new Uint8Array(length), new Uint8Array(length)] as const;
  const read = async (at: number) => {
    const piece = buffers[(at / length) % 2]!.subarray(0, total - at);
    await fill(piece, at, total, image);
    return piece;
  };
  let next = read(0);
  for (let at = 0; at < total; at += length) {
    const piece = await next;
    // Read while this one is converted.
    if (at + length < total) next = read(at + length);
    convert(componentsOf(layout.type, piece), target, at / layout.voxelBytes, layout, header);
  }
}

/** Fills a piece that begins at byte `at` of `total` with voxels in this machine's byte order. */
async function fill(piece: Uint8Array, at: number, total: number, image: OpenImage): Promise<void> {
  const { reader, header, layout, options } = image;
  options.signal?.throwIfAborted();
  const length = await reader.read(piece);
  const found = `a file that ends after ${at + length}`;
  if (length < piece.length) throw new UnreadableFile(reader.path, `${total} bytes of voxels`, found);
  options.onProgress?.({ done: at + length, total, what: 'bytes' });
  if (!header.littleEndian) swapBytes(piece, componentBytes(layout.type));
}

function volumeBytes(header: VolumeHeader, layout: Layout): number {
  return voxelCount(header.shape) * layout.voxelBytes;
}

/** Which volume of the file to read. Throws InvalidArgument if the file has several and `index` chooses none. */
function volumeIndex(path: string, header: VolumeHeader, index: number | undefined): number {
  const volumes = header.series.reduce((a, b) => a * b, 1);
  if (index === undefined && volumes === 1) return 0;
  if (index !== undefined && Number.isInteger(index) && index >= 0 && index < volumes) return index;
  const axes = [...header.shape, ...header.series].join(' x ');
  throw new InvalidArgument('index', `0 to ${volumes - 1}, because ${path} is ${axes}`, index);
}

/** V8's error for a length above the limit of arrays. */
const tooLong = /invalid (typed )?array length/i;

/** Allocates. Throws NoMemory if the machine lacks memory, UnreadableFile if no array can be that long. */
function reserve<T>(path: string, bytes: number, allocate: () => T): T {
  try {
    return allocate();
  } catch (cause) {
    if (!tooLong.test(String(cause))) throw new NoMemory(path, bytes, { cause });
    const found = `${bytes} bytes of voxels`;
    throw new UnreadableFile(path, 'at most as many voxels as an array of Node holds', found, { cause });
  }
}
