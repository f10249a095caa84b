/**
 * Direct 3D convolution on rows along w. One call computes every row of an output lattice from input rows that
 * already carry their border along w; tables made by the caller say, for every output position along d and h, which
 * input rows it takes (or -1) and with which class of weights. Forward and input-gradient, plain and transposed, are
 * the same walk with other tables.
 *
 * Weights are packed [classD, classH, classW, block, slotD, slotH, run, lanes]: for one pair of rows the taps along
 * w and the input channels are one contiguous run, as they are in the input row.
 */

import { dot1, dot4, tile1x4, tile1x8, tile4x8, tile8x4 } from './tiles';

/** The description of a walk, as 32-bit integers at `walk`; the caller writes them in this order. */
const N: usize = 0;
const D: usize = 4; // positions of the output lattice along d and h
const H: usize = 8;
const X_D: usize = 12; // rows of the input
const X_H: usize = 16;
const X_ROW: usize = 20; // bytes
const Y_D: usize = 24;
const Y_H: usize = 28;
const Y_ROW: usize = 32;
const SLOTS_D: usize = 36;
const SLOTS_H: usize = 40;
const CLASSES_H: usize = 44;
const CLASSES_W: usize = 48;
const CHANNELS: usize = 52; // of the output
const LANES: usize = 56; // 8, 4 or 1
const SLOT: usize = 60; // bytes of one packed run
const X_STEP: usize = 64; // bytes between the inputs of two neighbouring outputs of a class
const Y_STEP: usize = 68; // bytes between two neighbouring outputs of a class
const FOLD: usize = 72; // 1: sum the border of the lattice's rows into the voxels that it repeats; 2: drop it
const FOLD_BEFORE: usize = 76; // voxels
const FOLD_WIDTH: usize = 80; // voxels of a row of y
const FOLD_PADDED: usize = 84; // voxels of a row of the lattice
const W_CLASSES: usize = 88; // for each class along w: outputs, run, first byte in x, first byte in y

/**
 * @param tableD for each position: target row, class, then an input row or -1 for each slot
 * @param tableH likewise
 * @param bias one for each channel, up to whole lanes
 * @param scratch room for a row of the lattice, then for two words for each pair of slots
 */
export function convolve(
  walk: usize,
  tableD: usize,
  tableH: usize,
  x: usize,
  weights: usize,
  bias: usize,
  y: usize,
  row: usize,
  pairs: usize,
): void {
  const slotsD = load<i32>(walk, SLOTS_D);
  const slotsH = load<i32>(walk, SLOTS_H);
  const slot = load<i32>(walk, SLOT);
  const lanes = load<i32>(walk, LANES);
  const channels = load<i32>(walk, CHANNELS);
  const blocks = (channels + lanes - 1) / lanes;
  const blockBytes = slotsD * slotsH * slot;
  const classesW = load<i32>(walk, CLASSES_W);
  const fold = load<i32>(walk, FOLD);
  const strideD = (2 + slotsD) << 2;
  const strideH = (2 + slotsH) << 2;
  for (let n = 0, samples = load<i32>(walk, N); n < samples; n++) {
    for (let d = 0, depth = load<i32>(walk, D); d < depth; d++) {
      const atD = tableD + d * strideD;
      for (let h = 0, height = load<i32>(walk, H); h < height; h++) {
        const atH = tableH + h * strideH;
        const count = listPairs(walk, n, atD, atH, x, pairs);
        const plane = n * load<i32>(walk, Y_D) + load<i32>(atD);
        const yRow = y + <usize>(plane * load<i32>(walk, Y_H) + load<i32>(atH)) * load<u32>(walk, Y_ROW);
        const target = fold ? row : yRow;
        const plain = load<i32>(atD, 4) * load<i32>(walk, CLASSES_H) + load<i32>(atH, 4);
        for (let c = 0; c < classesW; c++) {
          const w = weights + (plain * classesW + c) * blocks * blockBytes;
          const class_ = walk + W_CLASSES + (c << 4);
          for (let block = 0; block < blocks; block++) {
            const first = block * lanes;
            rowOf(
              walk,
              class_,
              lanes,
              min(lanes, channels - first),
              pairs,
              count,
              w + block * blockBytes,
              bias + (first << 2),
              target + (first << 2),
            );
          }
        }
        if (fold) foldRow(walk, row, yRow);
      }
    }
  }
}

