/** Group normalisation of x [n, voxels, channels], with SiLU in the same pass. */
import { silu, siluGradient } from './silu';
import { moments, promoteHigh, put, putSums, STRETCH, take } from './sums';

/** What a call works on, as 32-bit integers in the order that the caller writes them in. */
@unmanaged
class Norm {
  x: usize; // [n, voxels, channels]
  gamma: usize; // [channels]
  beta: usize; // [channels]
  mean: usize; // [n, groups]
  scale: usize; // [n, groups], reciprocal standard deviations
  out: usize; // [n, voxels, channels]: y, or dx of the gradient
  dy: usize; // [n, voxels, channels]; this and the next two for the gradient only
  dgamma: usize; // [channels]
  dbeta: usize; // [channels]
  work: usize; // for each channel 2 doubles, then 4 rows of floats
  samples: i32;
  voxels: i32;
  channels: i32;
  groups: i32;
  silu: i32;
}

// The rows of `work`.
const FACTOR: i32 = 0;
const OFFSET: i32 = 1;
const SCALE: i32 = 2;
const SHIFT: i32 = 3;
/** In place of the scale, which is not needed by then. */
const SLOPE: i32 = SCALE;

/** A row of `work`, from channel c on. */
@inline
function row(k: Norm, i: i32, c: i32 = 0): usize {
  return k.work + (k.channels << 4) + ((i * k.channels + c) << 2);
}

export function groupNorm(k: Norm, eps: f32): void {
  const perGroup = k.channels / k.groups;
  const size: f64 = <f64>k.voxels * perGroup;
  const center = row(k, FACTOR); // which `normalise` writes later
  for (let n = 0; n < k.samples; n++) {
    const x = k.x + sampleOffset(k, n);
    const to = (n * k.groups) << 2;
    moments(x, center, k.work, k.voxels, k.channels, false);
    for (let g = 0; g < k.groups; g++) {
      const mean = <f32>(groupSum(k.work, g, perGroup) / size);
      store<f32>(k.mean + to + (g << 2), mean);
      for (let c = g * perGroup; c < (g + 1) * perGroup; c++) store<f32>(center + (c << 2), mean);
    }
    moments(x, center, k.work, k.voxels, k.channels, true);
    for (let g = 0; g < k.groups; g++) {
      const variance = groupSum(k.work, g, perGroup) / size;
      store<f32>(k.scale + to + (g << 2), <f32>(1 / Math.sqrt(variance + eps)));
    }
  }
  normalise(k);
}

/** y of `groupNorm` from its statistics. */
export function normalise(k: Norm): void {
  for (let n = 0; n < k.samples; n++) {
    affine(k, n);
    let c = 0;
    for (; c + 4 <= k.channels; c += 4) apply(k, n, c, true);
    for (; c < k.channels; c++) apply(k, n, c, false);
  }
}

/**
 * dx = scale * (gamma * d - mean over the group of (gamma * d) - normalised * mean of (gamma * d * normalised)), where
 * d is dy brought back through SiLU. The first pass writes d into dx and sums d and d * normalised by channel.
 */
export function groupNormGradient(k: Norm): void {
  const perGroup = k.channels / k.groups;
  const size: f64 = <f64>k.voxels * perGroup;
  memory.fill(k.dgamma, 0, k.channels << 2);
  memory.fill(k.dbeta, 0, k.channels << 2);
  for (let n = 0; n < k.samples; n++) {
    affine(k, n);
    let c = 0;
    for (; c + 4 <= k.channels; c += 4) backThroughSilu(k, n, c, true);
    for (; c < k.channels; c++) backThroughSilu(k, n, c, false);
    for (let g = 0; g < k.groups; g++) {
      let sum: f64 = 0;
      let product: f64 = 0;
      for (let c = g * perGroup; c < (g + 1) * perGroup; c++) {
        const d = load<f64>(k.work + (c << 3));
        const p = load<f64>(k.work + ((k.channels + c) << 3));
        const w: f64 = load<f32>(k.gamma + (c << 2));
        sum += w * d;
        product += w * p;
        store<f32>(k.dbeta + (c << 2), load<f32>(k.dbeta + (c << 2)) + <f32>d);
        store<f32>(k.dgamma + (c << 2), load<f32>(k.dgamma + (c << 2)) + <f32>p);
      }
      // dx = factor * d + slope * x + offset, with the means folded into slope and offset.
      const at = (n * k.groups + g) << 2;
      const s: f64 = load<f32>(k.scale + at);
      const slope = (-s * s * product) / size;
      const constant = (-s * sum) / size - slope * load<f32>(k.mean + at);
      for (let c = g * perGroup; c < (g + 1) * perGroup; c++) {
        store<f32>(row(k, SLOPE, c), <f32>slope);
        store<f32>(row(k, OFFSET, c), <f32>constant);
      }
    }
    c = 0;
    for (; c + 4 <= k.channels; c += 4) inputGradient(k, n, c, true);
    for (; c < k.channels; c++) inputGradient(k, n, c, false);
  }
}

