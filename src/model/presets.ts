import { InvalidArgument } from '../errors';
import type { Vec3 } from '../vec3';
import type { ModelConfig } from './config';
import type { GanConfig } from './discriminators/config';

/** A named starting point: a model, the patches it is trained on, and the training defaults that suit it. */
export interface Preset {
  readonly description: string;
  readonly model: ModelConfig;
  readonly gan: GanConfig;
  /** Voxels [x, y, z]. */
  readonly patch: Vec3;
  readonly stride: Vec3;
  /** Name of the intensity mapping to [-1, 1]. */
  readonly intensity: 'auto' | 'ctpa' | 'minmax';
  /** Of Adam; its betas are 0.5 and 0.9 in every preset. */
  readonly learningRate: number;
  /** Whether the learning rate stays or falls along half a cosine to nearly nothing at the last step. */
  readonly schedule: 'constant' | 'cosine';
  /** Largest norm of all gradients together. */
  readonly clip: number;
  /** Patches per rank and optimiser step. */
  readonly batch: number;
  /** Optimiser steps. */
  readonly steps: number;
  /** Steps between two validations. */
  readonly validateEvery: number;
}

export type PresetName = 'guide' | 'upstream' | 'baseline' | 'toy';

const GUIDE_MODEL: ModelConfig = {
  hidden: 64,
  codeDim: 64,
  codes: 512,
  downsample: [4, 4, 4],
  groups: 32,
  encoderBlocks: 1,
  decoderBlocks: 2,
  commitment: 2,
  decay: 0.99,
  restartBelow: 1 / 256, // its own patch gives 256 latents a code: a count of 1, as in the original
  reconstruction: 1,
};

/** The specification's discriminators: 2.76 million parameters for slices across z, 11.05 million for patches. */
const GUIDE_GAN: GanConfig = {
  slice: 1,
  patch: 1,
  features: 4,
  loss: 'hinge',
  start: 10_000,
  ramp: 0,
  adaptive: false,
  channels: 64,
  layers: 3,
  norm: 'batch',
  axes: ['z'],
};

/** What most presets share. */
const GUIDE: Preset = {
  description: 'the guide: 22.2 M parameters on overlapping patches of the full-resolution volume',
  model: GUIDE_MODEL,
  gan: GUIDE_GAN,
  patch: [256, 256, 128],
  stride: [192, 192, 96],
  intensity: 'minmax',
  learningRate: 3e-4,
  schedule: 'constant',
  clip: 1,
  batch: 1,
  steps: 50_000,
  validateEvery: 500,
};

/** Models with the settings to train them: `toy` for a laptop, `guide` as the published guide has it, and more. */
export const PRESETS: Readonly<Record<PresetName, Preset>> = {
  guide: GUIDE,
  upstream: {
    ...GUIDE,
    description: 'the recipe of the original README: few channels, short codes, a large codebook',
    model: {
      ...GUIDE_MODEL,
      hidden: 16,
      codeDim: 8,
      codes: 16384,
      restartBelow: 1 / 4,
      commitment: 0.25,
      reconstruction: 4,
    },
    patch: [128, 128, 128],
    stride: [96, 96, 96],
    intensity: 'ctpa',
    batch: 2,
    steps: 100_000,
  },
  baseline: {
    ...GUIDE,
    description: 'the single-GPU baseline the guide compares with: the same model on 256 x 256 x 64 voxels',
    patch: [256, 256, 64],
    stride: [256, 256, 64],
    batch: 2,
  },
  // One group per norm keeps a patch's brightness. Short averages follow an encoder that still moves fast. The falling
  // rate ends the wobble of brightness that so large a rate causes.
  toy: {
    ...GUIDE,
    description: 'small enough to learn something in a minute on two CPU cores',
    model: {
      ...GUIDE_MODEL,
      hidden: 8,
      codeDim: 4,
      codes: 256,
      downsample: [2, 2, 2],
      groups: 1,
      encoderBlocks: 0,
      decoderBlocks: 0,
      commitment: 1,
      decay: 0.9,
      restartBelow: 1 / 80,
      reconstruction: 4,
    },
    // Off by default. Small, because 32 x 32 x 16 voxels have room for two layers of stride 2.
    gan: {
      ...GUIDE_GAN,
      slice: 0,
      patch: 0,
      start: 0,
      channels: 8,
      layers: 2,
      norm: 'group',
      axes: ['x', 'y', 'z'],
    },
    patch: [32, 32, 16],
    stride: [24, 24, 12],
    intensity: 'auto',
    learningRate: 2e-3,
    schedule: 'cosine',
    steps: 250,
    validateEvery: 25,
  },
};

/** The preset of that name. Throws InvalidArgument with the known names for another. */
export function presetNamed(name: string): Preset {
  if (!Object.hasOwn(PRESETS, name))
    throw new InvalidArgument('preset', 'the name of a preset', name, Object.keys(PRESETS));
  return PRESETS[name as PresetName];
}
