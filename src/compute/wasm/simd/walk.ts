/**
 * A convolution on rows along w, which carry their border. Tables made by the caller say for every position along d and h
 * which input rows it takes (or -1) and with which class of weights. Forward and input gradient, plain and transposed,
 * are the same walk with other tables; so is the weight gradient, which sums products instead of taking weights.
 * `padRows` gives rows their border.
 */

/** A walk, as 32-bit integers in the order that the caller writes them in. */
@unmanaged
export class Walk {
  samples: i32;
  depth: i32; // positions along d and h
  height: i32;
  slotsD: i32;
  slotsH: i32;
  tableD: usize; // for each position: target row, class, then an input row or -1 for each slot
  tableH: usize;
  pairs: usize; // room for two words for each pair of slots
  count: i32; // pairs that are listed; not the caller's
  lattice: i32; // positions of a row
  x: usize; // the input, whose rows the slots choose
  xDepth: i32;
  xHeight: i32;
  xRow: i32; // bytes
  xStep: i32; // bytes between the inputs of two neighbouring positions of a row, of one class
  y: usize; // the target: the output, or for the weight gradient the tensor that the slots do not move over
  yDepth: i32;
  yHeight: i32;
  yRow: i32; // bytes
  yStep: i32; // bytes between two neighbouring positions of a row, of one class
  channels: i32; // of the target; for the weight gradient in whole lanes
  lanes: i32; // channels that are computed together: 8, 4 or 1
  weights: usize; // packed weights, or the sums of the weight gradient
  slot: i32; // bytes of one pair of slots there
  run: i32; // inputs along a row that one position takes, for the weight gradient
}

/** Lists [input row, offset of its weights] for every pair of slots of a position that has one. */
export function listPairs(k: Walk, n: i32, d: i32, h: i32): void {
  const atD = lineOf(k.tableD, k.slotsD, d);
  const atH = lineOf(k.tableH, k.slotsH, h);
  let pair = k.pairs;
  for (let a = 0; a < k.slotsD; a++) {
    const xD = load<i32>(atD + (a << 2), 8);
    if (xD < 0) continue;
    for (let b = 0; b < k.slotsH; b++) {
      const xH = load<i32>(atH + (b << 2), 8);
      if (xH < 0) continue;
      store<usize>(pair, k.x + <usize>((n * k.xDepth + xD) * k.xHeight + xH) * k.xRow);
      store<i32>(pair, (a * k.slotsH + b) * k.slot, 4);
      pair += 8;
    }
  }
  k.count = <i32>(pair - k.pairs) >> 3;
}

/** The row of y that a position belongs to. */
export function targetRow(k: Walk, n: i32, d: i32, h: i32): usize {
  const plane = n * k.yDepth + load<i32>(lineOf(k.tableD, k.slotsD, d));
  return k.y + <usize>(plane * k.yHeight + load<i32>(lineOf(k.tableH, k.slotsH, h))) * k.yRow;
}

/** A position's line of a table. */
@inline
export function lineOf(table: usize, slots: i32, position: i32): usize {
  return table + ((position * (2 + slots)) << 2);
}

/**
 * Copies `rows` rows of `width` voxels with `before` and `after` voxels added: copies of the end voxels where
 * `replicate`, else zeros.
 */
export function padRows(
  x: usize,
  y: usize,
  rows: i32,
  width: i32,
  voxelBytes: i32,
  before: i32,
  after: i32,
  replicate: i32,
): void {
  const bytes = width * voxelBytes;
  for (let row = 0; row < rows; row++) {
    const last = x + bytes - voxelBytes;
    for (let i = 0; i < before; i++, y += voxelBytes) border(y, x, voxelBytes, replicate);
    memory.copy(y, x, bytes);
    y += bytes;
    for (let i = 0; i < after; i++, y += voxelBytes) border(y, last, voxelBytes, replicate);
    x += bytes;
  }
}

function border(y: usize, x: usize, bytes: i32, replicate: i32): void {
  for (let i = 0; i < bytes; i += 4) store<f32>(y + i, replicate ? load<f32>(x + i) : 0);
}
