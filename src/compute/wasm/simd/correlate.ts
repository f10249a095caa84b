/**
 * The weight gradient: for every pair of slots the products of x, which the slots move over, with y, which they do not,
 * summed over all voxels: [slotD, slotH, run, channels]. Both carry their border along w. Runs are whole tiles: what is
 * over is read from the next voxels and dropped by the caller.
 */
import { listPairs, targetRow, Walk } from './walk';

/** The sums, in place of weights, are zeros at first. */
export function correlate(k: Walk): void {
  for (let n = 0; n < k.samples; n++) {
    for (let d = 0; d < k.depth; d++) {
      for (let h = 0; h < k.height; h++) {
        listPairs(k, n, d, h);
        const y = targetRow(k, n, d, h);
        for (let pair = k.pairs, end = pair + (k.count << 3); pair < end; pair += 8) {
          rowOf(k, load<usize>(pair), y, k.weights + load<u32>(pair, 4));
        }
      }
    }
  }
}

function rowOf(k: Walk, x: usize, y: usize, sums: usize): void {
  const lanes = k.lanes;
  const tile = lanes == 8 ? 4 : 8;
  const stop = y + k.lattice * k.yStep;
  for (let t = 0; t < k.run; t += tile) {
    const from = x + (t << 2);
    for (let c = 0; c < k.channels; c += lanes) {
      const target = y + (c << 2);
      if (lanes == 1) tile8x1(from, k.xStep, target, k.yStep, stop, sums + ((c * k.run + t) << 2));
      else {
        const to = sums + ((t * k.channels + c) << 2);
        if (lanes == 8) tile4x8(from, k.xStep, target, k.yStep, stop, to, k.channels << 2);
        else tile8x4(from, k.xStep, target, k.yStep, stop, to, k.channels << 2);
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
