import { InvalidArgument, NoMemory, UnreadableFile } from '../errors';
import type { VoxelMemory } from '../memory/voxel-memory';
import type { LongCall } from '../progress';
import type { Affine } from './affine';
import { ByteReader } from './bytes';
import { convert, type Layout, voxelLayout } from './convert';
import { allocate, componentBytes, componentsOf, swapBytes, type VoxelArray } from './datatypes';
import { headerSpacing, interpretHeader, type NiftiHeader } from './header';
import { headerLength, nifti1Bytes, nifti2Bytes, parseHeader } from './header-bytes';
import { imagePath, pairPaths } from './names';
import { canonicalAxes, reorient } from './orient';
import { type Vec3, voxelCount } from './vec3';
import { Volume } from './volume';

export interface ReadOptions extends LongCall {
  /** Which volume of a 4D (or 5D to 7D) file, counted from 0, the fourth axis fastest. */
  readonly index?: number;
  /** Which component of a complex or colour voxel: real, imaginary, red, green, blue or alpha. */
  readonly channel?: string;
  /** Permute and flip the axes so that x runs to the patient's right, y to the front, z to the head (RAS+). */
  readonly canonical?: boolean;
}

/** Voxels as the file stores them, unscaled: `value = stored * slope + intercept`. */
export interface Voxels {
  readonly shape: Vec3;
  readonly data: VoxelArray; // [z * y * x], x fastest
  readonly slope: number;
  readonly intercept: number;
  readonly spacing: Vec3;
  readonly affine: Affine;
  readonly header: NiftiHeader;
}

/** Voxels between two looks at the signal and the listener. */
const pieceBytes = 2 ** 20;

/**
 * Reads a volume of a NIfTI-1, NIfTI-2 or ANALYZE 7.5 file (.nii, .hdr + .img, each plain or gzipped), scaled to
 * real values. Compressed voxels are converted as they come, so memory is the volume's and little more. An affine that
 * SPM keeps beside an ANALYZE file (.mat) is not read. Throws
 * UnreadableFile for what is no such file, is cut short or damaged; InvalidArgument where `index` or `channel` is
 * needed or wrong; the signal's reason on abort.
 *
 * ```ts
 * const ct = await pw.readVolume('ct.nii.gz');
 * console.log(ct.shape, ct.spacing); // [x, y, z] in voxels and in mm
 * ```
 */
export async function readVolume(
  path: string,
  options: ReadOptions & {
    /** Where to put the voxels, so that patches of them are cut, blended and compared faster. */
    readonly memory?: VoxelMemory;
  } = {},
): Promise<Volume> {
  return withImage(path, options, async (header, layout, reader) => {
    const { memory, canonical } = options;
    const voxels = voxelCount(header.shape);
    const inMemory = memory && !canonical;
    const data = reserve(path, 4 * voxels, () =>
      inMemory ? memory.floats(voxels) : new Float32Array(voxels),
    );
    const direct = layout.type === 'float32' && layout.channels === 1;
    if (direct) await readInto(reader, data, header, layout, options);
    else await convertInto(reader, data, header, layout, options);
    if (direct) convert(data, data, 0, layout, header);
    const volume = new Volume({
      shape: header.shape,
      data,
      spacing: headerSpacing(header),
      affine: header.affine,
      source: path,
      header,
    });
    if (!canonical) return volume;
    const turned = reorient(volume, canonicalAxes(volume.affine));
    const target = memory ? reserve(path, 4 * voxels, () => memory.floats(voxels)) : undefined;
    target?.set(turned.data);
    return new Volume({ ...turned, data: target ?? turned.data, source: path, header });
  });
}

/**
 * Reads a volume without conversion: an int16 file gives an Int16Array, and so on; 64-bit integers come as
 * doubles. Errors are those of `readVolume`.
 */
export async function readVoxels(path: string, options: ReadOptions = {}): Promise<Voxels> {
  return withImage(path, options, async (header, layout, reader) => {
    const bytes = volumeBytes(header, layout) / layout.channels;
    const data = reserve(path, bytes, () => allocate(layout.type, voxelCount(header.shape)));
    const wide = layout.type === 'int64' || layout.type === 'uint64';
    if (wide || layout.channels > 1) {
      await convertInto(reader, data, { ...header, slope: 1, intercept: 0 }, layout, options);
    } else await readInto(reader, data, header, layout, options);
    const { shape, affine, slope, intercept } = header;
    const stored = { shape, data, affine, spacing: headerSpacing(header) };
    const oriented = options.canonical ? reorient(stored, canonicalAxes(affine)) : stored;
    return { ...oriented, slope, intercept, header };
  });
}

/**
 * The header of a volume that `readVolume` would read with these options, as far as that can be told without reading
 * its voxels. Errors are those of `readVolume`.
 */
export async function checkVolume(path: string, options: ReadOptions = {}): Promise<NiftiHeader> {
  return withImage(path, options, async (header) => header, { finish: false });
}

/** A file's header, without its voxels. Errors are those of `readVolume`. */
export async function readHeader(path: string): Promise<NiftiHeader> {
  const reader = await ByteReader.open(pairPaths(path)?.header ?? path);
  try {
    return (await headerOf(reader)).header;
  } finally {
    await reader.close();
  }
}

