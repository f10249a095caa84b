import { InvalidArgument } from '../errors';
import { instantiate, newMemory, PAGE, type SimdMemory, type SimdPart, simdModule } from './simd';

/** Addresses are multiples of a cache line, and 0 is none. */
const LINE = 64;

/** The memory of each buffer. A memory has a new buffer each time it grows; the old ones stay valid. */
const owners = new WeakMap<object, VoxelMemory>();

/**
 * Memory that all threads and the WebAssembly loops reach without a copy, up to 4 GiB. Volumes that lie in one are cut
 * into patches, blended and compared faster than those in arrays of their own: `readVolume(path, { memory })`.
 * It is freed as a whole when nothing refers to it or to its arrays.
 */
export class VoxelMemory {
  readonly shared: SimdMemory;
  private end = LINE;
  /** Nobody has used the memory from here on, so it is zero. */
  private untouched = LINE;
  private readonly free: { address: number; bytes: number }[] = [];
  private readonly instances = new Map<SimdPart, unknown>();

  /** @throws InvalidArgument if the machine has no memory for it */
  constructor() {
    const shared = newMemory(LINE);
    if (!shared) throw new InvalidArgument('memory', 'room for another shared memory', 'none');
    this.shared = shared;
    owners.set(shared.buffer, this);
  }

  /**
   * A new array of zeros that stays as long as the memory.
   * @throws InvalidArgument if the memory has no room for it
   */
  floats(length: number): Float32Array {
    const { untouched } = this;
    const address = Number.isSafeInteger(length) && length >= 0 ? this.allocate(4 * length) : undefined;
    if (address === undefined)
      throw new InvalidArgument('length', 'an array that fits into the rest of 4 GiB', length);
    const array = this.view(address, length);
    return address < untouched ? array.fill(0) : array;
  }

  /** The address of this many bytes, not cleared; undefined if there is no room. */
  allocate(bytes: number): number | undefined {
    const wanted = aligned(bytes);
    const place = this.free.findIndex((gap) => gap.bytes >= wanted);
    if (place >= 0) {
      const gap = this.free[place]!;
      if (gap.bytes === wanted) this.free.splice(place, 1);
      else this.free[place] = { address: gap.address + wanted, bytes: gap.bytes - wanted };
      return gap.address;
    }
    const address = this.end;
    const missing = Math.ceil((address + wanted - this.shared.buffer.byteLength) / PAGE);
    try {
      if (missing > 0) this.shared.grow(missing);
    } catch {
      return undefined;
    }
    owners.set(this.shared.buffer, this);
    this.end += wanted;
    this.untouched = Math.max(this.untouched, this.end);
    return address;
  }

  /** Frees the bytes of an `allocate`. */
  release(address: number, bytes: number): void {
    const gap = { address, bytes: aligned(bytes) };
    const before = this.free.findIndex((other) => other.address + other.bytes === gap.address);
    if (before >= 0) {
      const [other] = this.free.splice(before, 1);
      gap.address = other!.address;
      gap.bytes += other!.bytes;
    }
    const after = this.free.findIndex((other) => other.address === gap.address + gap.bytes);
    if (after >= 0) gap.bytes += this.free.splice(after, 1)[0]!.bytes;
    if (gap.address + gap.bytes === this.end) this.end = gap.address;
    else this.free.push(gap);
  }

  /** `length` float32 values from an address on. */
  view(address: number, length: number): Float32Array {
    return new Float32Array(this.shared.buffer, address, length);
  }

  /** The loops of a part on this memory. */
  loops<Loops>(part: SimdPart): Loops {
    if (!this.instances.has(part)) this.instances.set(part, instantiate(simdModule(part), this.shared));
    return this.instances.get(part) as Loops;
  }
}

/** The memory that an array lies in, if any; its `byteOffset` is its address there. */
export function memoryOf(array: { readonly buffer: ArrayBufferLike }): VoxelMemory | undefined {
  return owners.get(array.buffer);
}

function aligned(bytes: number): number {
  return Math.max(LINE, Math.ceil(bytes / LINE) * LINE);
}
