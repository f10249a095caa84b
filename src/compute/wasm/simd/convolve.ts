/**
 * Direct 3D convolution: one call computes every row of an output lattice. Weights are packed [classD, classH, classW,
 * block, slotD, slotH, run, lanes]: for one pair of rows the taps along w and the input channels are one contiguous run,
 * as they are in the input row.
 */
import { dot1, dot4, tile1, tile4x8, tile8x4 } from './tiles';
import { lineOf, listPairs, targetRow, Walk } from './walk';

/** A walk that computes rows of y. */
@unmanaged
class Convolution extends Walk {
  bias: usize; // one for each channel, up to whole lanes
  row: usize; // room for a row of the lattice
  classesH: i32;
  fold: i32; // 1: sum the border of the lattice's rows into the voxels that it repeats; 2: drop it
  foldBefore: i32; // voxels
  foldWidth: i32; // voxels of a row of y
  classes: i32; // along w; they follow
}

/** Which positions of a row share their taps. */
@unmanaged
class RowClass {
  outputs: i32;
  run: i32;
  x: i32; // first byte
  y: i32; // first byte
}

export function convolve(k: Convolution): void {
  const blocks = (k.channels + k.lanes - 1) / k.lanes;
  const blockBytes = k.slotsD * k.slotsH * k.slot;
  for (let n = 0; n < k.samples; n++) {
    for (let d = 0; d < k.depth; d++) {
      const classD = load<i32>(lineOf(k.tableD, k.slotsD, d), 4);
      for (let h = 0; h < k.height; h++) {
        listPairs(k, n, d, h);
        const y = targetRow(k, n, d, h);
        const plane = classD * k.classesH + load<i32>(lineOf(k.tableH, k.slotsH, h), 4);
        for (let c = 0; c < k.classes; c++) {
          const weights = k.weights + (plane * k.classes + c) * blocks * blockBytes;
          for (let b = 0; b < blocks; b++) rowOf(k, c, b * k.lanes, weights + b * blockBytes, k.fold ? k.row : y);
        }
        if (k.fold) foldRow(k, y);
      }
    }
  }
}

/** The channels from `first` on of one class of one row. The last tile overlaps the one before it and writes the same. */
function rowOf(k: Convolution, c: i32, first: i32, w: usize, y: usize): void {
  const class_ = changetype<RowClass>(changetype<usize>(k) + offsetof<Convolution>() + c * offsetof<RowClass>());
  const outputs = class_.outputs;
  const run = class_.run;
  const x = class_.x;
  const out = y + class_.y + (first << 2);
  const lanes = k.lanes;
  const bias = k.bias + (first << 2);
  const valid = min(lanes, k.channels - first);
  const xStep = k.xStep;
  const yStep = k.yStep;
  const pairs = k.pairs;
  const end = pairs + (k.count << 3);
  const tile = lanes == 4 ? 8 : 4;
  if (outputs < tile) {
    for (let i = 0; i < outputs; i++) {
      const from = x + i * xStep;
      const to = out + i * yStep;
      if (lanes == 8) tile1(pairs, end, w, from, run, bias, to, valid, true);
      else if (lanes == 4) tile1(pairs, end, w, from, run, bias, to, valid, false);
      else dot1(pairs, end, w, from, run, bias, to);
    }
    return;
  }
  for (let i = 0; i < outputs; i += tile) {
    const at = min(i, outputs - tile);
    const from = x + at * xStep;
    const to = out + at * yStep;
    if (lanes == 8) tile4x8(pairs, end, w, from, xStep, run, bias, to, yStep, valid);
    else if (lanes == 4) tile8x4(pairs, end, w, from, xStep, run, bias, to, yStep, valid);
    else dot4(pairs, end, w, from, xStep, run, bias, to, yStep);
  }
}

/** Adds a row of the padded lattice to a row of y, its border to the voxels at the ends. */
function foldRow(k: Convolution, y: usize): void {
  const voxel = k.channels << 2;
  const width = k.foldWidth;
  const before = k.foldBefore;
  addRow(y, k.row + before * voxel, width * voxel);
  if (k.fold == 2) return;
  for (let i = 0; i < before; i++) addRow(y, k.row + i * voxel, voxel);
  const last = y + (width - 1) * voxel;
  for (let i = before + width; i < k.lattice; i++) addRow(last, k.row + i * voxel, voxel);
}

function addRow(y: usize, x: usize, bytes: i32): void {
  let i = 0;
  for (; i + 16 <= bytes; i += 16) v128.store(y + i, f32x4.add(v128.load(y + i), v128.load(x + i)));
  for (; i < bytes; i += 4) store<f32>(y + i, load<f32>(y + i) + load<f32>(x + i));
}
