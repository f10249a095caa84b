import type { Precision } from '../../compute/contract/backend';
import { InvalidConfig } from '../../errors';
import type { ModelConfig } from '../../model/config';
import type { GanConfig } from '../../model/discriminators/config';
import { PRESETS, type PresetName } from '../../model/presets';
import { fitQuantiser } from '../../model/quantisers/options';
import type { Checkpointing } from '../../model/resblock';
import type { IntensitySpec } from '../../volume/intensity';
import type { Vec3 } from '../../volume/vec3';
import type { BaselineView } from '../../volume/view';
import type { Volume } from '../../volume/volume';
import type { CollectiveName } from '../collective/connect';
import { checkFields, checkTogether } from './config-schema';
import type { BestMetric } from './measures';

/** Everything that decides what a run computes. Sizes are `[x, y, z]` in voxels. */
export interface RunConfig {
  /** Where the settings started from. */
  readonly preset: PresetName;
  /**
   * NIfTI files, generated phantoms `phantom:64x64x76` (`phantom:64x64x76#2` for one of another seed), or prepared
   * datasets, which bring their own split.
   */
  readonly data: readonly string[];
  /**
   * Fraction held out for validation, 0 for none: whole volumes where there are two or more, else a slab at the
   * upper z end of the only volume, which no training patch overlaps.
   */
  readonly validation: number;
  /** At most so many validation patches are measured, always the same, drawn by the seed. */
  readonly validationPatches: number;
  readonly intensity: IntensitySpec;
  /**
   * What the model sees of a volume: all its voxels, or the smaller view of a baseline, as `prepare` has it too
   * (`{ shape, how: 'resample' | 'crop' }`). A prepared dataset must have been prepared with that view.
   */
  readonly view: 'full' | BaselineView;
  readonly patch: Vec3;
  readonly stride: Vec3;
  readonly model: ModelConfig;
  /** Discriminators; none where `gan.slice` and `gan.patch` are 0. */
  readonly gan: GanConfig;
  /** LPIPS of a random slice of every patch. */
  readonly perceptual: PerceptualConfig;
  /** Processes that train together. */
  readonly ranks: number;
  /** What the ranks talk through: see `chooseCollective`. */
  readonly collective: CollectiveName;
  /** Threads of a rank's backend; by default the cores are shared out over the ranks of a host. */
  readonly threads?: number;
  /** `auto` or a backend's name. */
  readonly backend: string;
  /** What activations are stored in: `bf16` halves their memory, where the backend has it (`libtorch`). */
  readonly precision: Precision;
  /** What the backward pass computes anew to save memory: `blocks` every ResBlock. Gradients are the same. */
  readonly checkpointing: Checkpointing;
  readonly seed: number;
  /** Optimiser steps; either this or `epochs`. */
  readonly steps?: number;
  readonly epochs?: number;
  /** Patches per rank and pass through the model. */
  readonly batch: number;
  /** Passes whose gradients are added up before the ranks meet, once a step: a step has batch x accumulate x ranks patches. */
  readonly accumulate: number;
  /** What to do with the patches of an epoch that do not fill a step: begin again with the first, leave them out, or a smaller step. */
  readonly tail: Tail;
  readonly learningRate: number;
  /** Steps over which the learning rate grows to its full size. */
  readonly warmup: number;
  /** `adamw` decays the weights by `weightDecay` times the learning rate at every step; `adam` adds it to the gradient. */
  readonly optimiser: OptimiserName;
  readonly weightDecay: number;
  /** Decay, per step, of a moving average of the generator's weights; 0 keeps none. */
  readonly average: number;
  /** What is validated, and reconstructed with by default. `average` needs an average. */
  readonly use: WeightsName;
  /** The run stops when its smoothed reconstruction loss is so many times its lowest; 0 for never. */
  readonly divergence: number;
  /** `cosine` lets the learning rate fall to nearly nothing at the last step, so a run that is prolonged is another run. */
  readonly schedule: Schedule;
  /** Adam's decay rates of the first and the second moment. */
  readonly betas: readonly [number, number];
  /** Largest norm of the gradient over all weights, of generator and discriminators each; 0 does not clip. */
  readonly clip: number;
  /** Steps between records, validations, checkpoints and comparisons of the ranks' state; 0 for never. */
  readonly logEvery: number;
  readonly validateEvery: number;
  readonly checkpointEvery: number;
  readonly compareEvery: number;
  /** Newest checkpoints to keep, beside the best. */
  readonly keep: number;
  /**
   * Best checkpoints to keep, by a measure of the validation; a checkpoint is written whenever one joins them. Once
   * discriminators have joined, only checkpoints from then on count; once they have their full weight, only later ones.
   */
  readonly keepBest: number;
  readonly bestMetric: BestMetric;
  /** How often a group that lost a rank starts again from the last checkpoint. */
  readonly restarts: number;
  /**
   * Validations in a row without a better `bestMetric` after which the run is done; 0 goes on to the last step. With
   * discriminators they are counted from when these have their full weight.
   */
  readonly patience: number;
  /** Threads of each rank that read patches of prepared datasets; by default the cores shared out, at most 4. */
  readonly workers?: number;
  /** Steps whose patches are read ahead of the one that trains; with the current step's, all that is held. */
  readonly prefetch: number;
  /** Seconds that ranks wait for one another before they give up. */
  readonly timeout: number;
  /** Seconds without a sign of life after which a rank's process counts as hung, and the group starts again. */
  readonly heartbeat: number;
  /** Seconds that ranks get to end in good order when the run is stopped. */
  readonly grace: number;
}

