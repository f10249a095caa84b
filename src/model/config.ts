import { type ConfigProblem, InvalidArgument } from '../errors';
import {
  amount,
  type ConfigOf,
  count,
  fraction,
  type Given,
  oneOf,
  optional,
  readSettings,
  setting,
  whole,
} from '../setting';
import { asVec3, checkShape, type Size, type Vec3 } from '../vec3';
import {
  checkQuantiser,
  defaultQuantiser,
  type QuantiserConfig,
  quantiserNames,
  quantiserOptions,
  quantisers,
  quantisersWith,
} from './quantisers/registry';

const kinds = quantiserNames.map((name) => `${name} (${quantisers[name].meaning})`);

/** The settings below `model`, beside the options of the quantisers. */
export const modelSettings = {
  hidden: count({
    meaning: 'Channels at full resolution; each halving of the resolution doubles them.',
    unit: 'channels',
  }),
  codeDim: count({ meaning: "Length of a code's embedding vector.", unit: 'channels' }),
  codes: count({ meaning: 'Codes in the codebook, in each where there are several.', unit: 'codes' }),
  downsample: setting<Vec3>('powers of two, one number or three [x, y, z]', readPowersOfTwo, {
    meaning: 'Voxels per latent along each axis; above 1 on at least one.',
    unit: 'voxels',
  }),
  groups: count({
    meaning:
      'Groups of every GroupNorm; a layer with fewer channels has a group for each channel, and a group of one ' +
      'channel forgets how bright the patch is.',
  }),
  encoderBlocks: whole({ meaning: 'ResBlocks after each downsampling convolution.' }),
  decoderBlocks: whole({ meaning: 'ResBlocks after each upsampling convolution.' }),
  commitment: amount({ meaning: 'Weight of the commitment loss.' }),
  decay: fraction({ meaning: "Decay of the codebook's moving averages per optimiser step." }),
  // `upstream` has 4 latents a code and step, so its 0.25 is the original's count of 1.
  restartBelow: fraction({
    meaning:
      'A code restarts from a latent once fewer latents choose it, on average, than this part of its equal share of ' +
      'those of a step (latents of all ranks / codes); 0 never restarts.',
  }),
  reconstruction: amount({ meaning: 'Weight of the L1 reconstruction loss.' }),
  quantiser: optional(
    oneOf(quantiserNames, {
      default: defaultQuantiser,
      meaning: `How latents become codes: ${kinds.join(', ')}.`,
    }),
  ),
};

/**
 * The generator and its codebook: everything that fixes the weights' shapes and the loss. Frozen with every
 * checkpoint. `npx patchwise config` says what each setting means.
 */
export type ModelConfig = Omit<ConfigOf<typeof modelSettings>, 'quantiser'> & QuantiserConfig;

/** A convolution's stride on [d, h, w]. */
export type Stride = readonly [number, number, number];

/** One resolution step of the encoder. The decoder has the same channels, the lowest first (`decoderStages`). */
interface Stage {
  /** Channels on the full-resolution side. */
  readonly above: number;
  /** Channels on the low-resolution side. */
  readonly below: number;
  /** 2 on the axes [d, h, w] that are still to be halved, 1 on the others. */
  readonly stride: Stride;
}

/**
 * Reads a model's config: its settings with sizes as [x, y, z], what is wrong with single ones, and, unless something
 * is, what does not fit `together`.
 */
export function readModelConfig(config: object): {
  config: ModelConfig;
  problems: readonly ConfigProblem[];
  together: readonly ConfigProblem[];
} {
  const settings = { ...modelSettings, ...quantiserOptions(config) };
  const foreign = quantiserNames.flatMap((name) => Object.keys(quantisers[name].options));
  const { values, problems } = readSettings(settings, config, 'model.', foreign);
  const read = values as unknown as ModelConfig;
  const unused = Object.entries(config)
    .filter(([key, value]) => value !== undefined && foreign.includes(key) && !Object.hasOwn(settings, key))
    .map(([key, received]) => {
      const expected = `nothing: only ${quantisersWith(key).join(', ')} has it`;
      return { key: `model.${key}`, expected, received };
    });
  if (problems.length > 0) {
    const isKnown = !problems.some(({ key }) => key === 'model.quantiser');
    return { config: read, problems: [...problems, ...(isKnown ? unused : [])], together: [] };
  }
  return { config: read, problems, together: [...unused, ...problemsIn(() => checkTogether(read))] };
}

/** Checks a config and returns it frozen. Throws InvalidArgument naming the first setting that is wrong. */
export function checkModelConfig(given: Given<ModelConfig>): ModelConfig {
  const { config, problems, together } = readModelConfig(given);
  for (const { key, expected, received, allowed } of [...problems, ...together])
    throw new InvalidArgument(key, expected, received, allowed);
  return Object.freeze({ ...config, downsample: Object.freeze(config.downsample) });
}

/** What a check that throws InvalidArgument finds wrong. */
export function problemsIn(check: () => void): ConfigProblem[] {
  try {
    check();
    return [];
  } catch (error) {
    if (!(error instanceof InvalidArgument)) throw error;
    const { argument: key, expected, received, allowed } = error;
    return [{ key, expected, received, ...(allowed && { allowed }) }];
  }
}

function checkTogether(config: ModelConfig): void {
  const { downsample, groups } = config;
  if (Math.max(...downsample) === 1)
    throw new InvalidArgument('model.downsample', 'a factor above 1 on at least one axis', downsample);
  for (const { below } of stages(config))
    if (below % Math.min(groups, below) !== 0)
      throw new InvalidArgument('model.groups', `a divisor of every layer's channels (${below})`, groups);
  checkQuantiser(config);
}

/** The resolution steps from full resolution down: one per factor of two of the most downsampled axis. */
export function stages(config: ModelConfig): Stage[] {
  const [x, y, z] = config.downsample;
  const halvings = [z, y, x].map(Math.log2);
  return Array.from({ length: Math.max(...halvings) }, (_, i) => ({
    above: config.hidden * 2 ** i,
    below: config.hidden * 2 ** (i + 1),
    stride: halvings.map((n) => (n > i ? 2 : 1)) as unknown as Stride,
  }));
}

/** Channels at the lowest resolution, where the codebook is. */
export function topChannels(config: ModelConfig): number {
  return stages(config).at(-1)!.below;
}

/** A patch as [x, y, z]. Throws InvalidArgument unless it divides into whole latents. */
export function checkPatch(config: ModelConfig, given: Size): Vec3 {
  const patch = checkShape('patch', given);
  const divides = patch.every((size, axis) => size % config.downsample[axis]! === 0);
  if (!divides)
    throw new InvalidArgument(
      'patch',
      `a multiple of model.downsample [${config.downsample.join(', ')}]`,
      patch,
    );
  return patch;
}

function readPowersOfTwo(value: unknown): Vec3 | undefined {
  const factors = asVec3(value);
  return factors?.every((n) => n >= 1 && Number.isInteger(Math.log2(n))) ? factors : undefined;
}
