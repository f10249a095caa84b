import { InvalidArgument } from '../errors';
import { checkQuantiser, type QuantiserConfig } from './quantisers/options';

/**
 * The generator and its codebook: everything that fixes the weights' shapes and the loss. Frozen with every
 * checkpoint.
 */
export interface ModelConfig extends QuantiserConfig {
  /** Channels at full resolution; each halving of the resolution doubles them. */
  readonly hidden: number;
  /** Length of a code's embedding vector. */
  readonly codeDim: number;
  /** Codes in the codebook, in each where there are several. */
  readonly codes: number;
  /** Voxels per latent along [x, y, z]; powers of two, at least one above 1. */
  readonly downsample: readonly [number, number, number];
  /**
   * Groups of every GroupNorm; a layer with fewer channels takes one group per channel. A group of one channel takes the
   * channel's mean over the patch away, and with it how bright the patch is; fewer groups keep it.
   */
  readonly groups: number;
  /** ResBlocks after each downsampling convolution. */
  readonly encoderBlocks: number;
  /** ResBlocks after each upsampling convolution. */
  readonly decoderBlocks: number;
  /** Weight of the commitment loss. */
  readonly commitment: number;
  /** Decay of the codebook's moving averages per optimiser step, in [0, 1). */
  readonly decay: number;
  /**
   * A code is dead, and restarts from a latent, once the moving average of the latents that choose it falls below this
   * share of those it would get if all codes were chosen alike: of a step's latents over all ranks / codes. In [0, 1);
   * 0 never restarts. `upstream` has 4 latents a code and step, so its 0.25 is the original's count of 1.
   */
  readonly restartBelow: number;
  /** Weight of the L1 reconstruction loss. */
  readonly reconstruction: number;
}

/** A convolution's stride on [d, h, w]. */
export type Stride = readonly [number, number, number];

/** One resolution step of the encoder. The decoder has the same channels, the lowest first (`decoderStages`). */
export interface Stage {
  /** Channels on the full-resolution side. */
  readonly above: number;
  /** Channels on the low-resolution side. */
  readonly below: number;
  /** 2 on the axes [d, h, w] that are still to be halved, 1 on the others. */
  readonly stride: Stride;
}

/** Checks a config and returns it frozen. Throws InvalidArgument naming the field. */
export function checkModelConfig(config: ModelConfig): ModelConfig {
  for (const field of ['hidden', 'codeDim', 'codes', 'groups'] as const)
    requireInteger(field, config[field], 1);
  for (const field of ['encoderBlocks', 'decoderBlocks'] as const) requireInteger(field, config[field], 0);
  for (const field of ['commitment', 'reconstruction'] as const)
    if (!(config[field] >= 0 && Number.isFinite(config[field])))
      throw new InvalidArgument(`model.${field}`, 'a number of at least 0', config[field]);
  for (const field of ['decay', 'restartBelow'] as const)
    if (!(config[field] >= 0 && config[field] < 1))
      throw new InvalidArgument(`model.${field}`, 'a number in [0, 1)', config[field]);
  const { downsample } = config;
  if (downsample?.length !== 3 || !downsample.every(isPowerOfTwo))
    throw new InvalidArgument('model.downsample', 'three powers of two [x, y, z]', downsample);
  if (Math.max(...downsample) === 1)
    throw new InvalidArgument('model.downsample', 'a factor above 1 on at least one axis', downsample);
  for (const { below } of stages(config))
    if (below % Math.min(config.groups, below) !== 0)
      throw new InvalidArgument(
        'model.groups',
        `a divisor of every layer's channels (${below})`,
        config.groups,
      );
  checkQuantiser(config);
  const [x, y, z] = downsample;
  return Object.freeze({ ...config, downsample: Object.freeze([x, y, z] as const) });
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

/** Throws InvalidArgument unless a patch [x, y, z] divides into whole latents. */
export function checkPatch(config: ModelConfig, patch: readonly [number, number, number]): void {
  const divides = patch.every((size, axis) => size > 0 && size % config.downsample[axis]! === 0);
  if (!divides)
    throw new InvalidArgument(
      'patch',
      `a multiple of model.downsample [${config.downsample.join(', ')}]`,
      patch,
    );
}

function requireInteger(field: string, value: number, least: number): void {
  if (!Number.isInteger(value) || value < least)
    throw new InvalidArgument(`model.${field}`, `an integer of at least ${least}`, value);
}

function isPowerOfTwo(value: number): boolean {
  return value >= 1 && Number.isInteger(Math.log2(value));
}
