import { type BlendOptions, blend, blendSlabs, type Patches } from '../patch/blend';
import type { Grid } from '../patch/grid';
import { type Sink, sinkOf, type Written, writeTo } from '../patch/sink';
import type { DatasetVolumeOptions } from '../volume/prepare/write-volume';
import { resampleVolume } from '../volume/view';
import type { VolumePlace } from '../volume/volume';
import { Volume } from '../volume/volume';

/** Where the patches of a model lie. */
export interface Canvas {
  readonly volume: VolumePlace;
  /** What the model saw, if that was a resampled view of the volume. */
  readonly view?: VolumePlace;
  /** The patches of what it saw. */
  readonly grid: Grid;
}

type Options = Pick<BlendOptions, 'window' | 'sigma' | 'skip' | 'fill' | 'mask' | 'signal'>;

/** Blends the patches of a model to the voxels of the volume, `[z, y, x]`. */
export async function blendVolume(
  { volume, view, grid }: Canvas,
  patches: Patches,
  options: Options,
): Promise<Float32Array> {
  if (!view) return blend(grid, patches, options);
  const { mask, ...rest } = options; // the mask has the volume's size, not the view's
  const { fill = 0 } = options;
  const { shape, spacing, affine } = view;
  const blended = new Volume({ shape, spacing, affine, data: await blend(grid, patches, rest) });
  const { data } = resampleVolume(blended, volume.shape);
  if (mask) for (let i = 0; i < data.length; i++) if (mask[i] === 0) data[i] = fill;
  return data;
}

/**
 * The same into a file or a dataset. Memory is that of a slab; a resampled view takes that of the volume. `known` is
 * what a dataset says of the volume unless the sink says otherwise.
 */
export async function blendVolumeTo(
  to: Sink,
  canvas: Canvas,
  patches: Patches,
  options: Options,
  known: Pick<DatasetVolumeOptions, 'name' | 'source' | 'intensity'>,
): Promise<Written> {
  const { volume, view, grid } = canvas;
  const sink = sinkOf(to); // before the work
  const slabs = view
    ? [{ z: 0, depth: volume.shape[2], data: await blendVolume(canvas, patches, options) }]
    : blendSlabs(grid, patches, { ...options, ordered: true, reuse: true });
  return writeTo(sink, volume, slabs, { ...known, signal: options.signal });
}
