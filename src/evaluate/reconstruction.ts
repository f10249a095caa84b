import type { Grid } from '../patch/grid';
import type { WindowName } from '../patch/windows';
import type { Intensity } from '../volume/intensity';
import { Volume } from '../volume/volume';

/** What a model made of a volume, patch by patch, and how. */
export class Reconstruction extends Volume {
  readonly grid: Grid;
  readonly window: WindowName;
  readonly intensity: Intensity;
  /** exp(entropy) of the codes the volume used. */
  readonly perplexity: number;
  /** Distinct codes the volume used over the size of the codebook. */
  readonly usage: number;
  /** Wall time from the first patch to the last voxel. */
  readonly seconds: number;

  constructor(
    init: ConstructorParameters<typeof Volume>[0],
    how: Pick<Reconstruction, 'grid' | 'window' | 'intensity' | 'perplexity' | 'usage' | 'seconds'>,
  ) {
    super(init);
    this.grid = how.grid;
    this.window = how.window;
    this.intensity = how.intensity;
    this.perplexity = how.perplexity;
    this.usage = how.usage;
    this.seconds = how.seconds;
  }
}
