import { precisions } from '../../compute/contract/backend';
import { modelSettings } from '../../model/config';
import { ganSettings } from '../../model/discriminators/config';
import { PRESETS, type PresetName } from '../../model/presets';
import { checkpointings } from '../../model/tensor-layers';
import {
  amount,
  type ConfigOf,
  count,
  flag,
  fraction,
  listOf,
  oneOf,
  optional,
  positive,
  readShape,
  type Setting,
  type Settings,
  setting,
  size,
  text,
  whole,
} from '../../setting';
import { asVec3, type Vec3 } from '../../vec3';
import { type IntensitySpec, intensityPresets } from '../../volume/intensity';
import type { BaselineView } from '../../volume/view';
import { collectiveNames } from '../collective/connect';
import { bestMetrics } from './measures';

const presetNames = Object.keys(PRESETS) as PresetName[];
const intensities = ['auto', ...Object.keys(intensityPresets), 'minmax'];

const optionalCount = (unit: string, meaning: string) => optional(count({ unit, meaning, mayChange: true }));
const weightsFile = (meaning: string) => optional(text('a safetensors file', { meaning, mayChange: true }));

const every = (steps: number, what: string) =>
  whole({
    default: steps,
    unit: 'steps',
    mayChange: true,
    meaning: `Steps between two ${what}; 0 for none.`,
  });

