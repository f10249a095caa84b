/**
 * The weight gradient: for every pair of slots, the products of a gathered input with a gradient summed over all
 * voxels, [slotD, slotH, run, channels]. `a` is the input that the taps move over, `b` the one they do not; both carry
 * their border along w. Rows of `a` come from the tables of convolve.ts.
 */
const N: usize = 0;
const D: usize = 4; // positions along d and h
const H: usize = 8;
const A_D: usize = 12;
const A_H: usize = 16;
const A_ROW: usize = 20; // bytes
const B_ROW: usize = 24;
const SLOTS_D: usize = 28;
const SLOTS_H: usize = 32;
const WIDTH: usize = 36; // voxels of a row of b
const A_STEP: usize = 40; // bytes between the gathered inputs of two neighbouring voxels of b
const B_STEP: usize = 44; // bytes of a voxel of b
const RUN: usize = 48; // whole tiles; what is over is read from the next voxels and dropped by the caller
const CHANNELS: usize = 52; // of b, in whole lanes
const LANES: usize = 56; // 8, 4 or 1
const B_D: usize = 60; // rows of b that the tables' targets count
const B_H: usize = 64;

/** @param sums [slotD, slotH, run, channels], zeros at first */
export function correlate(walk: usize, tableD: usize, tableH: usize, a: usize, b: usize, sums: usize): void {
  const slotsD = load<i32>(walk, SLOTS_D);
  const slotsH = load<i32>(walk, SLOTS_H);
  const depth = load<i32>(walk, D);
  const height = load<i32>(walk, H);
  const slotBytes = (load<i32>(walk, RUN) * load<i32>(walk, CHANNELS)) << 2;
  for (let n = 0, samples = load<i32>(walk, N); n < samples; n++) {
    for (let d = 0; d < depth; d++) {
      const atD = tableD + ((d * (2 + slotsD)) << 2);
      for (let h = 0; h < height; h++) {
        const atH = tableH + ((h * (2 + slotsH)) << 2);
        const bLine = (n * load<i32>(walk, B_D) + load<i32>(atD)) * load<i32>(walk, B_H) + load<i32>(atH);
        const bRow = b + <usize>bLine * load<u32>(walk, B_ROW);
        for (let i = 0; i < slotsD; i++) {
          const xD = load<i32>(atD + (i << 2), 8);
          if (xD < 0) continue;
          for (let j = 0; j < slotsH; j++) {
            const xH = load<i32>(atH + (j << 2), 8);
            if (xH < 0) continue;
            const aLine = (n * load<i32>(walk, A_D) + xD) * load<i32>(walk, A_H) + xH;
            const aRow = a + <usize>aLine * load<u32>(walk, A_ROW);
            rowOf(walk, aRow, bRow, sums + (i * slotsH + j) * slotBytes);
          }
        }
      }
    }
  }
}

function rowOf(walk: usize, a: usize, b: usize, sums: usize): void {
  const lanes = load<i32>(walk, LANES);
  const run = load<i32>(walk, RUN);
  const channels = load<i32>(walk, CHANNELS);
  const aStep = load<u32>(walk, A_STEP);
  const bStep = load<u32>(walk, B_STEP);
  const stop = b + load<u32>(walk, WIDTH) * bStep;
  if (lanes == 1) {
    for (let t = 0; t < run; t += 8) {
      for (let c = 0; c < channels; c++) {
        tile8x1(a + (t << 2), aStep, b + (c << 2), bStep, stop, sums + ((c * run + t) << 2));
      }
    }
    return;
  }
  for (let t = 0; t < run; t += lanes == 8 ? 4 : 8) {
    const from = a + (t << 2);
    const to = sums + ((t * channels) << 2);
    if (lanes == 8) {
      for (let c = 0; c < channels; c += 8) {
        tile4x8(from, aStep, b + (c << 2), bStep, stop, to + (c << 2), channels << 2);
      }
    } else {
      for (let c = 0; c < channels; c += 4) {
        tile8x4(from, aStep, b + (c << 2), bStep, stop, to + (c << 2), channels << 2);
      }
    }
  }
}

