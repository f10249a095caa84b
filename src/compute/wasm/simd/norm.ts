/**
 * Group normalisation, with SiLU in the same pass. x is [n, voxels, channels]; each sum over voxels is kept for each
 * channel, in single precision over stretches of 32 voxels and in double precision over the stretches.
 */
import { silu, siluGradient } from './silu';

const STRETCH: i32 = 32;

/**
 * @param y [n, voxels, channels]
 * @param mean [n, groups]
 * @param scale [n, groups], reciprocal standard deviations
 * @param work 2 doubles for each channel, then a float for each channel
 */
export function groupNorm(
  x: usize,
  gamma: usize,
  beta: usize,
  y: usize,
  mean: usize,
  scale: usize,
  work: usize,
  samples: i32,
  voxels: i32,
  channels: i32,
  groups: i32,
  eps: f32,
  withSilu: i32,
): void {
  const perGroup = channels / groups;
  const size: f64 = <f64>voxels * perGroup;
  const sample = <usize>voxels * (channels << 2);
  const center = work + (channels << 4);
  for (let n = 0; n < samples; n++) {
    const m = mean + <usize>n * (groups << 2);
    const s = scale + <usize>n * (groups << 2);
    memory.fill(center, 0, channels << 2);
    moments(x + <usize>n * sample, center, work, voxels, channels, false);
    for (let g = 0; g < groups; g++) {
      let sum: f64 = 0;
      for (let c = g * perGroup; c < (g + 1) * perGroup; c++) sum += load<f64>(work + (c << 3));
      store<f32>(m + (g << 2), <f32>(sum / size));
      for (let c = g * perGroup; c < (g + 1) * perGroup; c++) store<f32>(center + (c << 2), <f32>(sum / size));
    }
    moments(x + <usize>n * sample, center, work, voxels, channels, true);
    for (let g = 0; g < groups; g++) {
      let sum: f64 = 0;
      for (let c = g * perGroup; c < (g + 1) * perGroup; c++) sum += load<f64>(work + (c << 3));
      store<f32>(s + (g << 2), <f32>(1 / Math.sqrt(sum / size + eps)));
    }
  }
  normalise(x, gamma, beta, y, mean, scale, work, samples, voxels, channels, groups, withSilu);
}

/**
 * y of `groupNorm` from its statistics.
 *
 * @param work 2 floats for each channel
 */
export function normalise(
  x: usize,
  gamma: usize,
  beta: usize,
  y: usize,
  mean: usize,
  scale: usize,
  work: usize,
  samples: i32,
  voxels: i32,
  channels: i32,
  groups: i32,
  withSilu: i32,
): void {
  const perGroup = channels / groups;
  const sample = <usize>voxels * (channels << 2);
  const offset = work + (channels << 2);
  for (let n = 0; n < samples; n++) {
    for (let g = 0; g < groups; g++) {
      affine(gamma, beta, work, offset, g * perGroup, perGroup, load<f32>(mean + (g << 2)), load<f32>(scale + (g << 2)));
    }
    apply(x, y, work, offset, voxels, channels, withSilu);
    x += sample;
    y += sample;
    mean += groups << 2;
    scale += groups << 2;
  }
}

/** The norm of a channel as one product and sum: factor * x + offset. */
function affine(
  gamma: usize,
  beta: usize,
  factor: usize,
  offset: usize,
  first: i32,
  count: i32,
  mean: f32,
  scale: f32,
): void {
  for (let at = first << 2; at < (first + count) << 2; at += 4) {
    const f = load<f32>(gamma + at) * scale;
    store<f32>(factor + at, f);
    store<f32>(offset + at, load<f32>(beta + at) - f * mean);
  }
}

/** For each channel the sum of x - center, or of its square. */
function moments(x: usize, center: usize, sums: usize, voxels: i32, channels: i32, square: bool): void {
  const step = channels << 2;
  let c = 0;
  for (; c + 4 <= channels; c += 4) {
    const m = v128.load(center + (c << 2));
    let low = f64x2.splat(0);
    let high = low;
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
      low = f64x2.add(low, f64x2.promote_low_f32x4(part));
      high = f64x2.add(high, f64x2.promote_low_f32x4(v128.shuffle<f32>(part, part, 2, 3, 2, 3)));
    }
    v128.store(sums + (c << 3), low);
    v128.store(sums + (c << 3), high, 16);
  }
  for (; c < channels; c++) {
    const m: f64 = load<f32>(center + (c << 2));
    let sum: f64 = 0;
    for (let i = 0, at = x + (c << 2); i < voxels; i++, at += step) {
      const v = <f64>load<f32>(at) - m;
      sum += square ? v * v : v;
    }
    store<f64>(sums + (c << 3), sum);
  }
}

