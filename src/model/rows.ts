import type { Random } from '../random';
import type { RowRange } from './quantisers/quantiser';

/**
 * Draws `count` rows of the global batch without replacement and returns [count * width] with those that this rank
 * holds and zeros for the rest, so that the sum over ranks is the drawn rows. `random` must be equal on all ranks.
 *
 * Where the batch has fewer rows than are drawn, rows repeat with a little noise, so that no two are equal
 * (standard deviation 0.01 / sqrt(width), as in VideoGPT).
 */
export function drawRows(
  rows: Float32Array,
  width: number,
  count: number,
  { offset, total }: RowRange,
  random: Random,
): Float32Array {
  const owned = rows.length / width;
  const noise = 0.01 / Math.sqrt(width);
  const drawn = new Float32Array(count * width);
  let moved = new Map<number, number>();
  for (let i = 0; i < count; i++) {
    const pass = i % total;
    if (pass === 0) moved = new Map();
    // Fisher-Yates of which only the touched positions are stored: the batch may have a million rows.
    const pick = pass + random.below(total - pass);
    const row = (moved.get(pick) ?? pick) - offset;
    moved.set(pick, moved.get(pass) ?? pass);
    const repeats = i >= total;
    for (let c = 0; c < width; c++) {
      const jitter = repeats ? noise * random.normal() : 0;
      if (row >= 0 && row < owned) drawn[i * width + c] = rows[row * width + c]! + jitter;
    }
  }
  return drawn;
}

/** How many latents chose each code, and their sums, in doubles so that any split over ranks rounds almost alike. */
export function sumsByCode(
  latents: Float32Array,
  codes: ArrayLike<number>,
  count: number,
  width: number,
): { counts: Float32Array; sums: Float32Array } {
  const counts = new Float32Array(count);
  const sums = new Float64Array(count * width);
  addByCode(latents, codes, counts, sums);
  return { counts, sums: new Float32Array(sums) };
}

/** A function of its own: in a longer one V8 leaves a compiled loop for the interpreter at code it has not run before. */
function addByCode(
  latents: Float32Array,
  codes: ArrayLike<number>,
  counts: Float32Array,
  sums: Float64Array,
): void {
  const width = sums.length / counts.length;
  for (let row = 0; row < codes.length; row++) {
    const code = codes[row]!;
    counts[code]!++;
    for (let c = 0; c < width; c++) sums[code * width + c]! += latents[row * width + c]!;
  }
}

/** Scales every row to length 1, in place; a row of zeros stays. */
export function toUnitRows(rows: Float32Array, width: number): void {
  for (let start = 0; start < rows.length; start += width) {
    let square = 0;
    for (let i = start; i < start + width; i++) square += rows[i]! * rows[i]!;
    const length = Math.sqrt(square) || 1;
    for (let i = start; i < start + width; i++) rows[i] = rows[i]! / length;
  }
}