/** Bytes before a sample in x, y and dy. */
@inline
function sampleOffset(k: Norm, n: i32): usize {
  return <usize>n * k.voxels * (k.channels << 2);
}

function groupSum(sums: usize, group: i32, perGroup: i32): f64 {
  let sum: f64 = 0;
  for (let c = group * perGroup; c < (group + 1) * perGroup; c++) sum += load<f64>(sums + (c << 3));
  return sum;
}

/** Writes a sample's norm for each channel: factor * x + offset, and without gamma and beta scale * x + shift. */
function affine(k: Norm, n: i32): void {
  const perGroup = k.channels / k.groups;
  for (let c = 0; c < k.channels; c++) {
    const at = (n * k.groups + c / perGroup) << 2;
    const mean = load<f32>(k.mean + at);
    const scale = load<f32>(k.scale + at);
    const factor = load<f32>(k.gamma + (c << 2)) * scale;
    store<f32>(row(k, FACTOR, c), factor);
    store<f32>(row(k, OFFSET, c), load<f32>(k.beta + (c << 2)) - factor * mean);
    store<f32>(row(k, SCALE, c), scale);
    store<f32>(row(k, SHIFT, c), -mean * scale);
  }
}

// Each of the functions below works on four channels from c on, or on one, for which the other lanes are not stored.

@inline
function apply(k: Norm, n: i32, c: i32, four: bool): void {
  const step = k.channels << 2;
  const x = k.x + sampleOffset(k, n) + (c << 2);
  const y = k.out - k.x;
  const f = take(row(k, FACTOR, c), four);
  const o = take(row(k, OFFSET, c), four);
  const withSilu = k.silu;
  for (let at = x, stop = x + <usize>k.voxels * step; at < stop; at += step) {
    const v = f32x4.add(f32x4.mul(take(at, four), f), o);
    put(at + y, withSilu ? silu(v) : v, four);
  }
}

@inline
function backThroughSilu(k: Norm, n: i32, c: i32, four: bool): void {
  const step = k.channels << 2;
  const x = k.x + sampleOffset(k, n);
  const dy = k.dy + sampleOffset(k, n);
  const dx = k.out + sampleOffset(k, n);
  const f = take(row(k, FACTOR, c), four);
  const o = take(row(k, OFFSET, c), four);
  const s = take(row(k, SCALE, c), four);
  const m = take(row(k, SHIFT, c), four);
  const withSilu = k.silu;
  const voxels = k.voxels;
  const stretch = four ? STRETCH : voxels; // single channels are summed in double precision
  let sumLow = f64x2.splat(0);
  let sumHigh = sumLow;
  let productLow = sumLow;
  let productHigh = sumLow;
  for (let i = 0; i < voxels; i += stretch) {
    let sum = f32x4.splat(0);
    let product = sum;
    let at = <usize>i * step + (c << 2);
    const stop = at + <usize>min(stretch, voxels - i) * step;
    for (; at < stop; at += step) {
      const v = take(x + at, four);
      let g = take(dy + at, four);
      if (withSilu) g = f32x4.mul(g, siluGradient(f32x4.add(f32x4.mul(v, f), o)));
      put(dx + at, g, four);
      const p = f32x4.mul(g, f32x4.add(f32x4.mul(v, s), m));
      if (four) {
        sum = f32x4.add(sum, g);
        product = f32x4.add(product, p);
      } else {
        sumLow = f64x2.add(sumLow, f64x2.promote_low_f32x4(g));
        productLow = f64x2.add(productLow, f64x2.promote_low_f32x4(p));
      }
    }
    if (four) {
      sumLow = f64x2.add(sumLow, f64x2.promote_low_f32x4(sum));
      productLow = f64x2.add(productLow, f64x2.promote_low_f32x4(product));
      sumHigh = f64x2.add(sumHigh, promoteHigh(sum));
      productHigh = f64x2.add(productHigh, promoteHigh(product));
    }
  }
  putSums(k.work + (c << 3), sumLow, sumHigh, four);
  putSums(k.work + ((k.channels + c) << 3), productLow, productHigh, four);
}

/** dx = factor * dx + slope * x + offset. */
@inline
function inputGradient(k: Norm, n: i32, c: i32, four: bool): void {
  const step = k.channels << 2;
  const x = k.x - k.out;
  const dx = k.out + sampleOffset(k, n) + (c << 2);
  const f = take(row(k, FACTOR, c), four);
  const o = take(row(k, OFFSET, c), four);
  const s = take(row(k, SLOPE, c), four);
  for (let at = dx, stop = dx + <usize>k.voxels * step; at < stop; at += step) {
    const v = f32x4.add(f32x4.mul(take(at + x, four), s), o);
    put(at, f32x4.add(f32x4.mul(take(at, four), f), v), four);
  }
}
