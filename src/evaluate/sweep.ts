import { InvalidArgument } from '../errors';
import type { WindowName } from '../patch/windows';
import type { ModelSource } from '../reconstruct/pass';
import { type Blending, type ReconstructOptions, reconstruct } from '../reconstruct/reconstruct';
import type { Volume } from '../volume/volume';
import { type CompareOptions, type ComparisonRow, compareVolumes } from './compare';

export interface SweepOptions
  extends Omit<ReconstructOptions, 'stride' | 'overlap'>,
    Pick<CompareOptions, 'ignoreNaN'> {
  /** Overlaps of neighbouring patches, as fractions of the patch. */
  readonly overlaps: readonly number[];
  /** Standard deviations of the gaussian window, as fractions of the patch. */
  readonly sigmas: readonly number[];
  /** Windows to try beside the gaussians; default constant, linear and hann. */
  readonly windows?: readonly WindowName[];
}

/** One way to blend, and how good it was. */
export interface SweepRow extends ComparisonRow {
  readonly overlap: number;
  readonly window: WindowName;
  /** Of gaussian windows. */
  readonly sigma?: number;
  /** Patches that the model had to decode: what the overlap costs. */
  readonly patches: number;
}

/**
 * Blends one volume in every way: each overlap takes one pass through the model, whose patches are then blended with
 * every window and every sigma. Errors are those of `reconstruct`.
 */
export async function sweepBlending(
  model: ModelSource,
  volume: Volume,
  options: SweepOptions,
): Promise<SweepRow[]> {
  const { overlaps, sigmas, windows = ['constant', 'linear', 'hann'], onProgress, ...rest } = options;
  if (overlaps.length === 0) throw new InvalidArgument('overlaps', 'at least one overlap', overlaps);
  const blends: Record<string, Blending> = {
    ...Object.fromEntries(windows.map((window) => [window, { window }])),
    ...Object.fromEntries(sigmas.map((sigma) => [`gaussian ${sigma}`, { window: 'gaussian', sigma }])),
  };
  const rows: SweepRow[] = [];
  for (const [i, overlap] of overlaps.entries()) {
    const made = await reconstruct(model, volume, {
      ...rest,
      overlap,
      windows: blends,
      onProgress: ({ done, total, what }) =>
        onProgress?.({ done: i * total + done, total: overlaps.length * total, what }),
    });
    const { intensity, ignoreNaN } = options;
    const { metrics } = compareVolumes(volume, made, { intensity, ignoreNaN });
    for (const row of metrics)
      rows.push({ ...row, ...blends[row.name]!, overlap, patches: made[row.name]!.grid.patches } as SweepRow);
  }
  return rows;
}