/** Lists [input row, offset of its weights] for every pair of slots that has one. */
function listPairs(walk: usize, n: i32, atD: usize, atH: usize, x: usize, pairs: usize): i32 {
  const slotsD = load<i32>(walk, SLOTS_D);
  const slotsH = load<i32>(walk, SLOTS_H);
  let count = 0;
  for (let a = 0; a < slotsD; a++) {
    const d = load<i32>(atD + (a << 2), 8);
    if (d < 0) continue;
    for (let b = 0; b < slotsH; b++) {
      const h = load<i32>(atH + (b << 2), 8);
      if (h < 0) continue;
      const line = (n * load<i32>(walk, X_D) + d) * load<i32>(walk, X_H) + h;
      const pair = pairs + (count << 3);
      store<usize>(pair, x + <usize>line * load<u32>(walk, X_ROW));
      store<i32>(pair, (a * slotsH + b) * load<i32>(walk, SLOT), 4);
      count++;
    }
  }
  return count;
}

/** One block of channels of one class of one row. The last tile overlaps the one before it, writing the same. */
function rowOf(
  walk: usize,
  class_: usize,
  lanes: i32,
  valid: i32,
  pairs: usize,
  count: i32,
  w: usize,
  bias: usize,
  y: usize,
): void {
  const outputs = load<i32>(class_);
  const run = load<i32>(class_, 4);
  const x = load<u32>(class_, 8);
  const out = y + load<u32>(class_, 12);
  const xStep = load<u32>(walk, X_STEP);
  const yStep = load<u32>(walk, Y_STEP);
  const tile = lanes == 4 ? 8 : 4;
  if (outputs < tile) {
    for (let i = 0; i < outputs; i++) {
      if (lanes == 1) dot1(pairs, count, w, x + i * xStep, run, bias, out + i * yStep);
      else if (lanes == 4) tile1x4(pairs, count, w, x + i * xStep, run, bias, out + i * yStep, valid);
      else tile1x8(pairs, count, w, x + i * xStep, run, bias, out + i * yStep, valid);
    }
    return;
  }
  for (let i = 0; i < outputs; i += tile) {
    const at = min(i, outputs - tile);
    const from = x + at * xStep;
    const to = out + at * yStep;
    if (lanes == 8) tile4x8(pairs, count, w, from, xStep, run, bias, to, yStep, valid);
    else if (lanes == 4) tile8x4(pairs, count, w, from, xStep, run, bias, to, yStep, valid);
    else dot4(pairs, count, w, from, xStep, run, bias, to, yStep);
  }
}

/** Adds a row of the padded lattice to a row of y, its border to the voxels at the ends. */
function foldRow(walk: usize, row: usize, y: usize): void {
  const voxel = load<i32>(walk, CHANNELS) << 2;
  const before = load<i32>(walk, FOLD_BEFORE);
  const width = load<i32>(walk, FOLD_WIDTH);
  const padded = load<i32>(walk, FOLD_PADDED);
  addTo(y, row + before * voxel, width * voxel);
  if (load<i32>(walk, FOLD) == 2) return;
  for (let i = 0; i < before; i++) addTo(y, row + i * voxel, voxel);
  const last = y + (width - 1) * voxel;
  for (let i = before + width; i < padded; i++) addTo(last, row + i * voxel, voxel);
}

function addTo(y: usize, x: usize, bytes: i32): void {
  let i = 0;
  for (; i + 16 <= bytes; i += 16) v128.store(y + i, f32x4.add(v128.load(y + i), v128.load(x + i)));
  for (; i < bytes; i += 4) store<f32>(y + i, load<f32>(y + i) + load<f32>(x + i));
}
