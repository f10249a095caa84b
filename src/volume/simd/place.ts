/**
 * Copies a box of int16 voxels into a box of float32 values, scaled in double precision and rounded once. Lengths of rows
 * and planes are in voxels.
 */
export function placeInt16(
  from: usize,
  fromRow: i32,
  fromPlane: i32,
  to: usize,
  toRow: i32,
  toPlane: i32,
  width: i32,
  height: i32,
  depth: i32,
  slope: f64,
  intercept: f64,
): void {
  const scales = slope !== 1 || intercept !== 0;
  for (let z = 0; z < depth; z++)
    for (let y = 0; y < height; y++) {
      const source = from + ((<usize>(z * fromPlane + y * fromRow)) << 1);
      const target = to + ((<usize>(z * toPlane + y * toRow)) << 2);
      if (scales) scaleRow(source, target, width, slope, intercept);
      else convertRow(source, target, width);
    }
}

function convertRow(from: usize, to: usize, width: i32): void {
  const body = width & ~7;
  let x = 0;
  for (; x < body; x += 8) {
    const words = v128.load(from + ((<usize>x) << 1));
    const target = to + ((<usize>x) << 2);
    v128.store(target, f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(words)));
    v128.store(target + 16, f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(words)));
  }
  for (; x < width; x++) store<f32>(to + ((<usize>x) << 2), <f32>load<i16>(from + ((<usize>x) << 1)));
}

function scaleRow(from: usize, to: usize, width: i32, slope: f64, intercept: f64): void {
  const slopes = f64x2.splat(slope);
  const intercepts = f64x2.splat(intercept);
  const body = width & ~3;
  let x = 0;
  for (; x < body; x += 4) {
    const words = i32x4.extend_low_i16x8_s(v128.load64_zero(from + ((<usize>x) << 1)));
    const first = f64x2.convert_low_i32x4_s(words);
    const second = f64x2.convert_low_i32x4_s(i32x4.shuffle(words, words, 2, 3, 2, 3));
    const a = f32x4.demote_f64x2_zero(f64x2.add(f64x2.mul(first, slopes), intercepts));
    const b = f32x4.demote_f64x2_zero(f64x2.add(f64x2.mul(second, slopes), intercepts));
    v128.store(to + ((<usize>x) << 2), i64x2.shuffle(a, b, 0, 2));
  }
  for (; x < width; x++)
    store<f32>(to + ((<usize>x) << 2), <f32>(<f64>load<i16>(from + ((<usize>x) << 1)) * slope + intercept));
}
