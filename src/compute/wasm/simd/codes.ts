/**
 * The nearest code of each latent: the code with the largest <z, e> - |e|^2 / 2, which is the nearest one without the
 * square of z. Codes are packed [block, width, 4] so that four are scored at once; nothing but the best is kept.
 */

/**
 * @param packed codes, then for each block of four the scores that they start from, -|e|^2 / 2
 * @param half those starts, -infinity for the lanes beyond the last code
 */
export function nearestCodes(
  z: usize,
  packed: usize,
  half: usize,
  nearest: usize,
  rows: i32,
  blocks: i32,
  width: i32,
): void {
  const rowBytes = width << 2;
  const blockBytes = width << 4;
  let row = 0;
  for (; row + 4 <= rows; row += 4) {
    const from = z + <usize>row * rowBytes;
    let bestA = f32x4.splat(-Infinity);
    let bestB = bestA;
    let bestC = bestA;
    let bestD = bestA;
    let codeA = i32x4.splat(0);
    let codeB = codeA;
    let codeC = codeA;
    let codeD = codeA;
    let code = i32x4(0, 1, 2, 3);
    for (let block = 0; block < blocks; block++) {
      let w = packed + <usize>block * blockBytes;
      let a = v128.load(half + (block << 4));
      let b = a;
      let c = a;
      let d = a;
      let at = from;
      for (const stop = from + rowBytes; at < stop; at += 4) {
        const e = v128.load(w);
        a = f32x4.add(a, f32x4.mul(v128.load_splat<f32>(at), e));
        b = f32x4.add(b, f32x4.mul(v128.load_splat<f32>(at + rowBytes), e));
        c = f32x4.add(c, f32x4.mul(v128.load_splat<f32>(at + 2 * rowBytes), e));
        d = f32x4.add(d, f32x4.mul(v128.load_splat<f32>(at + 3 * rowBytes), e));
        w += 16;
      }
      codeA = v128.bitselect(code, codeA, f32x4.gt(a, bestA));
      bestA = f32x4.pmax(bestA, a);
      codeB = v128.bitselect(code, codeB, f32x4.gt(b, bestB));
      bestB = f32x4.pmax(bestB, b);
      codeC = v128.bitselect(code, codeC, f32x4.gt(c, bestC));
      bestC = f32x4.pmax(bestC, c);
      codeD = v128.bitselect(code, codeD, f32x4.gt(d, bestD));
      bestD = f32x4.pmax(bestD, d);
      code = i32x4.add(code, i32x4.splat(4));
    }
    const to = nearest + (row << 2);
    store<i32>(to, best(bestA, codeA));
    store<i32>(to, best(bestB, codeB), 4);
    store<i32>(to, best(bestC, codeC), 8);
    store<i32>(to, best(bestD, codeD), 12);
  }
  for (; row < rows; row++) {
    const from = z + <usize>row * rowBytes;
    let bestA = f32x4.splat(-Infinity);
    let codeA = i32x4.splat(0);
    let code = i32x4(0, 1, 2, 3);
    for (let block = 0; block < blocks; block++) {
      let w = packed + <usize>block * blockBytes;
      let a = v128.load(half + (block << 4));
      for (let at = from, stop = from + rowBytes; at < stop; at += 4) {
        a = f32x4.add(a, f32x4.mul(v128.load_splat<f32>(at), v128.load(w)));
        w += 16;
      }
      codeA = v128.bitselect(code, codeA, f32x4.gt(a, bestA));
      bestA = f32x4.pmax(bestA, a);
      code = i32x4.add(code, i32x4.splat(4));
    }
    store<i32>(nearest + (row << 2), best(bestA, codeA));
  }
}

/** The code of the largest of four scores; the lowest of those that are as large. */
function best(scores: v128, codes: v128): i32 {
  let score = f32x4.extract_lane(scores, 0);
  let code = i32x4.extract_lane(codes, 0);
  for (let lane = 1; lane < 4; lane++) {
    const s = lane == 1 ? f32x4.extract_lane(scores, 1) : lane == 2 ? f32x4.extract_lane(scores, 2) : f32x4.extract_lane(scores, 3);
    const c = lane == 1 ? i32x4.extract_lane(codes, 1) : lane == 2 ? i32x4.extract_lane(codes, 2) : i32x4.extract_lane(codes, 3);
    if (s > score || (s == score && c < code)) {
      score = s;
      code = c;
    }
  }
  return code;
}