/** Opens the image, hands its reader over at the first wanted voxel, and closes it whatever happens. */
async function withImage<T>(
  path: string,
  options: ReadOptions,
  use: (header: NiftiHeader, layout: Layout, reader: ByteReader) => Promise<T>,
  { finish = true } = {},
): Promise<T> {
  options.signal?.throwIfAborted();
  const pair = pairPaths(path);
  const first = await ByteReader.open(pair?.header ?? path, options.signal);
  let reader = first;
  try {
    const { header, consumed } = await headerOf(first);
    const layout = voxelLayout(header, path, options.channel);
    const skipped =
      header.voxelOffset + volumeIndex(path, header, options.index) * volumeBytes(header, layout);
    if (header.pair) await first.finish();
    if (header.pair) reader = await ByteReader.open(await imagePath(path, pair), options.signal);
    const needed = skipped + volumeBytes(header, layout);
    // Checked before the volume is allocated, so that a header's lie costs nothing.
    if (needed > reader.atMost) throw tooSmall(reader, needed);
    if (finish) await reader.skip(skipped - (header.pair ? 0 : consumed));
    const result = await use(header, layout, reader);
    // Gzip's checksum comes last: without it, a damaged stream could pass for voxels.
    if (finish) await reader.finish();
    return result;
  } finally {
    await first.close();
    if (reader !== first) await reader.close();
  }
}

async function headerOf(reader: ByteReader): Promise<{ header: NiftiHeader; consumed: number }> {
  const bytes = new Uint8Array(nifti2Bytes);
  let consumed = await reader.read(bytes.subarray(0, nifti1Bytes));
  // Only as far as the header goes: a NIfTI-1 file's voxels may start at byte 352.
  if (headerLength(bytes) === nifti2Bytes) consumed += await reader.read(bytes.subarray(nifti1Bytes));
  const raw = await parseHeader(bytes.subarray(0, consumed), reader.path);
  return { header: interpretHeader(raw, reader.path), consumed };
}

/** Reads the voxels as they are stored, in this machine's byte order. */
async function readInto(
  reader: ByteReader,
  target: VoxelArray,
  header: NiftiHeader,
  layout: Layout,
  options: ReadOptions,
): Promise<void> {
  const total = target.byteLength;
  for (let at = 0; at < total; at += pieceBytes) {
    // Piece by piece, for one array of bytes over a volume of more than 4 GiB is more than Node 20 allows.
    const length = Math.min(pieceBytes, total - at);
    const piece = new Uint8Array(target.buffer, target.byteOffset + at, length);
    await fill(reader, piece, at, total, options);
    if (!header.littleEndian) swapBytes(piece, componentBytes[layout.type]);
  }
}

/** Reads the voxels piece by piece through a small buffer, scaling them into `target`. */
async function convertInto(
  reader: ByteReader,
  target: VoxelArray,
  header: NiftiHeader,
  layout: Layout,
  options: ReadOptions,
): Promise<void> {
  const total = target.length * layout.voxelBytes;
  const voxelsAtOnce = Math.floor(pieceBytes / layout.voxelBytes);
  const buffer = new Uint8Array(voxelsAtOnce * layout.voxelBytes);
  for (let voxel = 0; voxel < target.length; voxel += voxelsAtOnce) {
    const at = voxel * layout.voxelBytes;
    const piece = buffer.subarray(0, Math.min(buffer.length, total - at));
    await fill(reader, piece, at, total, options);
    if (!header.littleEndian) swapBytes(piece, componentBytes[layout.type]);
    convert(componentsOf(layout.type, piece), target, voxel, layout, header);
  }
}

async function fill(
  reader: ByteReader,
  piece: Uint8Array,
  at: number,
  total: number,
  options: ReadOptions,
): Promise<void> {
  options.signal?.throwIfAborted();
  const length = await reader.read(piece);
  if (length < piece.length) throw cutShort(reader.path, total, at + length);
  options.onProgress?.({ done: at + length, total, what: 'bytes' });
}

function volumeBytes(header: NiftiHeader, layout: Layout): number {
  return voxelCount(header.shape) * layout.voxelBytes;
}

/** The wanted volume's number. Throws InvalidArgument where there are several and none was chosen. */
function volumeIndex(path: string, header: NiftiHeader, index: number | undefined): number {
  const volumes = seriesLength(header);
  if (index === undefined && volumes === 1) return 0;
  if (index !== undefined && Number.isInteger(index) && index >= 0 && index < volumes) return index;
  const axes = [...header.shape, ...header.series].join(' x ');
  throw new InvalidArgument('index', `0 to ${volumes - 1}, for ${path} is ${axes}`, index);
}

function seriesLength(header: NiftiHeader): number {
  return header.series.reduce((a, b) => a * b, 1);
}

function tooSmall({ path, fileBytes }: ByteReader, needed: number): UnreadableFile {
  return new UnreadableFile(
    path,
    `${needed} bytes up to the last voxel`,
    `a file of ${fileBytes}, which cannot hold them`,
  );
}

function cutShort(path: string, expected: number, received: number): UnreadableFile {
  return new UnreadableFile(path, `${expected} bytes of voxels`, `a file that ends after ${received}`);
}

/** V8's words for a length that no array can have, however much memory there is. */
const tooLong = /invalid (typed )?array length/i;

/** Allocates, or says in our words that the machine cannot. */
function reserve<T>(path: string, bytes: number, allocate: () => T): T {
  try {
    return allocate();
  } catch (cause) {
    if (!tooLong.test(String(cause))) throw new NoMemory(path, bytes, { cause });
    const found = `${bytes} bytes of voxels`;
    throw new UnreadableFile(path, 'no more voxels than one array of Node holds', found, { cause });
  }
}
