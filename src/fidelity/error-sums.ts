import { availableParallelism } from 'node:os';
import { SimdThreads } from '../memory/simd-threads';
import { memoryOf, VoxelMemory } from '../memory/voxel-memory';
import type { VoxelSource } from '../patch/extract';
import { countUnknown, expectRange, expectSameLength, type RangeOption } from './pair';

/**
 * Errors between a reference and a candidate, summed piece by piece (a slab, a patch), so that the volumes need not fit
 * in memory. Sums of float32 values are right to about 1e-7, all others to double precision.
 */
export class ErrorSums {
  private absolute = 0;
  private squared = 0;
  private most = 0;
  private values = 0;

  /** Adds the errors of two arrays of the same places. */
  add(reference: VoxelSource, candidate: VoxelSource): this {
    expectSameLength(reference, candidate);
    const bothFloat = reference instanceof Float32Array && candidate instanceof Float32Array;
    const [absolute, squared, greatest] = bothFloat
      ? errorSums(reference, candidate)
      : plainErrorSums(reference, candidate);
    this.absolute += absolute;
    this.squared += squared;
    this.most = Math.max(this.most, greatest);
    this.values += reference.length;
    return this;
  }

  get count(): number {
    return this.values;
  }

  /** NaN before the first value. */
  get mae(): number {
    return this.absolute / this.values;
  }

  get mse(): number {
    return this.squared / this.values;
  }

  get rmse(): number {
    return Math.sqrt(this.mse);
  }

  /** The greatest absolute error; NaN where any error is. */
  get greatest(): number {
    return Number.isNaN(this.mae) ? Number.NaN : this.most;
  }

  /** In dB; Infinity for equal data. */
  psnr({ dataRange }: RangeOption): number {
    return psnrOfMse(this.mse, { dataRange });
  }
}

/** Peak signal-to-noise ratio in dB of a mean squared error. */
export function psnrOfMse(mse: number, { dataRange }: RangeOption): number {
  return 10 * Math.log10(expectRange(dataRange) ** 2 / mse);
}

/**
 * Peak signal-to-noise ratio in dB, Infinity for equal data, as scikit-image's `peak_signal_noise_ratio`.
 *
 * ```ts
 * const ct = await pw.readVolume('ct.nii.gz');
 * const half = pw.resampleVolume(pw.resampleVolume(ct, [32, 32, 24]), ct.shape);
 * console.log(pw.psnr(ct.data, half.data, { dataRange: 2000 }), 'dB');
 * ```
 */
export function psnr(reference: VoxelSource, candidate: VoxelSource, options: RangeOption): number {
  return new ErrorSums().add(reference, candidate).psnr(options);
}

/** Mean absolute error in the data's own units: Hounsfield units for a volume as read. */
export function mae(reference: VoxelSource, candidate: VoxelSource): number {
  return new ErrorSums().add(reference, candidate).mae;
}

/** Root mean squared error in the data's own units: Hounsfield units for a volume as read. */
export function rmse(reference: VoxelSource, candidate: VoxelSource): number {
  return new ErrorSums().add(reference, candidate).rmse;
}

/**
 * The errors where the reference has a value. A voxel that is NaN in the reference (background after resampling, for
 * example) has no truth to compare with, so it counts in no measure. A NaN of the candidate does count: a model must
 * give a value everywhere.
 */
export function knownErrors(reference: Float32Array, candidate: Float32Array): ErrorSums {
  const unknown = countUnknown(reference);
  if (unknown === reference.length) return new ErrorSums();
  if (unknown === 0) return new ErrorSums().add(reference, candidate);
  const has = (_: number, i: number) => !Number.isNaN(reference[i]!);
  return new ErrorSums().add(reference.filter(has), candidate.filter(has));
}

/** Sums arrays of the types that the fast loop does not take. */
function plainErrorSums(reference: VoxelSource, candidate: VoxelSource): Sums {
  let [absolute, squared, greatest] = [0, 0, 0];
  for (let i = 0; i < reference.length; i++) {
    const error = candidate[i]! - reference[i]!;
    absolute += Math.abs(error);
    squared += error * error;
    if (Math.abs(error) > greatest) greatest = Math.abs(error);
  }
  return [absolute, squared, greatest];
}

/** The function of simd/errors.ts: addresses in bytes; the sums are `Sums`. */
interface ErrorLoops {
  sumErrors(a: number, b: number, n: number, sums: number): void;
}

/** Over all values, in the order of simd/errors.ts. */
type Sums = readonly [absolute: number, squared: number, greatest: number];

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
function errorSums(reference: Float32Array, candidate: Float32Array): Sums {
  const memory = memoryOf(reference);
  const sums = memory && memory === memoryOf(candidate) && sumsInMemory(reference, candidate, memory);
  return sums || sumsOfPieces(reference, candidate);
}

/** Undefined if the memory has no room for the sums. */
function sumsInMemory(a: Float32Array, b: Float32Array, memory: VoxelMemory): Sums | undefined {
  const shares = Math.ceil(a.length / SHARE);
  const address = memory.allocate(shares * SUMS_BYTES);
  if (address === undefined) return undefined;
  try {
    const sums = new Float64Array(memory.shared.buffer, address, 3 * shares).fill(0);
    const { sumErrors } = memory.loops<ErrorLoops>('fidelity');
    const threads = shares > 1 ? threadsOn(memory) : undefined;
    for (let share = 0; share < shares; share++) {
      const first = share * SHARE;
      const call = [
        a.byteOffset + 4 * first,
        b.byteOffset + 4 * first,
        Math.min(SHARE, a.length - first),
        address + share * SUMS_BYTES,
      ] as const;
      if (threads) threads.send(0, call);
      else sumErrors(...call);
    }
    threads?.finish();
    return total(sums);
  } finally {
    memory.release(address, shares * SUMS_BYTES);
  }
}

/** The sums of shares, three numbers each. */
function total(sums: Float64Array): Sums {
  let [absolute, squared, greatest] = [0, 0, 0];
  for (let at = 0; at < sums.length; at += 3) {
    absolute += sums[at]!;
    squared += sums[at + 1]!;
    greatest = Math.max(greatest, sums[at + 2]!);
  }
  return [absolute, squared, greatest];
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

/** Room for a piece of the reference, one of the candidate, and their sums. */
function makePieces() {
  const memory = new VoxelMemory();
  const [a, b] = [memory.floats(PIECE), memory.floats(PIECE)];
  // After the others: the memory has a new buffer when it grows.
  const address = memory.allocate(SUMS_BYTES);
  const sums = new Float64Array(memory.shared.buffer, address, 3);
  return { a, b, sums, sumErrors: memory.loops<ErrorLoops>('fidelity').sumErrors };
}

let pieces: ReturnType<typeof makePieces> | undefined;

function sumsOfPieces(reference: Float32Array, candidate: Float32Array): Sums {
  pieces ??= makePieces();
  const { a, b, sums, sumErrors } = pieces;
  sums.fill(0);
  for (let at = 0; at < reference.length; at += PIECE) {
    const piece = reference.subarray(at, at + PIECE);
    a.set(piece);
    b.set(candidate.subarray(at, at + PIECE));
    sumErrors(a.byteOffset, b.byteOffset, piece.length, sums.byteOffset);
  }
  return total(sums);
}
