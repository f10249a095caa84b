import { expectLength, type VoxelSource } from '../patch/extract';
import { checkShape, type Vec3, voxelCount } from '../vec3';
import { expectLow, expectRange, expectSameLength } from './pair';
import { gaussianTaps, K1, K2, type SsimOptions } from './ssim';

/**
 * SSIM at every voxel, over the windows of `ssim`. It is NaN within five voxels of the volume's edge, where a window
 * would reach over it, and where the reference has a NaN in the window; its mean over the rest is `ssim`. It shows where
 * a reconstruction fails and needs the memory of some six volumes in double precision: to measure, use `ssim`.
 *
 * @returns `[z, y, x]`
 */
export function ssimMap(reference: VoxelSource, candidate: VoxelSource, options: SsimOptions): Float32Array {
  const { dataRange, low = 0, signal } = options;
  const shape = checkShape('shape', options.shape);
  expectSameLength(reference, candidate);
  expectLength('reference', reference, voxelCount(shape), 'the shape given');
  expectLow(low);
  const c1 = (K1 * expectRange(dataRange)) ** 2;
  const c2 = (K2 * dataRange) ** 2;
  const filtered = (value: (i: number) => number): Float64Array => {
    signal?.throwIfAborted();
    return filter(
      Float64Array.from({ length: reference.length }, (_, i) => value(i)),
      shape,
    );
  };
  const a = (i: number) => reference[i]! - low;
  const b = (i: number) => candidate[i]! - low;
  const meanA = filtered(a);
  const meanB = filtered(b);
  const meanAB = filtered((i) => a(i) * b(i));
  const squares = filtered((i) => a(i) ** 2 + b(i) ** 2);
  return Float32Array.from(meanA, (a, i) => {
    const b = meanB[i]!;
    const covariance = meanAB[i]! - a * b;
    const variances = squares[i]! - a * a - b * b;
    return ((2 * a * b + c1) * (2 * covariance + c2)) / ((a * a + b * b + c1) * (variances + c2));
  });
}

/** Gaussian means along the three axes; NaN where a window reaches over the edge. */
function filter(values: Float64Array, shape: Vec3): Float64Array {
  const taps = gaussianTaps();
  const radius = (taps.length - 1) / 2;
  const steps = [1, shape[0], shape[0] * shape[1]] as const;
  let source = values;
  for (const axis of [0, 1, 2] as const) {
    const [size, step] = [shape[axis], steps[axis]];
    const out = new Float64Array(values.length).fill(Number.NaN);
    for (let i = 0; i < out.length; i++) {
      const at = Math.floor(i / step) % size;
      if (at < radius || at >= size - radius) continue;
      let sum = 0;
      for (let t = 0; t < taps.length; t++) sum += taps[t]! * source[i + (t - radius) * step]!;
      out[i] = sum;
    }
    source = out;
  }
  return source;
}
