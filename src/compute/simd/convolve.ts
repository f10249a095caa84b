/**
 * Direct 3D convolution on rows along w. One call computes every row of an output lattice from input rows that
 * already carry their border along w; tables made by the caller say, for every output position along d and h, which
 * input rows it takes (or -1) and with which class of weights. Forward and input-gradient, plain and transposed, are
 * the same walk with other tables.
 *
 * Weights are packed [classD, classH, classW, block, slotD, slotH, run, lanes]: for one pair of rows the taps along
 * w and the input channels are one contiguous run, as they are in the input row.
 */

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

function tile4x8(
  pairs: usize,
  count: i32,
  weights: usize,
  x: usize,
  xStep: usize,
  run: i32,
  bias: usize,
  y: usize,
  yStep: usize,
  valid: i32,
): void {
  let a0 = v128.load(bias);
  let a1 = v128.load(bias, 16);
  let b0 = a0;
  let b1 = a1;
  let c0 = a0;
  let c1 = a1;
  let d0 = a0;
  let d1 = a1;
  const end = pairs + (count << 3);
  for (let pair = pairs; pair < end; pair += 8) {
    let w = weights + load<u32>(pair, 4);
    let xa = load<usize>(pair) + x;
    let xb = xa + xStep;
    let xc = xb + xStep;
    let xd = xc + xStep;
    const stop = xa + (run << 2);
    while (xa < stop) {
      const w0 = v128.load(w);
      const w1 = v128.load(w, 16);
      const va = v128.load_splat<f32>(xa);
      a0 = f32x4.add(a0, f32x4.mul(va, w0));
      a1 = f32x4.add(a1, f32x4.mul(va, w1));
      const vb = v128.load_splat<f32>(xb);
      b0 = f32x4.add(b0, f32x4.mul(vb, w0));
      b1 = f32x4.add(b1, f32x4.mul(vb, w1));
      const vc = v128.load_splat<f32>(xc);
      c0 = f32x4.add(c0, f32x4.mul(vc, w0));
      c1 = f32x4.add(c1, f32x4.mul(vc, w1));
      const vd = v128.load_splat<f32>(xd);
      d0 = f32x4.add(d0, f32x4.mul(vd, w0));
      d1 = f32x4.add(d1, f32x4.mul(vd, w1));
      w += 32;
      xa += 4;
      xb += 4;
      xc += 4;
      xd += 4;
    }
  }
  store8(y, a0, a1, valid);
  store8(y + yStep, b0, b1, valid);
  store8(y + 2 * yStep, c0, c1, valid);
  store8(y + 3 * yStep, d0, d1, valid);
}

function tile1x8(
  pairs: usize,
  count: i32,
  weights: usize,
  x: usize,
  run: i32,
  bias: usize,
  y: usize,
  valid: i32,
): void {
  let a0 = v128.load(bias);
  let a1 = v128.load(bias, 16);
  const end = pairs + (count << 3);
  for (let pair = pairs; pair < end; pair += 8) {
    let w = weights + load<u32>(pair, 4);
    let xa = load<usize>(pair) + x;
    const stop = xa + (run << 2);
    while (xa < stop) {
      const va = v128.load_splat<f32>(xa);
      a0 = f32x4.add(a0, f32x4.mul(va, v128.load(w)));
      a1 = f32x4.add(a1, f32x4.mul(va, v128.load(w, 16)));
      w += 32;
      xa += 4;
    }
  }
  store8(y, a0, a1, valid);
}

function tile8x4(
  pairs: usize,
  count: i32,
  weights: usize,
  x: usize,
  xStep: usize,
  run: i32,
  bias: usize,
  y: usize,
  yStep: usize,
  valid: i32,
): void {
  let a = v128.load(bias);
  let b = a;
  let c = a;
  let d = a;
  let e = a;
  let f = a;
  let g = a;
  let h = a;
  const end = pairs + (count << 3);
  const half = xStep << 2;
  for (let pair = pairs; pair < end; pair += 8) {
    let w = weights + load<u32>(pair, 4);
    let x0 = load<usize>(pair) + x;
    let x1 = x0 + xStep;
    let x2 = x1 + xStep;
    let x3 = x2 + xStep;
    const stop = x0 + (run << 2);
    while (x0 < stop) {
      const v = v128.load(w);
      a = f32x4.add(a, f32x4.mul(v128.load_splat<f32>(x0), v));
      b = f32x4.add(b, f32x4.mul(v128.load_splat<f32>(x1), v));
      c = f32x4.add(c, f32x4.mul(v128.load_splat<f32>(x2), v));
      d = f32x4.add(d, f32x4.mul(v128.load_splat<f32>(x3), v));
      e = f32x4.add(e, f32x4.mul(v128.load_splat<f32>(x0 + half), v));
      f = f32x4.add(f, f32x4.mul(v128.load_splat<f32>(x1 + half), v));
      g = f32x4.add(g, f32x4.mul(v128.load_splat<f32>(x2 + half), v));
      h = f32x4.add(h, f32x4.mul(v128.load_splat<f32>(x3 + half), v));
      w += 16;
      x0 += 4;
      x1 += 4;
      x2 += 4;
      x3 += 4;
    }
  }
  store4(y, a, valid);
  store4(y + yStep, b, valid);
  store4(y + 2 * yStep, c, valid);
  store4(y + 3 * yStep, d, valid);
  store4(y + 4 * yStep, e, valid);
  store4(y + 5 * yStep, f, valid);
  store4(y + 6 * yStep, g, valid);
  store4(y + 7 * yStep, h, valid);
}

