/** Rows along w: copies with a border, and repeated borders along d and h. */

/**
 * Copies `rows` rows of `width` voxels with `before` and `after` voxels added: copies of the end voxels where
 * `replicate`, else zeros.
 */
export function padRows(
  x: usize,
  y: usize,
  rows: i32,
  width: i32,
  voxelBytes: i32,
  before: i32,
  after: i32,
  replicate: i32,
): void {
  const bytes = width * voxelBytes;
  for (let row = 0; row < rows; row++) {
    const last = x + bytes - voxelBytes;
    for (let i = 0; i < before; i++, y += voxelBytes) border(y, x, voxelBytes, replicate);
    memory.copy(y, x, bytes);
    y += bytes;
    for (let i = 0; i < after; i++, y += voxelBytes) border(y, last, voxelBytes, replicate);
    x += bytes;
  }
}

function border(y: usize, x: usize, bytes: i32, replicate: i32): void {
  for (let i = 0; i < bytes; i += 4) store<f32>(y + i, replicate ? load<f32>(x + i) : 0);
}

/** sums[c] = sum over `count` voxels of x[voxel, c], in double precision over stretches of 32 voxels. */
export function channelSums(x: usize, sums: usize, count: i32, channels: i32): void {
  const voxel = channels << 2;
  let c = 0;
  for (; c + 4 <= channels; c += 4) {
    let low = f64x2.splat(0);
    let high = low;
    for (let i = 0; i < count; i += 32) {
      let part = f32x4.splat(0);
      let at = x + <usize>i * voxel + (c << 2);
      for (const stop = at + <usize>min(32, count - i) * voxel; at < stop; at += voxel) {
        part = f32x4.add(part, v128.load(at));
      }
      low = f64x2.add(low, f64x2.promote_low_f32x4(part));
      high = f64x2.add(high, f64x2.promote_low_f32x4(v128.shuffle<f32>(part, part, 2, 3, 2, 3)));
    }
    v128.store(sums + (c << 2), pair(low, high));
  }
  for (; c < channels; c++) {
    let sum: f64 = 0;
    for (let i = 0; i < count; i++) sum += load<f32>(x + <usize>i * voxel + (c << 2));
    store<f32>(sums + (c << 2), <f32>sum);
  }
}

function pair(low: v128, high: v128): v128 {
  return v128.shuffle<f32>(f32x4.demote_f64x2_zero(low), f32x4.demote_f64x2_zero(high), 0, 1, 4, 5);
}
