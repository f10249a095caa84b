import { SimdThreads } from '../memory/simd-threads';
import { VoxelMemory } from '../memory/voxel-memory';
import { type BufferPlan, plainSlab, type SlabBuffers, type WeightedPlane } from './slab-buffer';

/** How many planes may wait in the places that memory has for them. */
const PLACES = 16;

/** The arguments of `addPlane` in simd/index.ts. Addresses and `clearBytes` are in bytes, rows and width in values. */
type AddPlane = readonly [
  slab: number,
  slabRow: number,
  patch: number,
  patchRow: number,
  rows: number,
  width: number,
  weightsX: number,
  weightsY: number,
  weightZ: number,
  clear: number,
  clearBytes: number,
];

/** Memory for values of patches. */
interface Place {
  readonly address: number;
  readonly values: Float32Array;
  /** The last call that reads it, -1 for none. */
  sent: number;
}

/**
 * Slabs in one WebAssembly memory, with the weights, places for planes of patches and rooms for whole patches. Undefined
 * if the memory is too small.
 */
export function simdBuffers(plan: BufferPlan): SlabBuffers | undefined {
  const { weights, plane, patch, patchPlane, largestSlab } = plan;
  const memory = plan.memory ?? new VoxelMemory();
  const held: { readonly address: number; readonly bytes: number }[] = [];
  const allocate = (values: number): number | undefined => {
    const address = memory.allocate(4 * values);
    if (address !== undefined) held.push({ address, bytes: 4 * values });
    return address;
  };
  const release = () => held.forEach(({ address, bytes }) => void memory.release(address, bytes));
  const placed = (values: number): Place | undefined => {
    const address = allocate(values);
    return address === undefined ? undefined : { address, values: memory.view(address, values), sent: -1 };
  };
  const copied = (list: Float32Array): Place | undefined => {
    const place = placed(list.length);
    place?.values.set(list);
    return place;
  };
  const several = (count: number, values: number) => Array.from({ length: count }, () => placed(values));

  // With threads, one room is written while the other is read.
  const [placeCount, roomCount] = plan.threads > 1 ? [PLACES, 2] : [1, 1];
  const [weightsX, weightsY] = [weights.x.map(copied), weights.y.map(copied)];
  const places = several(placeCount, patchPlane);
  const rooms = several(plan.rooms ? roomCount : 0, patch);
  if ([...weightsX, ...weightsY, ...places, ...rooms].includes(undefined)) {
    release();
    return undefined;
  }
  let [nextPlace, nextRoom] = [0, 0];
  const threads = new SimdThreads('patch', memory, ['addPlane'], plan.threads);

  /** Copies a plane into the memory. */
  const stage = ({ patch, from, fromRow, rows, width }: WeightedPlane): Place => {
    const place = places[nextPlace++ % places.length]!;
    threads.finish(place.sent);
    // Copies the gaps between the rows too: one copy is faster than one for each row.
    place.values.set(patch.subarray(from, from + (rows - 1) * fromRow + width));
    return place;
  };
  /** Adds to a slab after the call `after`. The first call on a plane clears it. Returns the call's number. */
  const add = (slab: number, part: WeightedPlane, after: number): number => {
    const room = rooms.find((place) => place!.values === part.patch);
    const source = room ?? stage(part);
    const isFirst = after < 0;
    const call: AddPlane = [
      slab + 4 * part.to,
      part.toRow,
      source.address + (room ? 4 * part.from : 0),
      part.fromRow,
      part.rows,
      part.width,
      weightsX[part.placeX]!.address + 4 * part.firstX,
      weightsY[part.placeY]!.address + 4 * part.firstY,
      part.weightZ,
      isFirst ? slab + 4 * plane * Math.floor(part.to / plane) : 0,
      isFirst ? 4 * plane : 0,
    ];
    source.sent = threads.send(0, call, after);
    return source.sent;
  };
  const free: number[] = [];
  return {
    open: (values) => {
      const address = free.pop() ?? allocate(largestSlab);
      if (address === undefined) return plainSlab(plan, values);
      // The last call on each plane, which the next one waits for. A plane's first patch clears it even if the memory is
      // new: reading a new page before writing to it makes the machine map the page twice.
      const last = new Int32Array(values / plane).fill(-1);
      return {
        add: (part) => {
          const at = Math.floor(part.to / plane);
          last[at] = add(address, part, last[at]!);
        },
        values: () => {
          threads.finish();
          return memory.view(address, values);
        },
        close: () => void free.push(address),
      };
    },
    room: () => {
      const room = rooms[nextRoom++ % rooms.length]!;
      threads.finish(room.sent);
      return room.values;
    },
    end: () => {
      threads.end();
      release();
    },
  };
}
