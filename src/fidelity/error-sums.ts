import type { VoxelSource } from '../patch/extract';
import { errorSums, type Sums } from './error-loop';
import { countUnknown, expectRange, expectSameLength, type RangeOption } from './pair';

/**
 * Errors between a reference and a candidate, summed piece by piece (a slab, a patch), so that the volumes need not fit
 * in memory. Sums of float32 values are right to about 1e-7, all others to double precision.
 */
export class ErrorSums {
  private absolute = 0;
  private squared = 0;
  private most = 0;
  private values = 0;

  /** Adds the errors of two arrays of the same places. */
  add(reference: VoxelSource, candidate: VoxelSource): this {
    expectSameLength(reference, candidate);
    const bothFloat = reference instanceof Float32Array && candidate instanceof Float32Array;
    const { absolute, squared, greatest } = bothFloat
      ? errorSums(reference, candidate)
      : plainErrorSums(reference, candidate);
    this.absolute += absolute;
    this.squared += squared;
    this.most = Math.max(this.most, greatest);
    this.values += reference.length;
    return this;
  }

  get count(): number {
    return this.values;
  }

  /** NaN before the first value. */
  get mae(): number {
    return this.absolute / this.values;
  }

  get mse(): number {
    return this.squared / this.values;
  }

  get rmse(): number {
    return Math.sqrt(this.mse);
  }

  /** The greatest absolute error; NaN where any error is. */
  get greatest(): number {
    return Number.isNaN(this.mae) ? Number.NaN : this.most;
  }

  /** In dB; Infinity for equal data. */
  psnr({ dataRange }: RangeOption): number {
    return psnrOfMse(this.mse, { dataRange });
  }
}

/** Peak signal-to-noise ratio in dB of a mean squared error. */
export function psnrOfMse(mse: number, { dataRange }: RangeOption): number {
  return 10 * Math.log10(expectRange(dataRange) ** 2 / mse);
}

/**
 * Peak signal-to-noise ratio in dB, Infinity for equal data, as scikit-image's `peak_signal_noise_ratio`.
 *
 * ```ts
 * const ct = await pw.readVolume('ct.nii.gz');
 * const half = pw.resampleVolume(pw.viewVolume(ct, { how: 'resample', shape: [32, 32, 24] }), ct.shape);
 * console.log(pw.psnr(ct.data, half.data, { dataRange: 2000 }), 'dB');
 * ```
 */
export function psnr(reference: VoxelSource, candidate: VoxelSource, options: RangeOption): number {
  return new ErrorSums().add(reference, candidate).psnr(options);
}

/** Mean absolute error in the data's own units: Hounsfield units for a volume as read. */
export function mae(reference: VoxelSource, candidate: VoxelSource): number {
  return new ErrorSums().add(reference, candidate).mae;
}

/** Root mean squared error in the data's own units: Hounsfield units for a volume as read. */
export function rmse(reference: VoxelSource, candidate: VoxelSource): number {
  return new ErrorSums().add(reference, candidate).rmse;
}

/**
 * The errors where the reference has a value. A voxel that is NaN in the reference (background after resampling, for
 * example) has no truth to compare with, so it counts in no measure. A NaN of the candidate does count: a model must
 * give a value everywhere.
 */
export function knownErrors(reference: Float32Array, candidate: Float32Array): ErrorSums {
  const unknown = countUnknown(reference);
  if (unknown === reference.length) return new ErrorSums();
  if (unknown === 0) return new ErrorSums().add(reference, candidate);
  const has = (_: number, i: number) => !Number.isNaN(reference[i]!);
  return new ErrorSums().add(reference.filter(has), candidate.filter(has));
}

/** For all types that the fast loop does not take. */
function plainErrorSums(reference: VoxelSource, candidate: VoxelSource): Sums {
  let [absolute, squared, greatest] = [0, 0, 0];
  for (let i = 0; i < reference.length; i++) {
    const error = candidate[i]! - reference[i]!;
    absolute += Math.abs(error);
    squared += error * error;
    if (Math.abs(error) > greatest) greatest = Math.abs(error);
  }
  return { absolute, squared, greatest };
}