/** The settings of a run, beside those below `model`, `gan` and `perceptual`. */
export const runSettings = {
  preset: oneOf(presetNames, {
    default: 'toy',
    mayChange: true,
    meaning: 'Where the settings start: a named set of values, which all other settings override.',
  }),
  data: listOf('at least one volume', (value) => (typeof value === 'string' ? value : undefined), {
    mayChange: true,
    meaning:
      'Volume files, folders of them or of DICOM, phantoms `phantom:64x64x76` (`phantom:64x64x76#2` has another seed), ' +
      'or prepared datasets, which bring their own split.',
  }),
  patients: optional(
    listOf(
      'a patient for each volume',
      (value) => (['string', 'number'].includes(typeof value) ? String(value) : undefined),
      {
        meaning:
          'The patient of each volume of `data`, in the same order. By default `train` tells them as `prepare` does: by the ' +
          'names of files and folders, or by the patient ids of DICOM.',
      },
    ),
  ),
  canonical: flag({
    default: false,
    meaning: 'Whether volume files are turned to RAS+ first. Prepared datasets stay as they are.',
  }),
  spacing: optional(
    setting<Vec3>('a number above 0, or three [x, y, z]', readSpacing, {
      unit: 'mm',
      meaning: 'Voxel size to which volume files are resampled; by default they keep their own.',
    }),
  ),
  index: optional(
    whole({
      meaning: 'Which volume of each file, for 4D ones, counted from 0; by default 4D files are left out.',
    }),
  ),
  validation: fraction({
    default: 0.15,
    meaning:
      'Fraction held out for validation, 0 for none: all volumes of so many of the patients, drawn by the seed as `prepare` ' +
      'does; volumes if they are of one patient; the upper z end of a single volume, which no training patch overlaps.',
  }),
  validationPatches: count({
    default: 64,
    unit: 'patches',
    meaning: 'The most patches that a validation measures, always the same ones, drawn by the seed.',
  }),
  intensity: setting<IntensitySpec>(
    'an intensity, or [low, high] with low < high',
    readIntensity,
    {
      default: 'auto',
      meaning:
        "How a volume's values become [-1, 1]: a Hounsfield window, the file's own range (`minmax`), two values, or " +
        '`auto`, which takes `ctpa` for Hounsfield units and else `minmax`.',
    },
    [...intensities, '[low, high]'],
  ),
  view: setting<'full' | BaselineView>(
    "'full', or { shape: [x, y, z], how } of a smaller view",
    readView,
    {
      default: 'full',
      meaning:
        'What the model sees of a volume: all its voxels, or the smaller view of a baseline, with which a dataset must ' +
        'have been prepared too.',
    },
    ['full', "{ shape, how: 'resample' }", "{ shape, how: 'crop' }"],
  ),
  patch: size({ unit: 'voxels', meaning: 'Size of a patch.' }),
  stride: size({
    unit: 'voxels',
    meaning: "Distance of neighbouring patches; by default 3/4 of a patch that is not the preset's.",
  }),
  ranks: count({ default: 1, unit: 'processes', meaning: 'Processes that train together.', mayChange: true }),
  collective: oneOf(collectiveNames, {
    default: 'auto',
    mayChange: true,
    meaning:
      'What the ranks talk through: `local` (TCP), `c10d` (Gloo or NCCL), or `auto`, which takes `c10d` across hosts ' +
      'and between GPUs where it is built.',
  }),
  threads: optionalCount(
    'threads',
    "Threads of a rank's backend; by default the ranks of a host share its cores.",
  ),
  // Only the machine that trains knows which backends it has.
  backend: text("'auto' or a backend", {
    default: 'auto',
    mayChange: true,
    meaning: 'What computes tensors: `libtorch`, `tensorflow`, `wasm`, `cpu`, or `auto` for the fastest.',
  }),
  precision: oneOf(precisions, {
    default: 'float32',
    meaning:
      'How convolutions and norms compute. `bf16` halves the memory of activations and needs `libtorch`. `tf32` is float32 ' +
      'whose convolutions multiply 10 of 23 bits of a mantissa; it needs an NVIDIA GPU since Ampere.',
  }),
  checkpointing: oneOf(checkpointings, {
    default: 'none',
    mayChange: true,
    meaning:
      'What the backward pass computes again to save memory: `blocks` every ResBlock. Gradients are the same.',
  }),
  seed: whole({ default: 0, meaning: 'Draws weights, codes, patches and the split.' }),
  steps: optionalCount('steps', 'Optimiser steps; either this or `epochs`.'),
  epochs: optionalCount('epochs', 'Passes through all patches; either this or `steps`.'),
  batch: count({
    default: 1,
    unit: 'patches',
    meaning: 'Patches of a rank in one pass through the model.',
    mayChange: true,
  }),
  accumulate: count({
    default: 1,
    unit: 'passes',
    meaning: 'Passes whose gradients a step adds up: a step has batch x accumulate x ranks patches.',
    mayChange: true,
  }),
  tail: oneOf(['pad', 'drop', 'uneven'], {
    default: 'pad',
    meaning:
      'What happens to the patches of an epoch that do not fill a step: `pad` adds the first ones, `drop` leaves them ' +
      'out, `uneven` makes a smaller step.',
  }),
  learningRate: positive({ default: 3e-4, meaning: 'Step size of the optimiser.' }),
  schedule: oneOf(['constant', 'cosine'], {
    default: 'constant',
    meaning:
      'Whether the learning rate stays, or falls along half a cosine to nearly nothing at the last step; then a longer ' +
      'run is another run.',
  }),
  warmup: whole({
    default: 0,
    unit: 'steps',
    meaning: 'Steps in which the learning rate grows to its full size.',
  }),
  optimiser: oneOf(['adam', 'adamw'], {
    default: 'adam',
    meaning:
      '`adamw` shrinks the weights by `weightDecay` times the learning rate at every step; `adam` adds the decay to the ' +
      'gradient.',
  }),
  weightDecay: amount({ default: 0, meaning: 'How strongly the optimiser pulls weights towards 0.' }),
  average: fraction({
    default: 0,
    meaning: "Decay per step of a moving average of the generator's weights; 0 keeps none.",
  }),
  use: oneOf(['trained', 'average'], {
    default: 'trained',
    meaning: 'The weights that validation and, by default, reconstruction use; `average` needs an average.',
  }),
  divergence: amount({
    default: 10,
    meaning: 'The run stops when its smoothed reconstruction loss is so many times its lowest; 0 for never.',
  }),
  betas: setting<readonly [number, number]>('two numbers in [0, 1)', readBetas, {
    default: [0.5, 0.9],
    meaning: "Adam's decay rates of the first and the second moment.",
  }),
  clip: amount({
    default: 1,
    meaning: 'Largest norm of all gradients, of generator and discriminators each; 0 does not clip.',
  }),
  logEvery: count({ default: 1, unit: 'steps', meaning: 'Steps between two records.', mayChange: true }),
  validateEvery: every(100, 'validations'),
  checkpointEvery: every(100, 'checkpoints'),
  compareEvery: every(25, "comparisons of the ranks' weights"),
  keep: count({
    default: 2,
    unit: 'checkpoints',
    meaning: 'Newest checkpoints to keep, beside the best.',
    mayChange: true,
  }),
  keepBest: count({
    default: 1,
    unit: 'checkpoints',
    mayChange: true,
    meaning:
      'Best checkpoints to keep; once discriminators join, and again at their full weight, only later ones count.',
  }),
  bestMetric: oneOf(bestMetrics, {
    default: 'psnr',
    mayChange: true,
    meaning: 'The measure of the validation that decides which checkpoints are the best.',
  }),
  patience: whole({
    default: 0,
    unit: 'validations',
    mayChange: true,
    meaning:
      'Validations in a row without a better `bestMetric` that end the run, counted once discriminators have their full ' +
      'weight; 0 goes on to the last step.',
  }),
  workers: optionalCount(
    'threads',
    "A rank's threads that read patches of prepared datasets; by default the cores shared out, at most 4.",
  ),
  prefetch: whole({
    default: 1,
    unit: 'steps',
    meaning: 'Steps whose patches are read ahead of the current one.',
    mayChange: true,
  }),
  restarts: whole({
    default: 3,
    mayChange: true,
    meaning: 'How often a group that lost a rank starts again from the last checkpoint.',
  }),
  timeout: positive({
    default: 600,
    unit: 'seconds',
    meaning: 'How long ranks wait for one another.',
    mayChange: true,
  }),
  heartbeat: positive({
    default: 30,
    unit: 'seconds',
    meaning: 'How long a rank may be silent before it counts as hung and the group starts again.',
    mayChange: true,
  }),
  grace: positive({
    default: 15,
    unit: 'seconds',
    meaning: 'How long ranks have to end in good order when the run is stopped.',
    mayChange: true,
  }),
};

