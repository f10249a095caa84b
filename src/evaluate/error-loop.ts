import { simdLoops } from '../patch/simd';

/** The function of simd/index.ts; addresses are in bytes. */
interface ErrorLoops {
  sumErrors(a: number, b: number, n: number, sums: number): void;
}

/** Few enough values that a piece of both arrays stays in a core's second cache on its way. */
const PIECE = 2 ** 15;
const SUMS = 2 * 4 * PIECE;

interface ErrorLoop {
  readonly reference: Float32Array; // [PIECE]
  readonly candidate: Float32Array; // [PIECE]
  readonly sums: Float64Array; // [absolute, squared]
  readonly loops: ErrorLoops;
}

let made: ErrorLoop | undefined;

/** Sums of absolute and of squared errors of two arrays of equal length, right to about 1e-7. */
export function errorSums(
  reference: Float32Array,
  candidate: Float32Array,
): { readonly absolute: number; readonly squared: number } {
  made ??= make();
  const { sums, loops } = made;
  sums.fill(0);
  for (let at = 0; at < reference.length; at += PIECE) {
    const piece = reference.subarray(at, at + PIECE);
    made.reference.set(piece);
    made.candidate.set(candidate.subarray(at, at + PIECE));
    loops.sumErrors(0, 4 * PIECE, piece.length, SUMS);
  }
  return { absolute: sums[0]!, squared: sums[1]! };
}

function make(): ErrorLoop {
  const { memory, loops } = simdLoops<ErrorLoops>('evaluate', SUMS + 16)!;
  return {
    reference: new Float32Array(memory.buffer, 0, PIECE),
    candidate: new Float32Array(memory.buffer, 4 * PIECE, PIECE),
    sums: new Float64Array(memory.buffer, SUMS, 2),
    loops,
  };
}