export type Tail = 'pad' | 'drop' | 'uneven';

export type Schedule = 'constant' | 'cosine';

/** `adam` or `adamw`, for generator and discriminators. */
export type OptimiserName = 'adam' | 'adamw';

/** The weights as trained, or their moving average. */
export type WeightsName = 'trained' | 'average';

/** The perceptual loss. Nothing is downloaded: the weights are files of one's own. */
export interface PerceptualConfig {
  /** Of the loss; 0 leaves it out. */
  readonly weight: number;
  /** Safetensors with torchvision's VGG-16, `features.0.weight` and so on; see data/perceptual/README.md. */
  readonly vgg?: string;
  /** Safetensors with LPIPS's heads, `lin0.model.1.weight` to `lin4.model.1.weight`. May be the same file. */
  readonly heads?: string;
}

/** What `train` takes: any setting of `RunConfig`, over those of the preset. */
export interface TrainOptions extends Partial<Omit<RunConfig, 'data' | 'model' | 'gan' | 'perceptual'>> {
  /** NIfTI files, folders of them, prepared datasets, `phantom:64x64x76`, or volumes at hand. */
  readonly data?: string | Volume | readonly (string | Volume)[];
  readonly model?: Partial<ModelConfig>;
  readonly gan?: Partial<GanConfig>;
  readonly perceptual?: Partial<PerceptualConfig>;
  /** Part of the run's id; the preset's name by default. */
  readonly name?: string;
}

/** Settings that a preset need not name. */
const defaults = {
  validation: 0.15,
  validationPatches: 64,
  intensity: 'auto',
  view: 'full',
  ranks: 1,
  collective: 'auto',
  backend: 'auto',
  precision: 'float32',
  checkpointing: 'none',
  seed: 0,
  batch: 1,
  accumulate: 1,
  tail: 'pad',
  learningRate: 3e-4,
  schedule: 'constant',
  warmup: 0,
  optimiser: 'adam',
  weightDecay: 0,
  average: 0,
  use: 'trained',
  divergence: 10,
  betas: [0.5, 0.9],
  clip: 1,
  logEvery: 1,
  validateEvery: 100,
  checkpointEvery: 100,
  compareEvery: 25,
  keep: 2,
  keepBest: 1,
  bestMetric: 'psnr',
  patience: 0,
  prefetch: 1,
  restarts: 3,
  timeout: 600,
  heartbeat: 30,
  grace: 15,
} as const;

/**
 * The whole config of a run: the defaults, under the preset, under the options.
 * @throws InvalidConfig with everything that is wrong: the key, what was expected, what came, what is allowed.
 */
export function resolveConfig(
  options: Omit<TrainOptions, 'data'> & { readonly data: readonly string[] },
): RunConfig {
  const { name: _, ...given } = withoutUndefined(options);
  const presetName = given.preset ?? 'toy';
  const preset = Object.hasOwn(PRESETS, presetName) ? PRESETS[presetName] : undefined;
  if (!preset) {
    const allowed = Object.keys(PRESETS);
    throw new InvalidConfig([{ key: 'preset', expected: 'a preset', received: presetName, allowed }]);
  }
  // A run has one length: whoever asks for epochs does not want the preset's steps.
  const { steps, description: _description, ...rest } = preset;
  const length = given.epochs === undefined && given.steps === undefined ? { steps } : {};
  const model = isPlainObject(given.model)
    ? fitQuantiser({ ...preset.model, ...withoutUndefined(given.model) }, given.model)
    : given.model;
  // A patch of one's own does not go with the preset's stride.
  const fits = Array.isArray(given.patch) && given.patch.length === 3 && !given.stride;
  const stride = fits ? { stride: given.patch!.map((size) => Math.max(1, Math.floor(0.75 * size))) } : {};
  const grouped = <T extends object>(given: unknown, preset: T): unknown =>
    isPlainObject(given) ? { ...preset, ...withoutUndefined(given) } : (given ?? preset);
  const config: unknown = {
    ...defaults,
    ...rest,
    ...length,
    ...stride,
    ...given,
    model: model ?? preset.model,
    gan: grouped(given.gan, preset.gan),
    perceptual: grouped(given.perceptual, { weight: 0 }),
    preset: presetName,
  };
  checkFields(config);
  checkTogether(config as RunConfig);
  return config as RunConfig;
}

/**
 * Checks the settings of a run that is there already, which people may have edited. Settings that are newer than the run
 * have their defaults.
 * @throws InvalidConfig with everything that is wrong
 */
export function checkedConfig(settings: object): RunConfig {
  const config: unknown = { ...defaults, ...withoutUndefined(settings) };
  checkFields(config);
  checkTogether(config as RunConfig);
  return config as RunConfig;
}

function withoutUndefined<T extends object>(object: T): T {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as T;
}

function isPlainObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
