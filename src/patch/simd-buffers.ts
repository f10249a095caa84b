import { SimdThreads } from '../memory/simd-threads';
import { VoxelMemory } from '../memory/voxel-memory';
import type { AddPlane } from './loops';
import {
  type BufferPlan,
  PlainSlab,
  type SlabBuffer,
  type SlabBuffers,
  type WeightedPlane,
} from './slab-buffer';

/** How many planes may wait in the places that memory has for them. */
const PLACES = 16;

/** Slabs in one WebAssembly memory, with the weights, places for planes of patches and rooms for whole patches. */
export class SimdBuffers implements SlabBuffers {
  private readonly free: number[] = [];
  private readonly slabs: number[] = [];
  private readonly rooms: readonly Float32Array[];
  /** The last plane that was sent from each room and each place, -1 for none. */
  private readonly sentFromRoom: number[];
  private readonly sentFromPlace: number[];
  private nextRoom = 0;
  private nextPlace = 0;

  private constructor(
    private readonly memory: VoxelMemory,
    private readonly threads: SimdThreads,
    private readonly layout: Layout,
    private readonly plan: BufferPlan,
  ) {
    this.rooms = layout.rooms.map((address) => memory.view(address, plan.patch));
    this.sentFromRoom = layout.rooms.map(() => -1);
    this.sentFromPlace = layout.places.map(() => -1);
    plan.weights.x.forEach((w, i) => void memory.view(layout.weightsX[i]!, w.length).set(w));
    plan.weights.y.forEach((w, i) => void memory.view(layout.weightsY[i]!, w.length).set(w));
  }

  /** Undefined if the memory is too small. */
  static create(plan: BufferPlan): SimdBuffers | undefined {
    const memory = plan.memory ?? new VoxelMemory();
    const layout = layOut(plan, memory);
    if (!layout) return undefined;
    return new SimdBuffers(
      memory,
      new SimdThreads('patch', memory, ['addPlane'], plan.threads),
      layout,
      plan,
    );
  }

  open(values: number): SlabBuffer {
    const { plane, weights } = this.plan;
    const address = this.free.pop() ?? this.newSlab();
    if (address === undefined) return new PlainSlab(weights, values);
    // The last call on each plane, which the next one waits for. A plane's first patch clears it even if the memory is
    // new: reading a new page before writing to it makes the machine map the page twice.
    const last = new Int32Array(values / plane).fill(-1);
    return {
      add: (part) => {
        const at = Math.floor(part.to / plane);
        const stale = last[at]! < 0 ? address + 4 * at * plane : undefined;
        last[at] = this.add(address, part, stale, last[at]!);
      },
      values: () => {
        this.threads.finish();
        return this.memory.view(address, values);
      },
      close: () => void this.free.push(address),
    };
  }

  room(): Float32Array {
    const room = this.nextRoom++ % this.rooms.length;
    this.threads.finish(this.sentFromRoom[room]!);
    return this.rooms[room]!;
  }

  /** Ends the threads and gives the memory back. */
  end(): void {
    this.threads.end();
    this.memory.release(this.layout.address, this.layout.bytes);
    for (const address of this.slabs) this.memory.release(address, 4 * this.plan.largestSlab);
  }

  private newSlab(): number | undefined {
    const address = this.memory.allocate(4 * this.plan.largestSlab);
    if (address !== undefined) this.slabs.push(address);
    return address;
  }

  /**
   * Adds to a slab and gives the call's number. `stale` is the address of the plane if it must be cleared first, `after`
   * the call that must be done first.
   */
  private add(slab: number, plane: WeightedPlane, stale: number | undefined, after: number): number {
    const { toRow, fromRow, rows, width, weightZ } = plane;
    const room = this.rooms.indexOf(plane.patch);
    const place = room < 0 ? this.nextPlace++ % this.layout.places.length : -1;
    const call: AddPlane = [
      slab + 4 * plane.to,
      toRow,
      room < 0 ? this.stage(plane, place) : this.layout.rooms[room]! + 4 * plane.from,
      fromRow,
      rows,
      width,
      this.layout.weightsX[plane.placeX]! + 4 * plane.firstX,
      this.layout.weightsY[plane.placeY]! + 4 * plane.firstY,
      weightZ,
      stale ?? 0,
      stale === undefined ? 0 : 4 * this.plan.plane,
    ];
    const number = this.threads.send(0, call, after);
    if (room < 0) this.sentFromPlace[place] = number;
    else this.sentFromRoom[room] = number;
    return number;
  }

  /** Copies a plane into the memory and gives its address. */
  private stage({ patch, from, fromRow, rows, width }: WeightedPlane, place: number): number {
    this.threads.finish(this.sentFromPlace[place]!);
    const address = this.layout.places[place]!;
    // The rows with what lies between them: one copy is faster than one for each row.
    const values = patch.subarray(from, from + (rows - 1) * fromRow + width);
    this.memory.view(address, values.length).set(values);
    return address;
  }
}

/** Byte addresses in the memory. */
interface Layout {
  readonly address: number;
  readonly bytes: number;
  /** By the place of the patch. */
  readonly weightsX: readonly number[];
  readonly weightsY: readonly number[];
  /** Where planes of patches wait to be added. */
  readonly places: readonly number[];
  /** Two if there are threads, so that one is written while the other is read. */
  readonly rooms: readonly number[];
}

function layOut(
  { weights, patchPlane, patch, threads, rooms }: BufferPlan,
  memory: VoxelMemory,
): Layout | undefined {
  let bytes = 0;
  const next = (values: number): number => {
    const offset = bytes;
    bytes += Math.ceil((4 * values) / 64) * 64;
    return offset;
  };
  const several = (count: number, values: number) => Array.from({ length: count }, () => next(values));
  const offsets = {
    weightsX: weights.x.map((w) => next(w.length)),
    weightsY: weights.y.map((w) => next(w.length)),
    places: several(threads > 1 ? PLACES : 1, patchPlane),
    rooms: several(!rooms ? 0 : threads > 1 ? 2 : 1, patch),
  };
  const address = memory.allocate(bytes);
  if (address === undefined) return undefined;
  const placed = (list: readonly number[]) => list.map((offset) => address + offset);
  return {
    address,
    bytes,
    weightsX: placed(offsets.weightsX),
    weightsY: placed(offsets.weightsY),
    places: placed(offsets.places),
    rooms: placed(offsets.rooms),
  };
}
