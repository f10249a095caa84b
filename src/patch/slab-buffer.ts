import type { AddPlane, BlendLoops } from './add-plane';
import { BlendThread, QUEUE } from './blend-thread';
import { growTo, type SimdLoops, simdLoops } from './simd';

/** A plane of a patch that is added to a plane of a slab. Lengths and offsets are in values. */
export interface WeightedPlane {
  readonly patch: Float32Array;
  /** The first value to read and how far its rows are apart. */
  readonly from: number;
  readonly fromRow: number;
  /** The first value of the slab to add to and how far its rows are apart. */
  readonly to: number;
  readonly toRow: number;
  /** What to add: `rows` rows of `width` values. */
  readonly rows: number;
  readonly width: number;
  /** The weights of the patch along x and y by its place, and the first of them to use. */
  readonly placeX: number;
  readonly firstX: number;
  readonly placeY: number;
  readonly firstY: number;
  readonly weightZ: number;
  /** The plane of the volume. */
  readonly z: number;
}

/** A slab while patches are added to it. */
export interface SlabBuffer {
  add(plane: WeightedPlane): void;
  /** The values so far; good until another slab is opened. */
  values(): Float32Array;
  /** Gives the memory to the next slab that is opened. */
  close(): void;
}

/** Weights of every patch along x, each repeated for every channel, and along y. */
export interface PlaneWeights {
  readonly x: readonly Float32Array[];
  readonly y: readonly Float32Array[];
}

/** Opens slabs of zeros; all have at most `most` values. */
export class SlabBuffers {
  private readonly simd: SimdBuffers | undefined;

  /**
   * @param planeValues number of values of the largest plane that is added
   * @param threads how many threads add, the caller's included; 0 for plain JavaScript
   */
  constructor(
    private readonly weights: PlaneWeights,
    planeValues: number,
    most: number,
    threads: number,
  ) {
    this.simd = threads > 0 ? SimdBuffers.create(weights, planeValues, most, threads) : undefined;
  }

  open(values: number): SlabBuffer {
    return this.simd?.open(values) ?? new PlainSlab(this.weights, values);
  }

  /** Ends the threads. */
  end(): void {
    this.simd?.end();
  }
}

/** The plain way: for slabs that WebAssembly's 4 GiB cannot hold, and what the fast one is tested against. */
class PlainSlab implements SlabBuffer {
  private readonly slab: Float32Array;

  constructor(
    private readonly weights: PlaneWeights,
    values: number,
  ) {
    this.slab = new Float32Array(values);
  }

  add(plane: WeightedPlane): void {
    const { patch, fromRow, toRow, rows, width, firstX, firstY, weightZ } = plane;
    const { slab } = this;
    const wx = this.weights.x[plane.placeX]!;
    const wy = this.weights.y[plane.placeY]!;
    for (let y = 0; y < rows; y++) {
      const scalar = weightZ * wy[firstY + y]!;
      const from = plane.from + y * fromRow;
      const to = plane.to + y * toRow;
      for (let x = 0; x < width; x++) slab[to + x]! += scalar * wx[firstX + x]! * patch[from + x]!;
    }
  }

  values(): Float32Array {
    return this.slab;
  }

  close(): void {}
}

/** One WebAssembly memory: weights, places for planes of patches, slots for slabs. */
class SimdBuffers {
  private readonly free: number[] = [];
  private slots = 0;
  private floats: Float32Array;

  private constructor(
    private readonly simd: SimdLoops<BlendLoops>,
    private readonly threads: readonly BlendThread[],
    private readonly layout: Layout,
  ) {
    this.floats = new Float32Array(simd.memory.buffer);
  }

  static create(
    weights: PlaneWeights,
    planeValues: number,
    most: number,
    threads: number,
  ): SimdBuffers | undefined {
    const layout = layOut(weights, planeValues, most, threads);
    const simd = simdLoops<BlendLoops>('patch', layout.firstSlot);
    if (!simd) return undefined;
    const floats = new Float32Array(simd.memory.buffer);
    weights.x.forEach((w, i) => void floats.set(w, layout.weightsX[i]! / 4));
    weights.y.forEach((w, i) => void floats.set(w, layout.weightsY[i]! / 4));
    const started = Array.from({ length: threads - 1 }, () => new BlendThread(simd.module, simd.memory));
    return new SimdBuffers(simd, started, layout);
  }

  open(values: number): SlabBuffer | undefined {
    const { firstSlot, slotBytes } = this.layout;
    const { memory } = this.simd;
    const used = this.free.pop();
    const slot = used ?? this.slots;
    const address = firstSlot + slot * slotBytes;
    if (used === undefined) {
      if (!growTo(memory, address + slotBytes)) return undefined;
      this.slots++;
      if (this.floats.buffer !== memory.buffer) this.floats = new Float32Array(memory.buffer);
    } else {
      this.floats.fill(0, address / 4, address / 4 + values);
    }
    return {
      add: (plane) => this.add(address, plane),
      values: () => {
        for (const thread of this.threads) thread.finish();
        return new Float32Array(memory.buffer, address, values);
      },
      close: () => void this.free.push(slot),
    };
  }

  end(): void {
    for (const thread of this.threads) thread.end();
  }

  private add(slab: number, plane: WeightedPlane): void {
    const { weightsX, weightsY, places } = this.layout;
    const { patch, from, fromRow, toRow, rows, width, weightZ } = plane;
    // Always the same thread for a plane of the volume, so that no two add to it at once and the order stays.
    const number = this.threads.length > 0 ? plane.z % this.threads.length : 0;
    const thread = this.threads[number];
    const place = places[number]![thread?.place() ?? 0]!;
    // The rows as they lie, with what is between them: one copy is faster than one for each row.
    this.floats.set(patch.subarray(from, from + (rows - 1) * fromRow + width), place / 4);
    const call: AddPlane = [
      slab + 4 * plane.to,
      toRow,
      place,
      fromRow,
      rows,
      width,
      weightsX[plane.placeX]! + 4 * plane.firstX,
      weightsY[plane.placeY]! + 4 * plane.firstY,
      weightZ,
    ];
    if (thread) thread.send(call);
    else this.simd.loops.addPlane(...call);
  }
}

/** Byte addresses in the memory. */
interface Layout {
  /** By the place of the patch. */
  readonly weightsX: readonly number[];
  readonly weightsY: readonly number[];
  /** Where a plane of a patch waits to be added, by thread. */
  readonly places: readonly (readonly number[])[];
  readonly firstSlot: number;
  readonly slotBytes: number;
}

function layOut(weights: PlaneWeights, planeValues: number, most: number, threads: number): Layout {
  let end = 0;
  const room = (values: number): number => {
    const address = end;
    end = aligned(end + 4 * values);
    return address;
  };
  const waiting = (): number[] => Array.from({ length: threads > 1 ? QUEUE : 1 }, () => room(planeValues));
  return {
    weightsX: weights.x.map((w) => room(w.length)),
    weightsY: weights.y.map((w) => room(w.length)),
    places: Array.from({ length: Math.max(1, threads - 1) }, waiting),
    firstSlot: end,
    slotBytes: aligned(4 * most),
  };
}

function aligned(bytes: number): number {
  return Math.ceil(bytes / 64) * 64;
}
