import type { VolumePlace } from '../volume/volume';
import { type WriteOptions, writeSlabs } from '../volume/write';
import { type BlendOptions, blendSlabs, type Patches, type PatchSource } from './blend';
import { expectPlace } from './blend-dataset';
import type { Grid } from './grid';

export interface BlendToFileOptions
  extends Omit<BlendOptions, 'channels' | 'ordered' | 'reuse'>,
    Omit<WriteOptions, 'signal' | 'onProgress'> {
  /** Where the volume is in the patient: a Volume of the grid's size, or its place alone. */
  readonly like: VolumePlace;
}

/**
 * Blends the patches of a grid straight into a NIfTI file. In the grid's order memory is that of one patch's depth of
 * planes, whatever the volume's; the file appears complete or not at all. Errors are those of `blendSlabs` and
 * `writeVolume`.
 */
export async function blendToFile(
  grid: Grid,
  patches: Patches | PatchSource,
  path: string,
  options: BlendToFileOptions,
): Promise<void> {
  const { like, dtype, slope, intercept, level, version, ...blend } = options;
  expectPlace(like, grid);
  const slabs = blendSlabs(grid, patches, { ...blend, ordered: true, reuse: true });
  await writeSlabs(path, like, slabs, { dtype, slope, intercept, level, version, signal: blend.signal });
}
