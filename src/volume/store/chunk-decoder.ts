import { instantiate, PAGE, simdModule } from '../../memory/simd';
import { eachAxis, type Vec3, voxelCount } from '../../vec3';
import { componentBytes, componentsOf, type VoxelArray } from '../base/datatypes';
import { checksumBytes, checksumOf } from '../crc32c';
import { blosc, type ImageRecord } from './format';

/** The exports of simd/index.ts. */
interface Loops {
  readonly memory: { readonly buffer: ArrayBuffer; grow(pages: number): number };
  heap(): number;
  crc32c(from: number, length: number): number;
  decode(from: number, length: number, to: number, size: number, scratch: number): number;
  placeInt16(
    from: number,
    fromRow: number,
    fromPlane: number,
    to: number,
    toRow: number,
    toPlane: number,
    width: number,
    height: number,
    depth: number,
    slope: number,
    intercept: number,
  ): void;
}

/** Room behind each buffer: the loops write whole vectors, past the last byte. */
const slack = 128;

/** A box of voxels: its first voxel and its size. */
export interface Box {
  readonly start: Vec3;
  readonly size: Vec3;
}

/** The format of an image's chunks. */
type ChunkLayout = Pick<ImageRecord, 'chunk' | 'type' | 'slope' | 'intercept'>;

/**
 * Fills a box with scaled values from chunks. Our SIMD loops decode LZ4 chunks seven times faster than numcodecs' plain
 * WebAssembly. numcodecs decodes everything else, such as zstd. The box lies in WebAssembly's memory, which is reused:
 * fresh memory would cost more time than the decoding.
 */
export class ChunkDecoder {
  private readonly loops = instantiate<Loops>(simdModule('volume'));
  private layout: ChunkLayout = { chunk: [1, 1, 1], type: 'int16', slope: 1, intercept: 0 };
  private box: Box = { start: [0, 0, 0], size: [1, 1, 1] };
  // Addresses in the memory: voxels of a chunk, scratch space of `decode`, values of the box.
  private chunkBytes = 0;
  private voxels = 0;
  private scratch = 0;
  private values = 0;

  /** Starts a box of an image. Voxels that no chunk covers keep the values of the previous box. */
  begin(layout: ChunkLayout, box: Box): void {
    this.layout = layout;
    this.box = box;
    this.chunkBytes = voxelCount(layout.chunk) * componentBytes(layout.type);
    this.voxels = align(this.loops.heap());
    this.scratch = align(this.voxels + this.chunkBytes + slack);
    this.values = align(this.scratch + 2 * (this.chunkBytes + slack));
    this.reserve(0);
  }

  /** The values of the box, [z * y * x], x fastest; valid until the next call. */
  finish(): Float32Array {
    return new Float32Array(this.loops.memory.buffer, this.values, voxelCount(this.box.size));
  }

  /** Copies the part of a chunk that lies in the box. Undefined is a chunk of zeros. Throws if the chunk is not blosc. */
  async add(bytes: Uint8Array | undefined, at: Vec3): Promise<void> {
    const { chunk, slope, intercept } = this.layout;
    const { start, size } = this.box;
    const voxels = bytes && (await this.decode(bytes));
    const first = eachAxis((axis) => Math.max(0, start[axis] - at[axis]));
    const part = eachAxis((axis) => Math.min(chunk[axis], start[axis] + size[axis] - at[axis]) - first[axis]);
    const from = (first[2] * chunk[1] + first[1]) * chunk[0] + first[0];
    const place = eachAxis((axis) => at[axis] + first[axis] - start[axis]);
    const to = (place[2] * size[1] + place[1]) * size[0] + place[0];
    const rows = [chunk[0], chunk[0] * chunk[1], size[0], size[0] * size[1]] as const;
    if (voxels instanceof Int16Array) {
      const [source, target] = [this.voxels + 2 * from, this.values + 4 * to];
      this.loops.placeInt16(source, rows[0], rows[1], target, rows[2], rows[3], ...part, slope, intercept);
      return;
    }
    const values = this.finish();
    const doubles = voxels && new Float64Array(voxels);
    for (let z = 0; z < part[2]; z++)
      for (let y = 0; y < part[1]; y++) {
        const target = to + z * rows[3] + y * rows[2];
        const source = from + z * rows[1] + y * rows[0];
        if (!doubles) values.fill(intercept, target, target + part[0]);
        else for (let x = 0; x < part[0]; x++) values[target + x] = doubles[source + x]! * slope + intercept;
      }
  }

  /** Decodes a chunk to `this.voxels` in the memory. */
  private async decode(bytes: Uint8Array): Promise<VoxelArray> {
    const { loops, voxels, chunkBytes, scratch } = this;
    const from = this.reserve(bytes.length);
    new Uint8Array(loops.memory.buffer).set(bytes, from);
    const length = bytes.length - checksumBytes;
    // Checked first: C-blosc may crash on damaged bytes, and LZ4 does not notice damage.
    if (length < 0 || loops.crc32c(from, length) >>> 0 !== checksumOf(bytes))
      throw new Error('its checksum is wrong');
    if (loops.decode(from, length, voxels, chunkBytes, scratch) !== chunkBytes) {
      const decoded = await (await blosc(this.layout.type)).decode(bytes.subarray(0, length));
      if (decoded.length !== chunkBytes)
        throw new Error(`${decoded.length} bytes where a chunk has ${chunkBytes}`);
      new Uint8Array(loops.memory.buffer).set(decoded, voxels);
    }
    const memory = new Uint8Array(loops.memory.buffer, voxels, chunkBytes);
    return componentsOf(this.layout.type, memory) as VoxelArray;
  }

  /** Grows the memory for the box and `bytes` behind it. Returns the address of those bytes. */
  private reserve(bytes: number): number {
    const { memory } = this.loops;
    const at = align(this.values + 4 * voxelCount(this.box.size) + slack);
    const missing = Math.ceil((at + bytes + slack - memory.buffer.byteLength) / PAGE);
    if (missing > 0) memory.grow(missing);
    return at;
  }
}

/** Typed arrays in WebAssembly's memory need an aligned start. */
function align(address: number): number {
  return Math.ceil(address / 64) * 64;
}