function apply(
  x: usize,
  y: usize,
  factor: usize,
  offset: usize,
  voxels: i32,
  channels: i32,
  withSilu: i32,
): void {
  const step = channels << 2;
  let c = 0;
  for (; c + 4 <= channels; c += 4) {
    const f = v128.load(factor + (c << 2));
    const o = v128.load(offset + (c << 2));
    for (let i = 0, at: usize = c << 2; i < voxels; i++, at += step) {
      const v = f32x4.add(f32x4.mul(v128.load(x + at), f), o);
      v128.store(y + at, withSilu ? silu(v) : v);
    }
  }
  for (; c < channels; c++) {
    const f = load<f32>(factor + (c << 2));
    const o = load<f32>(offset + (c << 2));
    for (let i = 0, at: usize = c << 2; i < voxels; i++, at += step) {
      const v = load<f32>(x + at) * f + o;
      store<f32>(y + at, withSilu ? f32x4.extract_lane(silu(f32x4.splat(v)), 0) : v);
    }
  }
}

/**
 * dx = scale * (gamma * d - mean over the group of (gamma * d) - normalised * mean of (gamma * d * normalised)), where
 * d is dy brought back through SiLU. The first pass writes d into dx and sums d and d * normalised by channel.
 *
 * @param work 2 doubles for each channel, then 4 floats for each channel
 * @param dgamma [channels], zeros at first
 * @param dbeta [channels], zeros at first
 */
export function groupNormGradient(
  dy: usize,
  x: usize,
  gamma: usize,
  beta: usize,
  mean: usize,
  scale: usize,
  dx: usize,
  dgamma: usize,
  dbeta: usize,
  work: usize,
  samples: i32,
  voxels: i32,
  channels: i32,
  groups: i32,
  withSilu: i32,
): void {
  const perGroup = channels / groups;
  const size: f64 = <f64>voxels * perGroup;
  const sample = <usize>voxels * (channels << 2);
  const products = work + (channels << 3);
  const factor = work + (channels << 4);
  const offset = factor + (channels << 2);
  const scales = offset + (channels << 2);
  const shifts = scales + (channels << 2);
  for (let n = 0; n < samples; n++) {
    for (let c = 0; c < channels; c++) {
      const g = c / perGroup;
      const s = load<f32>(scale + (g << 2));
      const m = load<f32>(mean + (g << 2));
      store<f32>(scales + (c << 2), s);
      store<f32>(shifts + (c << 2), -m * s);
      affine(gamma, beta, factor, offset, c, 1, m, s);
    }
    backThroughSilu(dy, x, dx, factor, offset, scales, shifts, work, products, voxels, channels, withSilu);
    for (let g = 0; g < groups; g++) {
      let sum: f64 = 0;
      let product: f64 = 0;
      for (let c = g * perGroup; c < (g + 1) * perGroup; c++) {
        const d = load<f64>(work + (c << 3));
        const p = load<f64>(products + (c << 3));
        const w: f64 = load<f32>(gamma + (c << 2));
        sum += w * d;
        product += w * p;
        store<f32>(dbeta + (c << 2), load<f32>(dbeta + (c << 2)) + <f32>d);
        store<f32>(dgamma + (c << 2), load<f32>(dgamma + (c << 2)) + <f32>p);
      }
      // dx = factor * d + slope * x + offset, with the means folded into slope and offset.
      const s: f64 = load<f32>(scale + (g << 2));
      const slope = (-s * s * product) / size;
      const constant = (-s * sum) / size - slope * load<f32>(mean + (g << 2));
      for (let c = g * perGroup; c < (g + 1) * perGroup; c++) {
        store<f32>(scales + (c << 2), <f32>slope);
        store<f32>(offset + (c << 2), <f32>constant);
      }
    }
    inputGradient(x, dx, factor, scales, offset, voxels, channels);
    x += sample;
    dy += sample;
    dx += sample;
    mean += groups << 2;
    scale += groups << 2;
  }
}

