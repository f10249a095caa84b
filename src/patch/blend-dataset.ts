import { InvalidArgument } from '../errors';
import { type DatasetVolumeOptions, writeDatasetVolume } from '../volume/prepare/write-volume';
import type { VolumePlace } from '../volume/volume';
import { type BlendOptions, blendSlabs, type Patches, type PatchSource } from './blend';
import type { Grid } from './grid';

export interface BlendToDatasetOptions
  extends Omit<BlendOptions, 'channels' | 'ordered' | 'reuse' | 'signal'>,
    DatasetVolumeOptions {
  /** Where the volume is in the patient: a Volume of the grid's size, or its place alone. */
  readonly like: VolumePlace;
}

/**
 * Blends the patches of a grid straight into a dataset, as one of its volumes; gives its name. In the grid's order
 * memory is that of one patch's depth of planes, whatever the volume's. Errors are those of `blendSlabs` and
 * `writeDatasetVolume`.
 */
export async function blendToDataset(
  grid: Grid,
  patches: Patches | PatchSource,
  dir: string,
  options: BlendToDatasetOptions,
): Promise<string> {
  const { like, window, sigma, skip, fill, mask, threads, memory, onProgress, ...volume } = options;
  expectPlace(like, grid);
  const blend = { window, sigma, skip, fill, mask, threads, memory, onProgress, signal: options.signal };
  const slabs = blendSlabs(grid, patches, { ...blend, ordered: true, reuse: true });
  return writeDatasetVolume(dir, like, slabs, { blended: true, ...volume });
}

/** @throws InvalidArgument where a place is not of the grid's size */
export function expectPlace(like: VolumePlace, { volume }: Grid): void {
  if (like.shape.some((size, axis) => size !== volume[axis]))
    throw new InvalidArgument('like', `a place of the grid's size, ${volume.join(' x ')}`, [...like.shape]);
}
