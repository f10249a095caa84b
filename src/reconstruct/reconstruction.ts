import type { Grid } from '../patch/grid';
import type { WindowName } from '../patch/windows';
import type { ChosenCheckpoint } from '../train/record/choose-checkpoint';
import type { Vec3 } from '../vec3';
import type { Intensity } from '../volume/intensity';
import { Volume } from '../volume/volume';

/** How a model reconstructed a volume, patch by patch. */
export interface ReconstructionDetails {
  readonly grid: Grid;
  readonly window: WindowName;
  readonly intensity: Intensity;
  /** exp(entropy) of the codes the volume used. */
  readonly perplexity: number;
  /** Distinct codes the volume used over the size of the codebook. */
  readonly usage: number;
  /** How often the volume used each code, by the code's number. */
  readonly codeCounts: Float64Array;
  /** Voxels per latent `[x, y, z]`: the period of the model's own pattern. */
  readonly downsample: Vec3;
  /** Wall time from the first patch to the last voxel. */
  readonly seconds: number;
  /** The model that made it. */
  readonly checkpoint: ChosenCheckpoint;
}

/** A model's reconstruction of a volume, and how it was made. */
export class Reconstruction extends Volume implements ReconstructionDetails {
  readonly grid: Grid;
  readonly window: WindowName;
  readonly intensity: Intensity;
  readonly perplexity: number;
  readonly usage: number;
  readonly codeCounts: Float64Array;
  readonly downsample: Vec3;
  readonly seconds: number;
  readonly checkpoint: ChosenCheckpoint;

  constructor(init: ConstructorParameters<typeof Volume>[0], how: ReconstructionDetails) {
    super(init);
    this.grid = how.grid;
    this.window = how.window;
    this.intensity = how.intensity;
    this.perplexity = how.perplexity;
    this.usage = how.usage;
    this.codeCounts = how.codeCounts;
    this.downsample = how.downsample;
    this.seconds = how.seconds;
    this.checkpoint = how.checkpoint;
  }
}