/** The settings below `perceptual`. Nothing is downloaded: the weights are files of the user's. */
export const perceptualSettings = {
  weight: amount({
    default: 0,
    meaning: 'Weight of the perceptual loss (LPIPS) of a random slice of every patch; 0 for none.',
  }),
  vgg: weightsFile(
    "Safetensors with torchvision's VGG-16, `features.0.weight` and so on; see data/perceptual/README.md.",
  ),
  heads: weightsFile(
    "Safetensors with LPIPS's heads, `lin0.model.1.weight` to `lin4.model.1.weight`; may be the same file.",
  ),
};

/** Settings that stand below a name of their own. */
export const groups = { model: modelSettings, gan: ganSettings, perceptual: perceptualSettings };

/** The setting of a dotted name, such as `gan.start`; undefined for an option of a quantiser and for none. */
export function settingAt(name: string): Setting | undefined {
  const [first, second] = name.split('.') as [string, string?];
  if (second === undefined) return (runSettings as Settings)[first];
  return (groups as Record<string, Settings>)[first]?.[second];
}

/** The perceptual loss. */
export interface PerceptualConfig extends ConfigOf<typeof perceptualSettings> {}

export type RunSettings = ConfigOf<typeof runSettings>;

function readSpacing(value: unknown): Vec3 | undefined {
  const spacing = asVec3(value);
  return spacing?.every((mm) => Number.isFinite(mm) && mm > 0) ? spacing : undefined;
}

function readIntensity(value: unknown): IntensitySpec | undefined {
  if (typeof value === 'string') return intensities.includes(value) ? (value as IntensitySpec) : undefined;
  const ends = readPair(value);
  return ends && ends[0] < ends[1] ? ends : undefined;
}

function readView(value: unknown): 'full' | BaselineView | undefined {
  if (value === 'full') return value;
  const { shape: given, how, ...others } = (value ?? {}) as Record<string, unknown>;
  const shape = readShape(given);
  const isHow = how === 'resample' || how === 'crop';
  return shape && isHow && Object.keys(others).length === 0 ? { shape, how } : undefined;
}

function readBetas(value: unknown): readonly [number, number] | undefined {
  const betas = readPair(value);
  return betas?.every((beta) => beta >= 0 && beta < 1) ? betas : undefined;
}

function readPair(value: unknown): readonly [number, number] | undefined {
  return Array.isArray(value) && value.length === 2 && value.every(Number.isFinite)
    ? [value[0], value[1]]
    : undefined;
}
