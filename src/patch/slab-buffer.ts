import type { VoxelMemory } from '../memory/voxel-memory';

/** A plane of a patch to add to a plane of a slab. Lengths and offsets are in values. */
export interface WeightedPlane {
  readonly patch: Float32Array;
  /** The first value to read and the distance of its rows. */
  readonly from: number;
  readonly fromRow: number;
  /** The first value of the slab to add to and the distance of its rows. */
  readonly to: number;
  readonly toRow: number;
  /** Rows to add, and values of each. */
  readonly rows: number;
  readonly width: number;
  /** The patch's place along x and y, which chooses its weights, and the first of them to use. */
  readonly placeX: number;
  readonly firstX: number;
  readonly placeY: number;
  readonly firstY: number;
  readonly weightZ: number;
}

/** A slab while patches are added to it. */
export interface SlabBuffer {
  add(plane: WeightedPlane): void;
  /** The values so far; valid until the next slab is opened. */
  values(): Float32Array;
  /** Gives the memory to the next slab that is opened. */
  close(): void;
}

/** Opens slabs of zeros. */
export interface SlabBuffers {
  open(values: number): SlabBuffer;
  /** An array for the next patch, which is added from there without a copy. What an earlier call gave may return. */
  room(): Float32Array;
  /** Ends the threads. */
  end(): void;
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
  /** Where to blend; default: a memory of its own. */
  readonly memory?: VoxelMemory;
}

/** Slabs in plain JavaScript: the reference for the fast ones. */
export class PlainBuffers implements SlabBuffers {
  private nextPatch: Float32Array | undefined;

  constructor(private readonly plan: BufferPlan) {}

  open(values: number): SlabBuffer {
    return new PlainSlab(this.plan.weights, values);
  }

  room(): Float32Array {
    this.nextPatch ??= new Float32Array(this.plan.patch);
    return this.nextPatch;
  }

  end(): void {}
}

/** A slab outside WebAssembly's memory, which holds 4 GiB at most. */
export class PlainSlab implements SlabBuffer {
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
