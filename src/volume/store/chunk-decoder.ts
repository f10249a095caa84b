import { readFileSync } from 'node:fs';
import { compiledFile } from '../../package';
import { checksumBytes, checksumOf } from '../crc32c';
import { componentBytes, componentsOf, type StoredType, type VoxelArray } from '../datatypes';
import { type Vec3, voxelCount } from '../vec3';
import { blosc } from './blosc';

/** Node has them, TypeScript declares them for browsers only. */
declare const WebAssembly: {
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object, imports: object) => { readonly exports: unknown };
};

/** simd/index.ts, compiled. */
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

const pageBytes = 65536;
/** Whole vectors are written where a few bytes were wanted. */
const slack = 128;

/** A box of voxels, along each axis from `start` on. */
export interface Box {
  readonly start: Vec3;
  readonly size: Vec3;
}

/** How chunks of an image are made. */
export interface ChunkLayout {
  readonly chunk: Vec3;
  readonly type: StoredType;
  readonly slope: number;
  readonly intercept: number;
}

/**
 * Puts a box of scaled values together from chunks. 16-bit chunks go through our own SIMD loops,
 * which decompress seven times as fast as numcodecs' plain WebAssembly; what they do not know of blosc, such as zstd,
 * goes through numcodecs. The box lies in WebAssembly's memory, used again and again, for fresh memory
 * costs more than what is done in it.
 */
export class ChunkDecoder {
  private readonly loops: Loops;
  private layout: ChunkLayout = { chunk: [1, 1, 1], type: 'int16', slope: 1, intercept: 0 };
  private box: Box = { start: [0, 0, 0], size: [1, 1, 1] };
  // Addresses in the memory, of what `decode` fills and needs and of the box.
  private chunkBytes = 0;
  private voxels = 0;
  private scratch = 0;
  private values = 0;

  constructor() {
    compiled ??= new WebAssembly.Module(readFileSync(compiledFile('src', 'volume', 'simd', 'blosc.wasm')));
    this.loops = new WebAssembly.Instance(compiled, {}).exports as Loops;
  }

  /** Starts a box of an image. What no chunk fills keeps the values of the box before. */
  begin(layout: ChunkLayout, box: Box): void {
    this.layout = layout;
    this.box = box;
    this.chunkBytes = voxelCount(layout.chunk) * componentBytes[layout.type];
    this.voxels = align(this.loops.heap());
    this.scratch = align(this.voxels + this.chunkBytes + slack);
    this.values = align(this.scratch + 2 * (this.chunkBytes + slack));
    this.reserve(0);
  }

  /** The values of the box, [z * y * x], x fastest; valid until the next call. */
  finish(): Float32Array {
    return new Float32Array(this.loops.memory.buffer, this.values, voxelCount(this.box.size));
  }

  /** Puts the part of a chunk into the box that lies in it. Undefined stands for a chunk of zeros. Rejects for no blosc. */
  async add(bytes: Uint8Array | undefined, at: Vec3): Promise<void> {
    const { chunk, slope, intercept } = this.layout;
    const { start, size } = this.box;
    const voxels = bytes && (await this.decode(bytes));
    const first = perAxis((axis) => Math.max(0, start[axis] - at[axis]));
    const part = perAxis((axis) => Math.min(chunk[axis], start[axis] + size[axis] - at[axis]) - first[axis]);
    const from = (first[2] * chunk[1] + first[1]) * chunk[0] + first[0];
    const place = perAxis((axis) => at[axis] + first[axis] - start[axis]);
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
        else scale(doubles, source, values, target, part[0], slope, intercept);
      }
  }

  /** A chunk's voxels, at `this.voxels` in the memory. */
  private async decode(bytes: Uint8Array): Promise<VoxelArray> {
    const { loops, voxels, chunkBytes, scratch } = this;
    const from = this.reserve(bytes.length);
    new Uint8Array(loops.memory.buffer).set(bytes, from);
    const length = bytes.length - checksumBytes;
    // Before anything is made of it: C-blosc does not withstand what is damaged, and LZ4 would not notice.
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

  /** Room for the box and, behind it, some bytes; where those go. */
  private reserve(bytes: number): number {
    const { memory } = this.loops;
    const at = align(this.values + 4 * voxelCount(this.box.size) + slack);
    const missing = Math.ceil((at + bytes + slack - memory.buffer.byteLength) / pageBytes);
    if (missing > 0) memory.grow(missing);
    return at;
  }
}

let compiled: object | undefined;

/** Views on WebAssembly's memory start at multiples of their voxels. */
function align(address: number): number {
  return Math.ceil(address / 64) * 64;
}

function scale(
  source: Float64Array,
  from: number,
  target: Float32Array,
  to: number,
  width: number,
  slope: number,
  intercept: number,
): void {
  for (let x = 0; x < width; x++) target[to + x] = source[from + x]! * slope + intercept;
}

function perAxis(value: (axis: 0 | 1 | 2) => number): [number, number, number] {
  return [value(0), value(1), value(2)];
}
