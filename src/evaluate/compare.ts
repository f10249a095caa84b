import { InvalidArgument } from '../errors';
import { ErrorSums, knownErrors } from '../fidelity/error-sums';
import { fitsMsSsim, msSsim } from '../fidelity/ms-ssim';
import { countUnknown } from '../fidelity/pair';
import { seamEnergy, seamProfile } from '../fidelity/seam';
import { fitsSsim, ssim } from '../fidelity/ssim';
import type { Grid } from '../patch/grid';
import type { WindowName } from '../patch/windows';
import { Reconstruction } from '../reconstruct/reconstruct';
import { axisNames } from '../vec3';
import { clip, type Intensity, type IntensitySpec, resolveIntensity } from '../volume/intensity';
import type { Volume } from '../volume/volume';
import { type MissingMetrics, missingMetrics, notesOnMissing } from './missing';

/** What figures and tables call the volume that the others are compared with. */
export const ORIGINAL = 'original';

/** How far one candidate is from the reference. */
export interface ComparisonRow {
  readonly name: string;
  /** dB, over the intensity window. */
  readonly psnr: number;
  /** 3D, of values minus the intensity window's low end; NaN if an axis is shorter than 11 voxels. */
  readonly ssim: number;
  /** Multi-scale SSIM, if all five scales fit: 176 voxels on every axis. */
  readonly msSsim?: number;
  /** In the volume's own units, clipped to the intensity window. */
  readonly mae: number;
  readonly rmse: number;
  /** How much more it jumps across patch borders than elsewhere, relative to the reference; 1 is seamless. */
  readonly seamEnergy?: number;
  /** exp(entropy) of the codes the volume used. */
  readonly perplexity?: number;
  /** Part of the codebook the volume used. */
  readonly usage?: number;
  /** Wall time of the reconstruction, if each candidate was made by itself. */
  readonly seconds?: number;
}

/** How one volume jumps around the patch borders of an axis. */
export interface NamedSeamProfile {
  readonly name: string;
  readonly axis: 'x' | 'y' | 'z';
  /** Voxels from a border, 0 for the jump across it. */
  readonly offsets: readonly number[];
  /** Mean absolute jump between neighbouring voxels there, in the volume's own units. */
  readonly jump: readonly number[];
  /** Voxels after which the model's own pattern repeats, as its downsampling makes it; absent where no model was. */
  readonly period?: number;
}

export interface CompareOptions {
  /** Default: that of the first reconstruction among the candidates, otherwise `auto` for the reference. */
  readonly intensity?: IntensitySpec;
  /** Where the patch borders are; default: that of the first reconstruction among the candidates. */
  readonly grid?: Grid;
  /**
   * Leaves out the voxels that are NaN in the reference and measures the others. By default a reference with NaN has no
   * metric, because a part of a volume is not the whole.
   */
  readonly ignoreNaN?: boolean;
  /** The window that a candidate was blended with, by its name; a reconstruction knows its own. */
  readonly windows?: Readonly<Record<string, WindowName>>;
}

/** A reference volume beside what others made of it: the data that figures and tables show. */
export class Comparison {
  constructor(
    readonly reference: Volume,
    readonly candidates: readonly { readonly name: string; readonly volume: Volume }[],
    readonly intensity: Intensity,
    readonly grid: Grid | undefined,
    readonly metrics: readonly ComparisonRow[],
    readonly seamProfiles: readonly NamedSeamProfile[],
    /** What a reader must know: what could not be measured and why, and how many voxels were left out. */
    readonly notes: readonly string[] = [],
    /** Metrics that are not there, and why. */
    readonly missing: readonly MissingMetrics[] = [],
    /** Voxels of the reference that are NaN. */
    readonly nanVoxels = 0,
  ) {}
}

/**
 * Measures candidates against a reference of the same shape, both clipped to the intensity window, and the jumps of each
 * across the patch borders of the grid. A reference with NaN voxels has no metric, or with `ignoreNaN` those of its other
 * voxels. A candidate must have a value wherever the reference has one. For the jumps NaN is the window's low value on
 * both sides.
 *
 * ```ts
 * const ct = await pw.readVolume('ct.nii.gz');
 * const [run] = await pw.listRuns();
 * const { linear, gaussian } = await pw.reconstruct(run!, ct, { windows: ['linear', 'gaussian'] });
 * pw.compareVolumes(ct, { linear, gaussian }); // shows slices, differences, seam profiles, metrics
 * ```
 * @throws InvalidArgument if there is no candidate or one has another shape
 */
