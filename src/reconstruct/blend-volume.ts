import { basename } from 'node:path';
import { type BlendOptions, blend, blendSlabs, type Patches } from '../patch/blend';
import type { Grid } from '../patch/grid';
import { type DatasetSink, type FileSink, type Sink, sinkOf, type Written, writeTo } from '../patch/sink';
import { withoutUndefined } from '../setting';
import type { Intensity } from '../volume/intensity';
import { plainName } from '../volume/prepare/sources';
import { resampleVolume } from '../volume/view';
import { Volume, type VolumePlace } from '../volume/volume';
import type { VoxelStorage } from '../volume/write';

/** Where the patches of a model lie. */
interface Canvas {
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
 * The same into a file or a dataset. Memory is that of a slab; a resampled view takes that of the volume. Unless the sink
 * says otherwise, a dataset names the volume `<source>-<window>`, and a file has the numbers of `stored`. What a model
 * makes outside a whole-number type is clipped.
 */
export async function blendVolumeTo(
  to: Sink,
  canvas: Canvas,
  patches: Patches,
  options: Options,
  {
    source,
    intensity,
    stored,
  }: { readonly source: string; readonly intensity: Intensity; readonly stored: VoxelStorage | undefined },
): Promise<Written> {
  const { volume, view, grid } = canvas;
  const { signal, window } = options;
  const sink = storedAs(sinkOf(to), stored); // before the work
  const name = `${plainName(basename(source))}-${window}`;
  const { low, high } = intensity;
  const slabs = view
    ? [{ z: 0, depth: volume.shape[2], data: await blendVolume(canvas, patches, options) }]
    : blendSlabs(grid, patches, { ...options, ordered: true, reuse: true });
  return writeTo(sink, volume, slabs, { name, source, intensity: [low, high], signal });
}

function storedAs(sink: FileSink | DatasetSink, stored: VoxelStorage | undefined): FileSink | DatasetSink {
  if (!('file' in sink)) return sink;
  return { clip: true, ...(sink.dtype === undefined && stored), ...withoutUndefined(sink) };
}
