/**
 * Undoes blosc's bitshuffle. A block of n elements of `typeSize` bytes is stored as 8 x typeSize rows of n bits: row
 * 8 b + k holds bit k of byte b of every element.
 *
 * @param scratch space for one plane of bytes per byte of an element: `bytes` + 64
 */
export function unshuffleBits(from: usize, to: usize, bytes: i32, typeSize: i32, scratch: usize): void {
  const elements = bytes / typeSize;
  const row = <usize>(elements >> 3);
  const planes = typeSize === 1 ? to : scratch;
  for (let byte = 0; byte < typeSize; byte++)
    plane(from + <usize>byte * 8 * row, row, planes + <usize>(byte * elements));
  if (typeSize === 2) interleave2(scratch, to, <usize>elements);
  else if (typeSize === 4) interleave4(scratch, to, <usize>elements);
}

/** Turns eight rows of bits into bytes. */
function plane(from: usize, row: usize, to: usize): void {
  const m4 = v128.splat<u8>(0xf0);
  const m2 = v128.splat<u8>(0xcc);
  const m1 = v128.splat<u8>(0xaa);
  let at: usize = 0;
  for (; at + 16 <= row; at += 16) {
    const r0 = v128.load(from + at);
    const r1 = v128.load(from + at + row);
    const r2 = v128.load(from + at + 2 * row);
    const r3 = v128.load(from + at + 3 * row);
    const r4 = v128.load(from + at + 4 * row);
    const r5 = v128.load(from + at + 5 * row);
    const r6 = v128.load(from + at + 6 * row);
    const r7 = v128.load(from + at + 7 * row);
    // Transposes 8 x 8 bits (Hacker's Delight, 7-3) at 16 places at once, in three steps.
    const s0 = upper(r0, r4, 4, m4);
    const s4 = lower(r0, r4, 4, m4);
    const s1 = upper(r1, r5, 4, m4);
    const s5 = lower(r1, r5, 4, m4);
    const s2 = upper(r2, r6, 4, m4);
    const s6 = lower(r2, r6, 4, m4);
    const s3 = upper(r3, r7, 4, m4);
    const s7 = lower(r3, r7, 4, m4);
    const t0 = upper(s0, s2, 2, m2);
    const t2 = lower(s0, s2, 2, m2);
    const t1 = upper(s1, s3, 2, m2);
    const t3 = lower(s1, s3, 2, m2);
    const t4 = upper(s4, s6, 2, m2);
    const t6 = lower(s4, s6, 2, m2);
    const t5 = upper(s5, s7, 2, m2);
    const t7 = lower(s5, s7, 2, m2);
    const u0 = upper(t0, t1, 1, m1);
    const u1 = lower(t0, t1, 1, m1);
    const u2 = upper(t2, t3, 1, m1);
    const u3 = lower(t2, t3, 1, m1);
    const u4 = upper(t4, t5, 1, m1);
    const u5 = lower(t4, t5, 1, m1);
    const u6 = upper(t6, t7, 1, m1);
    const u7 = lower(t6, t7, 1, m1);
    // Place j of register e is element 8 j + e.
    weave4(low(u0, u4), low(u1, u5), low(u2, u6), low(u3, u7), to + 8 * at);
    weave4(high(u0, u4), high(u1, u5), high(u2, u6), high(u3, u7), to + 8 * at + 64);
  }
  for (; at < row; at++)
    for (let element: usize = 0; element < 8; element++) {
      let value: u32 = 0;
      for (let bit: usize = 0; bit < 8; bit++)
        value |= ((<u32>load<u8>(from + at + bit * row) >> <u32>element) & 1) << (<u32>bit);
      store<u8>(to + 8 * at + element, <u8>value);
    }
}

/** The bits of `mask` from `b` and the others from `a`, both moved into place: one half of a transposed pair. */
function upper(a: v128, b: v128, shift: i32, mask: v128): v128 {
  return v128.bitselect(i16x8.shl(b, shift), a, mask);
}

/** The other half. A shift moves bits across bytes too, but only to places that the mask leaves out. */
function lower(a: v128, b: v128, shift: i32, mask: v128): v128 {
  return v128.bitselect(b, i16x8.shr_u(a, shift), mask);
}

/** Interleaves the bytes of two registers: `low` their first halves, `high` their second halves. */
function low(a: v128, b: v128): v128 {
  return i8x16.shuffle(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}

function high(a: v128, b: v128): v128 {
  return i8x16.shuffle(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}

/** Stores the interleaved bytes of two registers, and of four. */
function weave2(a: v128, b: v128, to: usize): void {
  v128.store(to, low(a, b));
  v128.store(to + 16, high(a, b));
}

function weave4(a: v128, b: v128, c: v128, d: v128, to: usize): void {
  weave2(low(a, c), low(b, d), to);
  weave2(high(a, c), high(b, d), to + 32);
}

/** Joins planes of bytes to elements. It writes whole vectors, past the end into the slack. */
function interleave2(from: usize, to: usize, n: usize): void {
  for (let at: usize = 0; at < n; at += 16)
    weave2(v128.load(from + at), v128.load(from + at + n), to + 2 * at);
}

function interleave4(from: usize, to: usize, n: usize): void {
  for (let at: usize = 0; at < n; at += 16) {
    const a = from + at;
    weave4(v128.load(a), v128.load(a + n), v128.load(a + 2 * n), v128.load(a + 3 * n), to + 4 * at);
  }
}
