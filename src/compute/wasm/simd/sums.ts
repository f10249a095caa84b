/**
 * Sums over voxels, for each channel: in single precision over stretches of 32 voxels, in double precision over the
 * stretches. Loops run on four channels at once, then on single ones with `four` false, for which the other lanes are
 * not stored.
 */
export const STRETCH: i32 = 32;

/**
 * sums[c] = sum over voxels of x[voxel, c].
 *
 * @param work a double for each channel
 */
export function channelSums(x: usize, sums: usize, work: usize, voxels: i32, channels: i32): void {
  moments(x, 0, work, voxels, channels, false);
  for (let c = 0; c < channels; c++) store<f32>(sums + (c << 2), <f32>load<f64>(work + (c << 3)));
}

/** For each channel the sum of x, or of the squares of x - center. */
export function moments(x: usize, center: usize, sums: usize, voxels: i32, channels: i32, square: bool): void {
  memory.fill(sums, 0, channels << 3);
  let c = 0;
  for (; c + 4 <= channels; c += 4) momentsOf(x, center, sums, voxels, channels, square, c, true);
  for (; c < channels; c++) momentsOf(x, center, sums, voxels, channels, square, c, false);
}

@inline
function momentsOf(
  x: usize, center: usize, sums: usize, voxels: i32, channels: i32, square: bool, c: i32, four: bool,
): void {
  const step = channels << 2;
  const to = sums + (c << 3);
  if (!four) {
    const m: f64 = square ? load<f32>(center + (c << 2)) : 0;
    let sum: f64 = 0;
    for (let i = 0, at = x + (c << 2); i < voxels; i++, at += step) {
      const v = <f64>load<f32>(at) - m;
      sum += square ? v * v : v;
    }
    store<f64>(to, sum);
    return;
  }
  const m = square ? v128.load(center + (c << 2)) : f32x4.splat(0);
  for (let i = 0; i < voxels; i += STRETCH) {
    let part = f32x4.splat(0);
    let at = x + <usize>i * step + (c << 2);
    const stop = at + <usize>min(STRETCH, voxels - i) * step;
    if (square) {
      for (; at < stop; at += step) {
        const v = f32x4.sub(v128.load(at), m);
        part = f32x4.add(part, f32x4.mul(v, v));
      }
    } else {
      for (; at < stop; at += step) part = f32x4.add(part, v128.load(at));
    }
    addTo(to, part, four);
  }
}

@inline
export function take(at: usize, four: bool): v128 {
  return four ? v128.load(at) : v128.load32_zero(at);
}

@inline
export function put(at: usize, v: v128, four: bool): void {
  if (four) v128.store(at, v);
  else v128.store32_lane(at, v, 0);
}

/** Adds floats to doubles. */
@inline
export function addTo(sums: usize, part: v128, four: bool): void {
  if (!four) {
    store<f64>(sums, load<f64>(sums) + f32x4.extract_lane(part, 0));
    return;
  }
  const high = v128.shuffle<f32>(part, part, 2, 3, 2, 3);
  v128.store(sums, f64x2.add(v128.load(sums), f64x2.promote_low_f32x4(part)));
  v128.store(sums, f64x2.add(v128.load(sums, 16), f64x2.promote_low_f32x4(high)), 16);
}