function backThroughSilu(
  dy: usize,
  x: usize,
  d: usize,
  factor: usize,
  offset: usize,
  scales: usize,
  shifts: usize,
  sums: usize,
  products: usize,
  voxels: i32,
  channels: i32,
  withSilu: i32,
): void {
  const step = channels << 2;
  let c = 0;
  for (; c + 4 <= channels; c += 4) {
    const f = v128.load(factor + (c << 2));
    const o = v128.load(offset + (c << 2));
    const s = v128.load(scales + (c << 2));
    const m = v128.load(shifts + (c << 2));
    let sumLow = f64x2.splat(0);
    let sumHigh = sumLow;
    let productLow = sumLow;
    let productHigh = sumLow;
    for (let i = 0; i < voxels; i += STRETCH) {
      let sum = f32x4.splat(0);
      let product = sum;
      let at = <usize>i * step + (c << 2);
      const stop = at + <usize>min(STRETCH, voxels - i) * step;
      for (; at < stop; at += step) {
        const v = v128.load(x + at);
        let g = v128.load(dy + at);
        if (withSilu) g = f32x4.mul(g, siluGradient(f32x4.add(f32x4.mul(v, f), o)));
        v128.store(d + at, g);
        sum = f32x4.add(sum, g);
        product = f32x4.add(product, f32x4.mul(g, f32x4.add(f32x4.mul(v, s), m)));
      }
      sumLow = f64x2.add(sumLow, f64x2.promote_low_f32x4(sum));
      sumHigh = f64x2.add(sumHigh, f64x2.promote_low_f32x4(v128.shuffle<f32>(sum, sum, 2, 3, 2, 3)));
      productLow = f64x2.add(productLow, f64x2.promote_low_f32x4(product));
      productHigh = f64x2.add(
        productHigh,
        f64x2.promote_low_f32x4(v128.shuffle<f32>(product, product, 2, 3, 2, 3)),
      );
    }
    v128.store(sums + (c << 3), sumLow);
    v128.store(sums + (c << 3), sumHigh, 16);
    v128.store(products + (c << 3), productLow);
    v128.store(products + (c << 3), productHigh, 16);
  }
  for (; c < channels; c++) {
    const f = load<f32>(factor + (c << 2));
    const o = load<f32>(offset + (c << 2));
    const s = load<f32>(scales + (c << 2));
    const m = load<f32>(shifts + (c << 2));
    let sum: f64 = 0;
    let product: f64 = 0;
    for (let i = 0, at: usize = c << 2; i < voxels; i++, at += step) {
      const v = load<f32>(x + at);
      let g = load<f32>(dy + at);
      if (withSilu) g *= f32x4.extract_lane(siluGradient(f32x4.splat(v * f + o)), 0);
      store<f32>(d + at, g);
      sum += g;
      product += g * (v * s + m);
    }
    store<f64>(sums + (c << 3), sum);
    store<f64>(products + (c << 3), product);
  }
}

/** dx = factor * dx + slope * x + offset for each channel. */
function inputGradient(
  x: usize,
  dx: usize,
  factor: usize,
  slope: usize,
  offset: usize,
  voxels: i32,
  channels: i32,
): void {
  const step = channels << 2;
  let c = 0;
  for (; c + 4 <= channels; c += 4) {
    const f = v128.load(factor + (c << 2));
    const s = v128.load(slope + (c << 2));
    const o = v128.load(offset + (c << 2));
    for (let i = 0, at: usize = c << 2; i < voxels; i++, at += step) {
      const v = f32x4.add(f32x4.mul(v128.load(x + at), s), o);
      v128.store(dx + at, f32x4.add(f32x4.mul(v128.load(dx + at), f), v));
    }
  }
  for (; c < channels; c++) {
    const f = load<f32>(factor + (c << 2));
    const s = load<f32>(slope + (c << 2));
    const o = load<f32>(offset + (c << 2));
    for (let i = 0, at: usize = c << 2; i < voxels; i++, at += step) {
      store<f32>(dx + at, load<f32>(dx + at) * f + load<f32>(x + at) * s + o);
    }
  }
}
