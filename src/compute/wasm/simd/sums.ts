/**
 * Sums over voxels, for each channel. Loops run on four channels at once, which they sum in single precision over
 * stretches of 32 voxels and in double precision over the stretches; then on single ones, which they sum in double
 * precision.
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
  let at: usize = 0;
  let left = channels;
  for (; left >= 4; left -= 4, at += 16) {
    momentsOfFour(x + at, center + at, sums + 2 * at, voxels, channels << 2, square);
  }
  for (; left > 0; left--, at += 4) momentsOfOne(x + at, center + at, sums + 2 * at, voxels, channels << 2, square);
}

/** @param step bytes between voxels */
function momentsOfFour(x: usize, center: usize, sums: usize, voxels: i32, step: i32, square: bool): void {
  const m = square ? v128.load(center) : f32x4.splat(0);
  let low = f64x2.splat(0);
  let high = low;
  for (let i = 0; i < voxels; i += STRETCH) {
    let part = f32x4.splat(0);
    let at = x + <usize>i * step;
    const stop = at + <usize>min(STRETCH, voxels - i) * step;
    if (square) {
      for (; at < stop; at += step) {
        const v = f32x4.sub(v128.load(at), m);
        part = f32x4.add(part, f32x4.mul(v, v));
      }
    } else {
      for (; at < stop; at += step) part = f32x4.add(part, v128.load(at));
    }
    low = f64x2.add(low, f64x2.promote_low_f32x4(part));
    high = f64x2.add(high, promoteHigh(part));
  }
  putSums(sums, low, high, true);
}

function momentsOfOne(x: usize, center: usize, sums: usize, voxels: i32, step: i32, square: bool): void {
  const m: f64 = square ? load<f32>(center) : 0;
  let sum: f64 = 0;
  for (let at = x, stop = x + <usize>voxels * step; at < stop; at += step) {
    const v = <f64>load<f32>(at) - m;
    sum += square ? v * v : v;
  }
  store<f64>(sums, sum);
}

// For the functions below `four` says whether all lanes count, or the first alone.

@inline
export function take(at: usize, four: bool): v128 {
  return four ? v128.load(at) : v128.load32_zero(at);
}

@inline
export function put(at: usize, v: v128, four: bool): void {
  if (four) v128.store(at, v);
  else v128.store32_lane(at, v, 0);
}

/** Stores doubles, the sums of the lower and of the upper two lanes. */
@inline
export function putSums(at: usize, low: v128, high: v128, four: bool): void {
  if (four) {
    v128.store(at, low);
    v128.store(at, high, 16);
  } else {
    v128.store64_lane(at, low, 0);
  }
}

/** The upper two floats as doubles. */
@inline
export function promoteHigh(v: v128): v128 {
  return f64x2.promote_low_f32x4(v128.shuffle<f32>(v, v, 2, 3, 2, 3));
}
