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
  /** An array for the next patch, which is added from there without a copy. Later calls may return it again. */
  room(): Float32Array;
  /** Ends the threads and gives the memory back. */
  end(): void;
}

/** What all slabs of a blend have in common. Sizes are in values. */
export interface BufferPlan {
  /** Weights of every patch along x, each repeated for every channel, and along y. */
  readonly weights: { readonly x: readonly Float32Array[]; readonly y: readonly Float32Array[] };
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
  readonly memory: VoxelMemory | undefined;
}

/** Slabs in plain JavaScript: the reference for the fast ones. */
export function plainBuffers(plan: BufferPlan): SlabBuffers {
  let room: Float32Array | undefined;
  return {
    open: (values) => plainSlab(plan, values),
    room: () => (room ??= new Float32Array(plan.patch)),
    end: () => {},
  };
}

/** A slab outside WebAssembly's memory, which holds 4 GiB at most. */
export function plainSlab({ weights }: BufferPlan, values: number): SlabBuffer {
  const slab = new Float32Array(values);
  return {
    add: (plane) => {
      const { patch, fromRow, toRow, rows, width, firstX, firstY, weightZ } = plane;
      const [wx, wy] = [weights.x[plane.placeX]!, weights.y[plane.placeY]!];
      for (let y = 0; y < rows; y++) {
        const scalar = weightZ * wy[firstY + y]!;
        const from = plane.from + y * fromRow;
        const to = plane.to + y * toRow;
        for (let x = 0; x < width; x++) slab[to + x]! += scalar * wx[firstX + x]! * patch[from + x]!;
      }
    },
    values: () => slab,
    close: () => {},
  };
}
