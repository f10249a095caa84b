import { availableParallelism } from 'node:os';
import { SimdThreads } from '../memory/simd-threads';
import { memoryOf, VoxelMemory } from '../memory/voxel-memory';

/** The function of simd/errors.ts; addresses are in bytes, the sums are those of `Sums`, in its order. */
interface ErrorLoops {
  sumErrors(a: number, b: number, n: number, sums: number): void;
}

/** Sums over all values, and the greatest absolute error. */
export interface Sums {
  readonly absolute: number;
  readonly squared: number;
  readonly greatest: number;
}

/** Room for three float64 values. */
const SUMS_BYTES = 24;
/** Values of a piece: small enough that both arrays' pieces stay in a core's second-level cache. */
const PIECE = 2 ** 15;
/** Values that a thread takes at a time; with fewer, waking a second thread costs more than it saves. */
const SHARE = 2 ** 18;
const MOST_THREADS = 4;

/**
 * Errors of two arrays of equal length; the sums are right to about 1e-7. Several threads read arrays in one
 * `VoxelMemory` where they lie. Other arrays are copied piece by piece into WebAssembly's memory, by one thread.
 */
export function errorSums(reference: Float32Array, candidate: Float32Array): Sums {
  const memory = memoryOf(reference);
  if (memory && memory === memoryOf(candidate)) return sumsInMemory(reference, candidate, memory);
  return sumsOfPieces(reference, candidate);
}

function sumsInMemory(reference: Float32Array, candidate: Float32Array, memory: VoxelMemory): Sums {
  const shares = Math.ceil(reference.length / SHARE);
  const address = memory.allocate(shares * SUMS_BYTES);
  if (address === undefined) return sumsOfPieces(reference, candidate);
  try {
    const sums = new Float64Array(memory.shared.buffer, address, 3 * shares).fill(0);
    const threads = shares > 1 ? threadsOn(memory) : undefined;
    for (let share = 0; share < shares; share++) {
      const first = share * SHARE;
      const call = [
        reference.byteOffset + 4 * first,
        candidate.byteOffset + 4 * first,
        Math.min(SHARE, reference.length - first),
        address + share * SUMS_BYTES,
      ] as const;
      if (threads) threads.send(0, call);
      else memory.loops<ErrorLoops>('fidelity').sumErrors(...call);
    }
    threads?.finish();
    return total(sums);
  } finally {
    memory.release(address, shares * SUMS_BYTES);
  }
}

function total(sums: Float64Array): Sums {
  let [absolute, squared, greatest] = [0, 0, 0];
  for (let at = 0; at < sums.length; at += 3) {
    absolute += sums[at]!;
    squared += sums[at + 1]!;
    greatest = Math.max(greatest, sums[at + 2]!);
  }
  return { absolute, squared, greatest };
}

/** The threads of a memory wait for the next call and end when the memory is collected. */
const threadsOf = new WeakMap<VoxelMemory, SimdThreads>();
const ended = new FinalizationRegistry<SimdThreads>((threads) => threads.end());

function threadsOn(memory: VoxelMemory): SimdThreads {
  let threads = threadsOf.get(memory);
  if (!threads) {
    const count = Math.min(MOST_THREADS, availableParallelism());
    threads = new SimdThreads('fidelity', memory, ['sumErrors'], count);
    threadsOf.set(memory, threads);
    ended.register(memory, threads);
  }
  return threads;
}

interface Pieces {
  readonly reference: Float32Array; // [PIECE]
  readonly candidate: Float32Array; // [PIECE]
  readonly sums: Float64Array; // [3]
  readonly loops: ErrorLoops;
}

let pieces: Pieces | undefined;

function sumsOfPieces(reference: Float32Array, candidate: Float32Array): Sums {
  pieces ??= makePieces();
  const { sums, loops } = pieces;
  sums.fill(0);
  for (let at = 0; at < reference.length; at += PIECE) {
    const piece = reference.subarray(at, at + PIECE);
    pieces.reference.set(piece);
    pieces.candidate.set(candidate.subarray(at, at + PIECE));
    loops.sumErrors(pieces.reference.byteOffset, pieces.candidate.byteOffset, piece.length, sums.byteOffset);
  }
  return total(sums);
}

function makePieces(): Pieces {
  const memory = new VoxelMemory();
  const [reference, candidate] = [memory.floats(PIECE), memory.floats(PIECE)];
  const sums = memory.floats(8);
  return {
    reference,
    candidate,
    sums: new Float64Array(sums.buffer, sums.byteOffset, 3),
    loops: memory.loops('fidelity'),
  };
}
