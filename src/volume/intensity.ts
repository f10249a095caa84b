import { InvalidArgument } from '../errors';
import type { Volume } from './volume';

/**
 * How a file's values become the model's: a Hounsfield window by name, the file's own range ('minmax'), a pair
 * [low, high], or 'auto', which takes 'ctpa' where the values look like Hounsfield units, else 'minmax'.
 */
export type IntensitySpec = 'auto' | IntensityPreset | 'minmax' | readonly [number, number];
export type IntensityPreset = 'ctpa' | 'lung' | 'mediastinum';

/** A linear map from [low, high] to [-1, 1], clipped outside. */
export interface Intensity {
  /** What was chosen; where 'auto' chose it, also why. */
  readonly name: string;
  readonly low: number;
  readonly high: number;
  readonly units: 'HU' | 'file';
}

/** Hounsfield windows [low, high]; CTPA's is that of X-ray-to-CTPA, the others radiology's usual ones. */
export const intensityPresets: Readonly<Record<IntensityPreset, readonly [number, number]>> = {
  ctpa: [-200, 500],
  lung: [-1350, 150], // level -600, width 1500
  mediastinum: [-160, 240], // level 40, width 400
};

/** Air is -1000 HU and no display range starts below 0, so a minimum under this means Hounsfield units. */
const hounsfieldBelow = -200;

/** Begins the reason in the name of what 'auto' chose; checkpoints hold such names. */
const byAuto = '(auto';

/** Whether 'auto' chose it by the values of a volume, so that another volume may get another. */
export function chosenByAuto({ name }: Intensity): boolean {
  return name.includes(byAuto);
}

/** The intensity map that `spec` means for this volume. Throws InvalidArgument for an unknown name or an empty range. */
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
    throw new InvalidArgument('intensity', 'two finite numbers [low, high], low below high', spec);
  }
  return { name: `[${low}, ${high}]`, low, high, units: 'file' };
}

/** Values to the model's: low to -1, high to 1, clipped; NaN to -1, so that no bad voxel poisons a loss. */
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

/** The model's values back to the file's: -1 to low, 1 to high, not clipped. */
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

/** Values outside the range at its ends; NaN stays NaN. */
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

/** The file's own range; one apart where the file is constant or has no finite value. */
function fileRange(data: Float32Array): { low: number; high: number } {
  const [low, high] = finiteRange(data) ?? [0, 1];
  return low < high ? { low, high } : { low, high: low + 1 };
}

/** Least and greatest finite value; undefined where there is none. */
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