function tile1x4(
  pairs: usize,
  count: i32,
  weights: usize,
  x: usize,
  run: i32,
  bias: usize,
  y: usize,
  valid: i32,
): void {
  let a = v128.load(bias);
  const end = pairs + (count << 3);
  for (let pair = pairs; pair < end; pair += 8) {
    let w = weights + load<u32>(pair, 4);
    let xa = load<usize>(pair) + x;
    const stop = xa + (run << 2);
    while (xa < stop) {
      a = f32x4.add(a, f32x4.mul(v128.load_splat<f32>(xa), v128.load(w)));
      w += 16;
      xa += 4;
    }
  }
  store4(y, a, valid);
}

/** One output channel of four voxels: vectors along the run. */
function dot4(
  pairs: usize,
  count: i32,
  weights: usize,
  x: usize,
  xStep: usize,
  run: i32,
  bias: usize,
  y: usize,
  yStep: usize,
): void {
  let a = f32x4.splat(0);
  let b = a;
  let c = a;
  let d = a;
  let ta = load<f32>(bias);
  let tb = ta;
  let tc = ta;
  let td = ta;
  const end = pairs + (count << 3);
  for (let pair = pairs; pair < end; pair += 8) {
    let w = weights + load<u32>(pair, 4);
    let xa = load<usize>(pair) + x;
    let xb = xa + xStep;
    let xc = xb + xStep;
    let xd = xc + xStep;
    const stop = xa + (run << 2);
    while (xa + 16 <= stop) {
      const v = v128.load(w);
      a = f32x4.add(a, f32x4.mul(v128.load(xa), v));
      b = f32x4.add(b, f32x4.mul(v128.load(xb), v));
      c = f32x4.add(c, f32x4.mul(v128.load(xc), v));
      d = f32x4.add(d, f32x4.mul(v128.load(xd), v));
      w += 16;
      xa += 16;
      xb += 16;
      xc += 16;
      xd += 16;
    }
    while (xa < stop) {
      const v = load<f32>(w);
      ta += load<f32>(xa) * v;
      tb += load<f32>(xb) * v;
      tc += load<f32>(xc) * v;
      td += load<f32>(xd) * v;
      w += 4;
      xa += 4;
      xb += 4;
      xc += 4;
      xd += 4;
    }
  }
  store<f32>(y, ta + total(a));
  store<f32>(y + yStep, tb + total(b));
  store<f32>(y + 2 * yStep, tc + total(c));
  store<f32>(y + 3 * yStep, td + total(d));
}

function dot1(
  pairs: usize,
  count: i32,
  weights: usize,
  x: usize,
  run: i32,
  bias: usize,
  y: usize,
): void {
  let sum = load<f32>(bias);
  const end = pairs + (count << 3);
  for (let pair = pairs; pair < end; pair += 8) {
    const w = weights + load<u32>(pair, 4);
    const xa = load<usize>(pair) + x;
    for (let i = 0, bytes = run << 2; i < bytes; i += 4) sum += load<f32>(xa + i) * load<f32>(w + i);
  }
  store<f32>(y, sum);
}

function total(v: v128): f32 {
  return (
    f32x4.extract_lane(v, 0) +
    f32x4.extract_lane(v, 1) +
    (f32x4.extract_lane(v, 2) + f32x4.extract_lane(v, 3))
  );
}

function store8(y: usize, low: v128, high: v128, valid: i32): void {
  if (valid == 8) {
    v128.store(y, low);
    v128.store(y, high, 16);
  } else if (valid >= 4) {
    v128.store(y, low);
    store4(y + 16, high, valid - 4);
  } else {
    store4(y, low, valid);
  }
}

function store4(y: usize, v: v128, valid: i32): void {
  if (valid == 4) {
    v128.store(y, v);
    return;
  }
  if (valid > 0) store<f32>(y, f32x4.extract_lane(v, 0));
  if (valid > 1) store<f32>(y, f32x4.extract_lane(v, 1), 4);
  if (valid > 2) store<f32>(y, f32x4.extract_lane(v, 2), 8);
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
