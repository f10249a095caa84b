import * as tf from '@tensorflow/tfjs-core';
import { gatherCodes } from '../compute/ops/ops';
import type { Random } from '../random';
import type { RowRange } from './quantisers/quantiser';

/**
 * Draws `count` rows of the global batch without replacement and returns [count * width] with those that this rank
 * holds and zeros for the rest, so that the sum over ranks is the drawn rows. `random` must be equal on all ranks.
 *
 * Where the batch has fewer rows than are drawn, rows repeat with a little noise, so that no two are equal
 * (standard deviation 0.01 / sqrt(width), as in VideoGPT).
 *
 * @param rows [m, width], of which only those that are drawn come to JavaScript
 */
export function drawRows(
  rows: tf.Tensor2D,
  count: number,
  { offset, total }: RowRange,
  random: Random,
): Float32Array {
  const [owned, width] = rows.shape;
  const noise = 0.01 / Math.sqrt(width);
  const places = new Int32Array(count).fill(-1);
  const jitters = new Float64Array(count * width);
  let moved = new Map<number, number>();
  for (let i = 0; i < count; i++) {
    const pass = i % total;
    if (pass === 0) moved = new Map();
    // Fisher-Yates of which only the touched positions are stored: the batch may have a million rows.
    const pick = pass + random.below(total - pass);
    const row = (moved.get(pick) ?? pick) - offset;
    moved.set(pick, moved.get(pass) ?? pass);
    if (row >= 0 && row < owned) places[i] = row;
    if (i >= total) for (let c = 0; c < width; c++) jitters[i * width + c] = noise * random.normal();
  }
  const owns = places.map((row) => Math.max(row, 0));
  const taken = tf.tidy(() => gatherCodes(rows, tf.tensor1d(owns, 'int32')));
  const read = taken.dataSync<'float32'>();
  taken.dispose();
  return Float32Array.from(jitters, (jitter, i) =>
    places[Math.floor(i / width)]! < 0 ? 0 : read[i]! + jitter,
  );
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
