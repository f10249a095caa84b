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
  if (typeSize === 2) interleave2(scratch, to, elements);
  else if (typeSize === 4) interleave4(scratch, to, elements);
}

/** Turns eight rows of bits into bytes. */
function plane(from: usize, row: usize, to: usize): void {
  let at: usize = 0;
  for (; at + 16 <= row; at += 16) {
    let r0 = v128.load(from + at);
    let r1 = v128.load(from + at + row);
    let r2 = v128.load(from + at + 2 * row);
    let r3 = v128.load(from + at + 3 * row);
    let r4 = v128.load(from + at + 4 * row);
    let r5 = v128.load(from + at + 5 * row);
    let r6 = v128.load(from + at + 6 * row);
    let r7 = v128.load(from + at + 7 * row);
    // Transposes 8 x 8 bits (Hacker's Delight, 7-3) at 16 places at once.
    let t: v128;
    const m4 = i8x16.splat(0x0f);
    const m2 = i8x16.splat(0x33);
    const m1 = i8x16.splat(0x55);
    t = v128.and(v128.xor(i8x16.shr_u(r0, 4), r4), m4);
    r4 = v128.xor(r4, t);
    r0 = v128.xor(r0, i8x16.shl(t, 4));
    t = v128.and(v128.xor(i8x16.shr_u(r1, 4), r5), m4);
    r5 = v128.xor(r5, t);
    r1 = v128.xor(r1, i8x16.shl(t, 4));
    t = v128.and(v128.xor(i8x16.shr_u(r2, 4), r6), m4);
    r6 = v128.xor(r6, t);
    r2 = v128.xor(r2, i8x16.shl(t, 4));
    t = v128.and(v128.xor(i8x16.shr_u(r3, 4), r7), m4);
    r7 = v128.xor(r7, t);
    r3 = v128.xor(r3, i8x16.shl(t, 4));
    t = v128.and(v128.xor(i8x16.shr_u(r0, 2), r2), m2);
    r2 = v128.xor(r2, t);
    r0 = v128.xor(r0, i8x16.shl(t, 2));
    t = v128.and(v128.xor(i8x16.shr_u(r1, 2), r3), m2);
    r3 = v128.xor(r3, t);
    r1 = v128.xor(r1, i8x16.shl(t, 2));
    t = v128.and(v128.xor(i8x16.shr_u(r4, 2), r6), m2);
    r6 = v128.xor(r6, t);
    r4 = v128.xor(r4, i8x16.shl(t, 2));
    t = v128.and(v128.xor(i8x16.shr_u(r5, 2), r7), m2);
    r7 = v128.xor(r7, t);
    r5 = v128.xor(r5, i8x16.shl(t, 2));
    t = v128.and(v128.xor(i8x16.shr_u(r0, 1), r1), m1);
    r1 = v128.xor(r1, t);
    r0 = v128.xor(r0, i8x16.shl(t, 1));
    t = v128.and(v128.xor(i8x16.shr_u(r2, 1), r3), m1);
    r3 = v128.xor(r3, t);
    r2 = v128.xor(r2, i8x16.shl(t, 1));
    t = v128.and(v128.xor(i8x16.shr_u(r4, 1), r5), m1);
    r5 = v128.xor(r5, t);
    r4 = v128.xor(r4, i8x16.shl(t, 1));
    t = v128.and(v128.xor(i8x16.shr_u(r6, 1), r7), m1);
    r7 = v128.xor(r7, t);
    r6 = v128.xor(r6, i8x16.shl(t, 1));
    // Place j of register e is element 8 j + e. Interleaves the eight registers, first the pairs e and e + 4.
    const a0 = low(r0, r4),
      a1 = high(r0, r4),
      b0 = low(r1, r5),
      b1 = high(r1, r5);
    const c0 = low(r2, r6),
      c1 = high(r2, r6),
      d0 = low(r3, r7),
      d1 = high(r3, r7);
    const e0 = low(a0, c0),
      e1 = high(a0, c0),
      e2 = low(a1, c1),
      e3 = high(a1, c1);
    const f0 = low(b0, d0),
      f1 = high(b0, d0),
      f2 = low(b1, d1),
      f3 = high(b1, d1);
    const out = to + 8 * at;
    v128.store(out, low(e0, f0));
    v128.store(out + 16, high(e0, f0));
    v128.store(out + 32, low(e1, f1));
    v128.store(out + 48, high(e1, f1));
    v128.store(out + 64, low(e2, f2));
    v128.store(out + 80, high(e2, f2));
    v128.store(out + 96, low(e3, f3));
    v128.store(out + 112, high(e3, f3));
  }
  for (; at < row; at++)
    for (let element: usize = 0; element < 8; element++) {
      let value: u32 = 0;
      for (let bit: usize = 0; bit < 8; bit++)
        value |= ((<u32>load<u8>(from + at + bit * row) >> <u32>element) & 1) << (<u32>bit);
      store<u8>(to + 8 * at + element, <u8>value);
    }
}

/** Interleaves the bytes of two registers: `low` their first halves, `high` their second halves. */
function low(a: v128, b: v128): v128 {
  return i8x16.shuffle(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}

function high(a: v128, b: v128): v128 {
  return i8x16.shuffle(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}

/** Joins planes of bytes to elements. It writes whole vectors, past the end into the slack. */
function interleave2(from: usize, to: usize, elements: i32): void {
  const n = <usize>elements;
  for (let at: usize = 0; at < n; at += 16) {
    const a = v128.load(from + at);
    const b = v128.load(from + at + n);
    v128.store(to + 2 * at, low(a, b));
    v128.store(to + 2 * at + 16, high(a, b));
  }
}

function interleave4(from: usize, to: usize, elements: i32): void {
  const n = <usize>elements;
  for (let at: usize = 0; at < n; at += 16) {
    const a = v128.load(from + at);
    const b = v128.load(from + at + n);
    const c = v128.load(from + at + 2 * n);
    const d = v128.load(from + at + 3 * n);
    const ac = low(a, c),
      bd = low(b, d),
      ac2 = high(a, c),
      bd2 = high(b, d);
    const out = to + 4 * at;
    v128.store(out, low(ac, bd));
    v128.store(out + 16, high(ac, bd));
    v128.store(out + 32, low(ac2, bd2));
    v128.store(out + 48, high(ac2, bd2));
  }
}
