/**
 * What a convolution makes at once: the sums of some positions of a row, `xStep` bytes apart in the input and `yStep` in
 * the output, for some channels. All read the same list of pairs [input row, offset of its weights], at whose place `x` a
 * run of inputs begins, and weights [run, lanes]. The first number of a name is of positions, the second of channels.
 *
 * @param bias one for each channel, what sums start from
 * @param valid channels that are stored
 */

export function tile4x8(
  pairs: usize,
  end: usize,
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

export function tile8x4(
  pairs: usize,
  end: usize,
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

/** One position of a row that is too short for a tile: eight channels where `wide`, else four. */
@inline
export function tile1(
  pairs: usize,
  end: usize,
  weights: usize,
  x: usize,
  run: i32,
  bias: usize,
  y: usize,
  valid: i32,
  wide: bool,
): void {
  let a = v128.load(bias);
  let b = wide ? v128.load(bias, 16) : a;
  for (let pair = pairs; pair < end; pair += 8) {
    let w = weights + load<u32>(pair, 4);
    let xa = load<usize>(pair) + x;
    for (const stop = xa + (run << 2); xa < stop; xa += 4) {
      const v = v128.load_splat<f32>(xa);
      a = f32x4.add(a, f32x4.mul(v, v128.load(w)));
      if (wide) b = f32x4.add(b, f32x4.mul(v, v128.load(w, 16)));
      w += wide ? 32 : 16;
    }
  }
  if (wide) store8(y, a, b, valid);
  else store4(y, a, valid);
}

/** One output channel of four positions: vectors along the run. */
export function dot4(
  pairs: usize,
  end: usize,
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

export function dot1(
  pairs: usize,
  end: usize,
  weights: usize,
  x: usize,
  run: i32,
  bias: usize,
  y: usize,
): void {
  let sum = load<f32>(bias);
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
