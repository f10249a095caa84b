import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { InvalidArgument } from '../errors';
import { extractPatch } from '../patch/extract';
import { type Grid, type GridOptions, planGrid } from '../patch/grid';
import { type CheckpointState, readState, type StateFile } from '../train/record/checkpoint';
import { type ChosenCheckpoint, checkpointAt, checkpointOfRun } from '../train/record/choose-checkpoint';
import { Run } from '../train/run';
import { attach } from '../train/runs';
import type { RunConfig, WeightsName } from '../train/settings/config';
import type { Size } from '../vec3';
import { chosenByAuto, type Intensity, type IntensitySpec, resolveIntensity } from '../volume/intensity';
import { takeView } from '../volume/view';
import type { Volume } from '../volume/volume';
import type { ModelPatch, ModelSetup } from './model-threads';

/** A trained model: a run, a run's id or folder, or the folder of a checkpoint. */
export type ModelSource = Run | string;

/** Which patches go through which of a model's weights, and by what. */
export interface PassOptions {
  /** Distance of neighbouring patches in voxels; default: as in the training. */
  readonly stride?: Size;
  /** The same as a fraction of the patch, or voxels; either this or `stride`. */
  readonly overlap?: GridOptions['overlap'];
  /** Which checkpoint of a run; default: the one that `chooseCheckpoint` chooses. */
  readonly checkpoint?: 'last' | 'best';
  /** Weights as trained, or their moving average if the run kept one; default: what the run's config says. */
  readonly use?: WeightsName;
  /** Default: the one the run was trained with. */
  readonly backend?: string;
  /** How the volume's values become the model's; default: as in the training. */
  readonly intensity?: IntensitySpec;
  /** Threads that send patches through the model; default: as many as backend, cores and memory allow, one on a GPU. */
  readonly workers?: number;
}

/** How a volume goes through a model, patch by patch. */
interface Pass {
  readonly checkpoint: ChosenCheckpoint;
  readonly state: StateFile;
  readonly config: RunConfig;
  readonly setup: ModelSetup & { readonly use: WeightsName };
  /** What the model sees if that is not the volume itself: the resampled view that its run was trained on. */
  readonly view?: Volume;
  /** The patches of what it sees. */
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
  const trained = config.view ?? 'full'; // checkpoints from before there were views have none
  // A model of the volume's centre saw voxels at full resolution, so it takes the whole volume patch by patch.
  const view = trained === 'full' || trained.how === 'crop' ? undefined : takeView(volume, trained);
  const { overlap, stride = overlap === undefined ? config.stride : undefined } = options;
  const { patch } = config;
  const grid = planGrid((view ?? volume).shape, { patch, stride, overlap });
  const { use = config.use ?? 'trained', backend = config.backend } = options;
  return {
    checkpoint,
    state,
    config,
    view,
    grid,
    setup: { checkpoint: checkpoint.dir, use, backend, intensity, patch },
  };
}

/** Patches of a volume, by default all, cut out as they are asked for. */
export function* patchesOf(
  volume: Volume,
  grid: Grid,
  indices: Iterable<number> = Array(grid.patches).keys(),
): Generator<ModelPatch> {
  for (const index of indices) yield { index, data: extractPatch(volume.data, grid, index) };
}

/**
 * The checkpoint to use of a model, and why: `which` if given, otherwise the best by validation, or the last if none was
 * ranked or the best is from before the run's discriminators. The folder of a checkpoint means that checkpoint.
 * @throws InvalidArgument if there is none
 */
export async function chooseCheckpoint(
  model: ModelSource,
  which?: 'last' | 'best',
): Promise<ChosenCheckpoint> {
  if (model instanceof Run) return checkpointOfRun(model.dir, which);
  if (existsSync(join(model, 'state.json'))) return checkpointAt(model);
  if (statSync(model, { throwIfNoEntry: false })?.isFile())
    throw new InvalidArgument('model', 'a run or the folder of a checkpoint', model);
  // `importSafetensors` makes checkpoints without a run.
  const imported = existsSync(join(model, 'checkpoints')) && !existsSync(join(model, 'config.json'));
  return checkpointOfRun(imported ? model : (await attach(model)).dir, which);
}

/** A volume of the training keeps its intensity; another one gets its own by the same rule. */
function intensityOf(
  volume: Volume,
  spec: CheckpointState['config']['intensity'],
  known: CheckpointState['intensities'],
): Intensity {
  const own = volume.source && known[volume.source];
  if (own) return own;
  const trained = Object.values(known);
  const [first] = trained;
  // `auto` takes the intensity that a dataset was prepared with, so the training chose that one.
  const chosen =
    spec === 'auto' && first && trained.every(({ name }) => name === first.name) && !chosenByAuto(first);
  if (chosen && first.name !== 'minmax') return first;
  return resolveIntensity(chosen ? 'minmax' : spec, volume);
}
