import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { InvalidArgument } from '../errors';
import { extractPatch } from '../patch/extract';
import { type Grid, type GridOptions, planGrid } from '../patch/grid';
import { type CheckpointState, readState, type StateFile } from '../train/record/checkpoint';
import { type ChosenCheckpoint, checkpointAt, checkpointOfRun } from '../train/record/choose-checkpoint';
import { attach, Run } from '../train/run';
import type { RunConfig, WeightsName } from '../train/settings/config';
import { chosenByAuto, type Intensity, type IntensitySpec, resolveIntensity } from '../volume/intensity';
import type { Size } from '../volume/vec3';
import { viewVolume } from '../volume/view';
import type { Volume } from '../volume/volume';
import type { DecoderPatch } from './decoder-pool';

/** A trained model: a run, a run's id or folder, or the folder of a checkpoint. */
export type ModelSource = Run | string;

export interface PassOptions {
  /** Distance of neighbouring patches in voxels; default: that of the training. */
  readonly stride?: Size;
  /** The same as a fraction of the patch, or voxels; either this or `stride`. */
  readonly overlap?: GridOptions['overlap'];
  /** Which checkpoint of a run; default: as `chooseCheckpoint` says. */
  readonly checkpoint?: 'last' | 'best';
  /** Weights as trained, or their moving average where the run kept one; default: what the run's config says. */
  readonly use?: WeightsName;
  /** Default: the one the run was trained with. */
  readonly backend?: string;
  /** How the volume's values become the model's; default: as in the training. */
  readonly intensity?: IntensitySpec;
}

/** How a volume goes through a model, patch by patch. */
export interface Pass {
  readonly checkpoint: ChosenCheckpoint;
  readonly state: StateFile;
  readonly config: RunConfig;
  readonly backend: string;
  /** Which of the checkpoint's weights. */
  readonly use: WeightsName;
  readonly intensity: Intensity;
  /** What the model sees: the volume itself, or the resampled view its run was trained on. */
  readonly seen: Volume;
  /** The patches of what is seen. */
  readonly grid: Grid;
}

/** Plans a pass. @throws InvalidArgument for a model without a checkpoint, or options that do not fit it */
export async function planPass(model: ModelSource, volume: Volume, options: PassOptions): Promise<Pass> {
  const checkpoint = await chooseCheckpoint(model, options.checkpoint);
  const state = readState(checkpoint.dir);
  const { config, intensities } = state;
  const intensity = options.intensity
    ? resolveIntensity(options.intensity, volume)
    : intensityOf(volume, config.intensity, intensities);
  const view = config.view ?? 'full'; // checkpoints from before there were views have none
  // A model of the volume's centre saw voxels as they are, so it goes over the whole volume patch by patch.
  const seen = view === 'full' || view.how === 'crop' ? volume : viewVolume(volume, view);
  const { overlap, stride = overlap === undefined ? config.stride : undefined } = options;
  const grid = planGrid(seen.shape, { patch: config.patch, stride, overlap });
  const { use = config.use ?? 'trained', backend = config.backend } = options;
  return { checkpoint, state, config, intensity, seen, grid, backend, use };
}

/** Patches of a volume, all where `indices` is left out, cut out as they are asked for. */
export function* patchesOf(
  volume: Volume,
  grid: Grid,
  indices: Iterable<number> = Array(grid.patches).keys(),
): Generator<DecoderPatch> {
  for (const index of indices) yield { index, data: extractPatch(volume.data, grid, index) };
}

/**
 * The checkpoint that a model is used with, and why: `which` where that is given, else the best by validation, or the
 * last where none was ranked or the best is from before the run's discriminators. A checkpoint's own folder is itself.
 * @throws InvalidArgument if there is none
 */
export async function chooseCheckpoint(
  model: ModelSource,
  which?: 'last' | 'best',
): Promise<ChosenCheckpoint> {
  if (typeof model === 'string' && existsSync(join(model, 'state.json'))) return checkpointAt(model);
  if (typeof model === 'string' && statSync(model, { throwIfNoEntry: false })?.isFile())
    throw new InvalidArgument('model', 'a run or the folder of a checkpoint', model);
  // What `importSafetensors` made: checkpoints without a run.
  if (
    typeof model === 'string' &&
    existsSync(join(model, 'checkpoints')) &&
    !existsSync(join(model, 'config.json'))
  )
    return checkpointOfRun(model, which);
  const run = model instanceof Run ? model : await attach(model);
  return checkpointOfRun(run.dir, which);
}

/** A volume of the training keeps its map; another gets its own by the same rule. */
function intensityOf(
  volume: Volume,
  spec: CheckpointState['config']['intensity'],
  known: CheckpointState['intensities'],
): Intensity {
  const own = volume.source && known[volume.source];
  if (own) return own;
  const trained = Object.values(known);
  const [first] = trained;
  // A dataset that was prepared with an intensity keeps it where the config says `auto`: that one is the training's.
  const chosen =
    spec === 'auto' && first && trained.every(({ name }) => name === first.name) && !chosenByAuto(first);
  if (chosen && first.name !== 'minmax') return first;
  return resolveIntensity(chosen ? 'minmax' : spec, volume);
}
