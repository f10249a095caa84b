import type { AddPlane, BlendLoops } from './add-plane';
import { BlendThread, PLACES } from './blend-thread';
import { growTo, type SimdLoops, simdLoops } from './simd';
import type { BufferPlan, SlabBuffer, WeightedPlane } from './slab-buffer';

/** One WebAssembly memory: weights, places for planes of patches, rooms for whole ones, slots for slabs. */
export class SimdBuffers {
  private readonly free: number[] = [];
  private slots = 0;
  private floats: Float32Array;
  private readonly rooms: readonly Float32Array[];
  /** How many planes each thread had been sent when a room was last read from, [room][thread]. */
  private readonly sentFrom: readonly number[][];
  private nextRoom = 0;

  private constructor(
    private readonly simd: SimdLoops<BlendLoops>,
    private readonly threads: readonly BlendThread[],
    private readonly layout: Layout,
    private readonly plan: BufferPlan,
  ) {
    const { buffer } = simd.memory;
    this.floats = new Float32Array(buffer);
    this.rooms = layout.rooms.map((address) => new Float32Array(buffer, address, plan.patch));
    this.sentFrom = layout.rooms.map(() => threads.map(() => 0));
    plan.weights.x.forEach((w, i) => void this.floats.set(w, layout.weightsX[i]! / 4));
    plan.weights.y.forEach((w, i) => void this.floats.set(w, layout.weightsY[i]! / 4));
  }

  /** Undefined where memory does not suffice. */
  static create(plan: BufferPlan): SimdBuffers | undefined {
    const layout = layOut(plan);
    const simd = simdLoops<BlendLoops>('patch', layout.firstSlot);
    if (!simd) return undefined;
    const threads = Array.from({ length: plan.threads - 1 }, () => new BlendThread(simd.module, simd.memory));
    return new SimdBuffers(simd, threads, layout, plan);
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
    }
    // Each plane is cleared by its first patch, whether its slot was used before or is new: reading a new page before
    // it is written to would have the machine map it twice.
    const stale = new Uint8Array(values / this.plan.plane).fill(1);
    return {
      add: (plane) => {
        const place = Math.floor(plane.to / this.plan.plane);
        this.add(address, plane, stale[place] ? address + 4 * place * this.plan.plane : undefined);
        stale[place] = 0;
      },
      values: () => {
        for (const thread of this.threads) thread.finish();
        return new Float32Array(memory.buffer, address, values);
      },
      close: () => void this.free.push(slot),
    };
  }

  room(): Float32Array {
    const room = this.nextRoom++ % this.rooms.length;
    this.threads.forEach((thread, i) => void thread.finish(this.sentFrom[room]![i]));
    return this.rooms[room]!;
  }

  end(): void {
    for (const thread of this.threads) thread.end();
  }

  /** Adds to a slab; `stale` is the address of the plane where it must be cleared before. */
  private add(slab: number, plane: WeightedPlane, stale: number | undefined): void {
    const { toRow, fromRow, rows, width, weightZ } = plane;
    // Always the same thread for a plane of the volume, so that no two add to it at once and the order stays.
    const number = this.threads.length > 0 ? plane.z % this.threads.length : 0;
    const thread = this.threads[number];
    const room = this.rooms.indexOf(plane.patch);
    const call: AddPlane = [
      slab + 4 * plane.to,
      toRow,
      room < 0 ? this.stage(plane, number) : this.layout.rooms[room]! + 4 * plane.from,
      fromRow,
      rows,
      width,
      this.layout.weightsX[plane.placeX]! + 4 * plane.firstX,
      this.layout.weightsY[plane.placeY]! + 4 * plane.firstY,
      weightZ,
      stale ?? 0,
      stale === undefined ? 0 : 4 * this.plan.plane,
    ];
    if (thread) thread.send(call);
    else this.simd.loops.addPlane(...call);
    if (thread && room >= 0) this.sentFrom[room]![number] = thread.count;
  }

  /** Copies a plane into the memory and gives its address. */
  private stage({ patch, from, fromRow, rows, width }: WeightedPlane, thread: number): number {
    const place = this.threads[thread]?.place() ?? 0;
    const address = this.layout.places[thread]![place]!;
    // The rows as they lie, with what is between them: one copy is faster than one for each row.
    this.floats.set(patch.subarray(from, from + (rows - 1) * fromRow + width), address / 4);
    return address;
  }
}

/** Byte addresses in the memory. */
interface Layout {
  /** By the place of the patch. */
  readonly weightsX: readonly number[];
  readonly weightsY: readonly number[];
  /** Where a plane of a patch waits to be added, by thread. */
  readonly places: readonly (readonly number[])[];
  /** Two with threads, so that one can be written while the other is read. */
  readonly rooms: readonly number[];
  readonly firstSlot: number;
  readonly slotBytes: number;
}

function layOut({ weights, patchPlane, patch, largestSlab, threads, rooms }: BufferPlan): Layout {
  let end = 0;
  const next = (values: number): number => {
    const address = end;
    end = aligned(end + 4 * values);
    return address;
  };
  const several = (count: number, values: number) => Array.from({ length: count }, () => next(values));
  return {
    weightsX: weights.x.map((w) => next(w.length)),
    weightsY: weights.y.map((w) => next(w.length)),
    places: Array.from({ length: Math.max(1, threads - 1) }, () =>
      several(threads > 1 ? PLACES : 1, patchPlane),
    ),
    rooms: several(!rooms ? 0 : threads > 1 ? 2 : 1, patch),
    firstSlot: end,
    slotBytes: aligned(4 * largestSlab),
  };
}

/** Rounded up to whole cache lines. */
function aligned(bytes: number): number {
  return Math.ceil(bytes / 64) * 64;
}