function tile4x8(a: usize, aStep: usize, b: usize, bStep: usize, stop: usize, s: usize, step: usize): void {
  let a0 = v128.load(s);
  let a1 = v128.load(s, 16);
  let b0 = v128.load(s + step);
  let b1 = v128.load(s + step, 16);
  let c0 = v128.load(s + 2 * step);
  let c1 = v128.load(s + 2 * step, 16);
  let d0 = v128.load(s + 3 * step);
  let d1 = v128.load(s + 3 * step, 16);
  while (b < stop) {
    const g0 = v128.load(b);
    const g1 = v128.load(b, 16);
    const va = v128.load_splat<f32>(a);
    a0 = f32x4.add(a0, f32x4.mul(va, g0));
    a1 = f32x4.add(a1, f32x4.mul(va, g1));
    const vb = v128.load_splat<f32>(a, 4);
    b0 = f32x4.add(b0, f32x4.mul(vb, g0));
    b1 = f32x4.add(b1, f32x4.mul(vb, g1));
    const vc = v128.load_splat<f32>(a, 8);
    c0 = f32x4.add(c0, f32x4.mul(vc, g0));
    c1 = f32x4.add(c1, f32x4.mul(vc, g1));
    const vd = v128.load_splat<f32>(a, 12);
    d0 = f32x4.add(d0, f32x4.mul(vd, g0));
    d1 = f32x4.add(d1, f32x4.mul(vd, g1));
    a += aStep;
    b += bStep;
  }
  v128.store(s, a0);
  v128.store(s, a1, 16);
  v128.store(s + step, b0);
  v128.store(s + step, b1, 16);
  v128.store(s + 2 * step, c0);
  v128.store(s + 2 * step, c1, 16);
  v128.store(s + 3 * step, d0);
  v128.store(s + 3 * step, d1, 16);
}

function tile8x4(a: usize, aStep: usize, b: usize, bStep: usize, stop: usize, s: usize, step: usize): void {
  let a0 = v128.load(s);
  let a1 = v128.load(s + step);
  let a2 = v128.load(s + 2 * step);
  let a3 = v128.load(s + 3 * step);
  let a4 = v128.load(s + 4 * step);
  let a5 = v128.load(s + 5 * step);
  let a6 = v128.load(s + 6 * step);
  let a7 = v128.load(s + 7 * step);
  while (b < stop) {
    const g = v128.load(b);
    a0 = f32x4.add(a0, f32x4.mul(v128.load_splat<f32>(a), g));
    a1 = f32x4.add(a1, f32x4.mul(v128.load_splat<f32>(a, 4), g));
    a2 = f32x4.add(a2, f32x4.mul(v128.load_splat<f32>(a, 8), g));
    a3 = f32x4.add(a3, f32x4.mul(v128.load_splat<f32>(a, 12), g));
    a4 = f32x4.add(a4, f32x4.mul(v128.load_splat<f32>(a, 16), g));
    a5 = f32x4.add(a5, f32x4.mul(v128.load_splat<f32>(a, 20), g));
    a6 = f32x4.add(a6, f32x4.mul(v128.load_splat<f32>(a, 24), g));
    a7 = f32x4.add(a7, f32x4.mul(v128.load_splat<f32>(a, 28), g));
    a += aStep;
    b += bStep;
  }
  v128.store(s, a0);
  v128.store(s + step, a1);
  v128.store(s + 2 * step, a2);
  v128.store(s + 3 * step, a3);
  v128.store(s + 4 * step, a4);
  v128.store(s + 5 * step, a5);
  v128.store(s + 6 * step, a6);
  v128.store(s + 7 * step, a7);
}

/** One channel of b: vectors along the run, and the sums [channels, run]. */
function tile8x1(a: usize, aStep: usize, b: usize, bStep: usize, stop: usize, s: usize): void {
  let s0 = v128.load(s);
  let s1 = v128.load(s, 16);
  while (b < stop) {
    const g = v128.load_splat<f32>(b);
    s0 = f32x4.add(s0, f32x4.mul(v128.load(a), g));
    s1 = f32x4.add(s1, f32x4.mul(v128.load(a, 16), g));
    a += aStep;
    b += bStep;
  }
  v128.store(s, s0);
  v128.store(s, s1, 16);
}