export function compareVolumes(
  reference: Volume,
  candidates: Readonly<Record<string, Volume>>,
  options: CompareOptions = {},
): Comparison {
  const named = Object.entries(candidates).map(([name, volume]) => ({ name, volume }));
  if (named.length === 0) throw new InvalidArgument('candidates', 'at least one volume', {});
  for (const { name, volume } of named)
    if (volume.shape.some((size, axis) => size !== reference.shape[axis]))
      throw new InvalidArgument(
        `candidates.${name}`,
        `the reference's shape ${reference.shape.join(' x ')}`,
        [...volume.shape],
      );

  const made = named.map(({ volume }) => volume).filter((volume) => volume instanceof Reconstruction);
  const first = made.find(({ grid }) => grid.patches > 1) ?? made[0];
  const grid = options.grid ?? first?.grid;
  const intensity = options.intensity
    ? resolveIntensity(options.intensity, reference)
    : (first?.intensity ?? resolveIntensity('auto', reference));
  const { low, high } = intensity;
  const { shape } = reference;
  const range = { shape, dataRange: high - low, low };
  const expected = clip(reference.data, intensity);
  const unknown = countUnknown(expected);
  const { ignoreNaN = false } = options;
  const isMeasured = unknown < expected.length && (unknown === 0 || ignoreNaN);
  const filled = (data: Float32Array) =>
    unknown === 0 ? data : data.map((value, i) => (Number.isNaN(expected[i]!) ? low : value));
  const flat = filled(expected);
  const rows: ComparisonRow[] = [];
  const profiles: NamedSeamProfile[] = grid ? profilesOf(ORIGINAL, flat, grid) : [];
  for (const { name, volume } of named) {
    const data = clip(volume.data, intensity);
    const jumping = filled(data);
    // A reconstruction is measured at its own patches, everything else at the comparison's.
    const own = volume instanceof Reconstruction ? volume : undefined;
    const period = (own ?? first)?.downsample;
    const seams = { period, reference: flat, window: own?.window ?? options.windows?.[name] };
    const at = own?.grid ?? grid;
    const errors = isMeasured ? knownErrors(expected, data) : new ErrorSums();
    const energy = at && isMeasured ? seamEnergy(jumping, at, seams) : Number.NaN;
    rows.push({
      name,
      psnr: errors.psnr(range),
      ssim: isMeasured && fitsSsim(shape) ? ssim(expected, data, range) : Number.NaN,
      ...(isMeasured && fitsMsSsim(shape) && { msSsim: msSsim(expected, data, range) }),
      mae: errors.mae,
      rmse: errors.rmse,
      ...(!Number.isNaN(energy) && { seamEnergy: energy }),
      ...(own && { perplexity: own.perplexity, usage: own.usage }),
    });
    if (grid) profiles.push(...profilesOf(name, jumping, grid, own?.downsample));
  }
  const missing = missingMetrics(reference, rows, { unknown, ignoreNaN, patches: grid?.patches });
  const leftOut = `${unknown} of ${expected.length} voxels are NaN and count in no metric`;
  const notes = [...(isMeasured && unknown > 0 ? [leftOut] : []), ...notesOnMissing(missing)];
  return new Comparison(reference, named, intensity, grid, rows, profiles, notes, missing, unknown);
}

function profilesOf(
  name: string,
  data: Float32Array,
  grid: Grid,
  periods?: Reconstruction['downsample'],
): NamedSeamProfile[] {
  const axes = ([0, 1, 2] as const).filter((axis) => grid.counts[axis] > 1);
  return axes.map((axis) => {
    const { offsets, jumps } = seamProfile(data, grid, axis);
    const period = periods?.[axis];
    return { name, axis: axisNames[axis], offsets, jump: jumps, ...(period && { period }) };
  });
}
