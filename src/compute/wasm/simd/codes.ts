/**
 * The nearest code of each latent: the code with the largest <z, e> - |e|^2 / 2, which is the nearest one without the
 * square of z. Codes are packed [block, width, 4] so that four are scored at once; nothing but the best is kept.
 */

/**
 * @param z with room for four rows at least
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
  for (let i = 0; i < rows; i += 4) {
    const row = max(0, min(i, rows - 4)); // the last four overlap those before
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
    if (rows > 1) store<i32>(to, best(bestB, codeB), 4);
    if (rows > 2) store<i32>(to, best(bestC, codeC), 8);
    if (rows > 3) store<i32>(to, best(bestD, codeD), 12);
  }
}

/** The code of the largest of four scores; the lowest of those that are as large. */
function best(scores: v128, codes: v128): i32 {
  let most = f32x4.max(scores, v128.shuffle<f32>(scores, scores, 2, 3, 0, 1));
  most = f32x4.max(most, v128.shuffle<f32>(most, most, 1, 0, 3, 2));
  const chosen = v128.bitselect(codes, i32x4.splat(i32.MAX_VALUE), f32x4.eq(scores, most));
  const pairs = i32x4.min_u(chosen, v128.shuffle<i32>(chosen, chosen, 2, 3, 0, 1));
  return min(i32x4.extract_lane(pairs, 0), i32x4.extract_lane(pairs, 1));
}
