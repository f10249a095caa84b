import { InvalidArgument } from '../errors';
import type { Volume } from './volume';

/**
 * Maps a file's values to the model's: a Hounsfield window by name, the file's own range ('minmax'), a pair [low, high],
 * or 'auto', which takes 'ctpa' if the values look like Hounsfield units, else 'minmax'.
 */
export type IntensitySpec = 'auto' | IntensityPreset | 'minmax' | readonly [number, number];
type IntensityPreset = 'ctpa' | 'lung' | 'mediastinum';

/** A linear map from [low, high] to [-1, 1]. Values outside are clipped. */
export interface Intensity {
  /** The chosen spec. If 'auto' chose it, the name says why. */
  readonly name: string;
  readonly low: number;
  readonly high: number;
  readonly units: 'HU' | 'file';
}

/** Hounsfield windows [low, high]. 'ctpa' is that of X-ray-to-CTPA; the others are usual in radiology. */
export const intensityPresets: Readonly<Record<IntensityPreset, readonly [number, number]>> = {
  ctpa: [-200, 500],
  lung: [-1350, 150], // level -600, width 1500
  mediastinum: [-160, 240], // level 40, width 400
};

/** A lower minimum means Hounsfield units: air is -1000 HU, and display ranges start at 0 or above. */
export const hounsfieldBelow = -200;

/** Begins the reason in a name that 'auto' chose. Checkpoints store these names. */
const byAuto = '(auto';

/** Whether 'auto' chose it by one volume's values, so that another volume may get another one. */
export function chosenByAuto({ name }: Intensity): boolean {
  return name.includes(byAuto);
}

/** The intensity that `spec` means for this volume. Throws InvalidArgument for an unknown name or an empty range. */
export function resolveIntensity(spec: IntensitySpec, volume: Pick<Volume, 'data'>): Intensity {
  if (spec === 'minmax') return { name: 'minmax', ...fileRange(volume.data), units: 'file' };
  if (spec === 'auto') {
    const { low, high } = fileRange(volume.data);
    if (low < hounsfieldBelow) {
      return {
        ...preset('ctpa'),
        name: `ctpa ${byAuto}: minimum ${low} < ${hounsfieldBelow}, Hounsfield units)`,
      };
    }
    const name = `minmax ${byAuto}: minimum ${low} >= ${hounsfieldBelow}, no Hounsfield units)`;
    return { name, low, high, units: 'file' };
  }
  if (typeof spec === 'string') return preset(spec);
  const [low, high] = spec;
  if (!(Number.isFinite(low) && Number.isFinite(high) && low < high)) {
    throw new InvalidArgument('intensity', 'two finite numbers [low, high] with low < high', spec);
  }
  return { name: `[${low}, ${high}]`, low, high, units: 'file' };
}

/** Maps values to the model's: low to -1, high to 1, clipped. NaN becomes -1, so that no loss becomes NaN. */
export function toModel(
  data: Float32Array,
  intensity: Intensity,
  out: Float32Array = new Float32Array(data.length),
): Float32Array {
  const { low, high } = intensity;
  const scale = 2 / (high - low);
  for (let n = 0; n < data.length; n++) {
    const value = (data[n]! - low) * scale - 1;
    out[n] = value > -1 ? Math.min(value, 1) : -1;
  }
  return out;
}

/** Maps the model's values back to the file's: -1 to low, 1 to high, not clipped. */
export function fromModel(
  data: Float32Array,
  intensity: Intensity,
  out: Float32Array = new Float32Array(data.length),
): Float32Array {
  const { low, high } = intensity;
  const scale = (high - low) / 2;
  for (let n = 0; n < data.length; n++) out[n] = (data[n]! + 1) * scale + low;
  return out;
}

/** Clips values to [low, high]. NaN stays NaN. */
export function clip(data: Float32Array, { low, high }: Pick<Intensity, 'low' | 'high'>): Float32Array {
  return data.map((value) => Math.min(high, Math.max(low, value)));
}

function preset(name: IntensityPreset): Intensity {
  const range = Object.hasOwn(intensityPresets, name) ? intensityPresets[name] : undefined;
  if (!range) {
    const allowed = ['auto', ...Object.keys(intensityPresets), 'minmax', '[low, high]'];
    throw new InvalidArgument('intensity', 'an intensity', name, allowed);
  }
  return { name, low: range[0], high: range[1], units: 'HU' };
}

/** The file's own range; of length 1 if the file is constant or has no finite value. */
function fileRange(data: Float32Array): { low: number; high: number } {
  const [low, high] = finiteRange(data) ?? [0, 1];
  return low < high ? { low, high } : { low, high: low + 1 };
}

/** Least and greatest finite value of stored voxels, after scaling; undefined if no voxel is finite. */
export function valueRange(
  stored: ArrayLike<number>,
  { slope, intercept }: { readonly slope: number; readonly intercept: number },
): [number, number] | undefined {
  const ends = finiteRange(stored)?.map((end) => Math.fround(end * slope + intercept));
  return ends && [Math.min(...ends), Math.max(...ends)];
}

/** Least and greatest finite value; undefined if no value is finite. */
export function finiteRange(data: ArrayLike<number>): [number, number] | undefined {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (let n = 0; n < data.length; n++) {
    const value = data[n]!;
    if (value < low && value !== Number.NEGATIVE_INFINITY) low = value;
    if (value > high && value !== Number.POSITIVE_INFINITY) high = value;
  }
  return low > high ? undefined : [low, high];
}
