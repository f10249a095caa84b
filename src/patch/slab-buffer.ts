import type { VoxelMemory } from '../memory/voxel-memory';
import { SimdBuffers } from './simd-buffers';

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

/** What all slabs of a blend have in common. Sizes are in values. */
export interface BufferPlan {
  readonly weights: PlaneWeights;
  readonly patchPlane: number;
  /** A plane of the volume. */
  readonly plane: number;
  readonly patch: number;
  readonly largestSlab: number;
  /** How many threads add, the caller's included; 0 for plain JavaScript. */
  readonly threads: number;
  /** Whether patches are written into `room`. */
  readonly rooms: boolean;
  /** Where to blend; a memory of its own where it is left out. */
  readonly memory?: VoxelMemory;
}

/** Opens slabs of zeros. */
export class SlabBuffers {
  private readonly simd: SimdBuffers | undefined;
  private plainRoom: Float32Array | undefined;

  constructor(private readonly plan: BufferPlan) {
    this.simd = plan.threads > 0 ? SimdBuffers.create(plan) : undefined;
  }

  open(values: number): SlabBuffer {
    return this.simd?.open(values) ?? new PlainSlab(this.plan.weights, values);
  }

  /**
   * An array to write a patch into, from which it is added without a copy. It may be one given before: what was in it
   * then has been added.
   */
  room(): Float32Array {
    if (this.simd) return this.simd.room();
    this.plainRoom ??= new Float32Array(this.plan.patch);
    return this.plainRoom;
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
