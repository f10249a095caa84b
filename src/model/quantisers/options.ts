import { InvalidArgument } from '../../errors';
import type { ModelConfig } from '../config';
import { type Estimator, estimatorNames } from './estimators';
import { levelsFor } from './finite-scalar';
import { type QuantiserName, quantiserNames } from './quantiser';
import { type Initialisation, initialisationNames } from './start';

/** How latents become codes. Every setting has a default, so a config of an earlier version means what it meant. */
export interface QuantiserConfig {
  /**
   * `ema` (default): a codebook of moving averages; `fsq`: finite scalar; `lfq`: lookup-free; `simvq`: a frozen codebook
   * behind a linear layer; `residual`: several `ema` codebooks, each of what the ones before left over.
   */
  readonly quantiser?: QuantiserName;
  /** ema, residual: where codes start, from drawn latents (`random`, default) or from clusters of them (`kmeans`). */
  readonly initialisation?: Initialisation;
  /** ema, simvq, residual: what stands for the gradient of quantisation; default `straight-through`. */
  readonly estimator?: Estimator;
  /** ema: compare latents and codes by their angle, both at unit length; default false. */
  readonly cosine?: boolean;
  /** fsq: levels of each channel, `codeDim` numbers whose product is `codes`. */
  readonly levels?: readonly number[];
  /** fsq: what latents are multiplied by before they are bounded; default 1, in new configs 3. */
  readonly gain?: number;
  /** residual: codebooks in a row, of `codes` codes each; default 2. */
  readonly codebooks?: number;
  /** lfq: weight of the entropy loss; default 0.1. */
  readonly entropy?: number;
  /** lfq: weight, inside that loss, of the codes' being chosen alike; default 1. */
  readonly diversity?: number;
  /** lfq: softness of the choice in that loss; default 0.01, in new configs 1. */
  readonly temperature?: number;
  /**
   * lfq: put latents on the sphere through the codes before they are compared with them; default false, in new configs
   * true.
   */
  readonly spherical?: boolean;
  /** simvq: weight of the loss that moves the codes to the latents; default 1. */
  readonly codebookLoss?: number;
}

/** The settings with their defaults. */
export type QuantiserSettings = Required<QuantiserConfig>;

const DEFAULTS: QuantiserSettings = {
  quantiser: 'ema',
  initialisation: 'random',
  estimator: 'straight-through',
  cosine: false,
  levels: [],
  gain: 1,
  codebooks: 2,
  entropy: 0.1,
  diversity: 1,
  temperature: 0.01,
  spherical: false,
  codebookLoss: 1,
};

/**
 * What a new config says where its user does not. Measured on a chest CT, most of whose latents are alike: with the
 * papers' own values, which are the defaults, few codes are in use after 500 steps (`bench quantisers`).
 */
const FRESH: Partial<Record<QuantiserName, Partial<QuantiserConfig>>> = {
  fsq: { gain: 3 },
  lfq: { temperature: 1, spherical: true },
};

/** Which settings, beside the defaults, a quantiser makes use of. */
const USED: Record<QuantiserName, readonly (keyof QuantiserConfig)[]> = {
  ema: ['initialisation', 'estimator', 'cosine'],
  fsq: ['levels', 'gain'],
  lfq: ['entropy', 'diversity', 'temperature', 'spherical'],
  simvq: ['estimator', 'codebookLoss'],
  residual: ['initialisation', 'estimator', 'codebooks'],
};

export function quantiserSettings(config: QuantiserConfig): QuantiserSettings {
  const given = Object.fromEntries(
    Object.keys(DEFAULTS).flatMap((key) => {
      const value = config[key as keyof QuantiserConfig];
      return value === undefined ? [] : [[key, value]];
    }),
  );
  return { ...DEFAULTS, ...given };
}

/**
 * Fits what a quantiser dictates, where the user has not set it: `fsq` has a channel for each of its levels and their
 * product of codes, `lfq` a channel for each bit of a code.
 * @param given the settings that the user chose, over those of `config`
 */
export function fitQuantiser(config: ModelConfig, given: Partial<ModelConfig> = {}): ModelConfig {
  const fresh = { ...FRESH[config.quantiser ?? 'ema'], ...config };
  if (config.quantiser === 'lfq')
    return { ...fresh, codeDim: given.codeDim ?? Math.round(Math.log2(config.codes)) };
  if (config.quantiser !== 'fsq' || (config.levels !== undefined && !Array.isArray(config.levels)))
    return config;
  const levels = config.levels ?? levelsFor(config.codes);
  const codes = given.codes ?? product(levels);
  return { ...fresh, levels, codes, codeDim: given.codeDim ?? levels.length };
}

/** The config of a model that exists, with what a new one would have otherwise. */
export function asItWas(config: ModelConfig): ModelConfig {
  const settings = quantiserSettings(config);
  const names = Object.keys(FRESH[settings.quantiser] ?? {}) as (keyof QuantiserConfig)[];
  return { ...config, ...Object.fromEntries(names.map((name) => [name, settings[name]])) };
}

/** @throws InvalidArgument naming the setting that does not fit */
export function checkQuantiser(config: ModelConfig): void {
  const { quantiser, levels, ...settings } = quantiserSettings(config);
  requireName('quantiser', quantiser, quantiserNames);
  requireName('initialisation', settings.initialisation, initialisationNames);
  requireName('estimator', settings.estimator, estimatorNames);
  for (const key of Object.keys(DEFAULTS) as (keyof QuantiserConfig)[])
    if (key !== 'quantiser' && config[key] !== undefined && !USED[quantiser].includes(key)) {
      const users = quantiserNames.filter((name) => USED[name].includes(key));
      throw new InvalidArgument(`model.${key}`, `nothing: it is of ${users.join(', ')} alone`, config[key]);
    }
  if (!Number.isInteger(settings.codebooks) || settings.codebooks < 1)
    throw new InvalidArgument('model.codebooks', 'an integer of at least 1', settings.codebooks);
  for (const key of ['entropy', 'diversity', 'codebookLoss'] as const)
    if (!(settings[key] >= 0 && Number.isFinite(settings[key])))
      throw new InvalidArgument(`model.${key}`, 'a number of at least 0', settings[key]);
  for (const key of ['gain', 'temperature'] as const)
    if (!(settings[key] > 0 && Number.isFinite(settings[key])))
      throw new InvalidArgument(`model.${key}`, 'a number above 0', settings[key]);
  if (quantiser === 'fsq') checkLevels(config, levels);
  if (quantiser === 'lfq' && config.codes !== 2 ** config.codeDim)
    throw new InvalidArgument(
      'model.codes',
      `2 to the power of model.codeDim (2^${config.codeDim} = ${2 ** config.codeDim}) with lfq`,
      config.codes,
    );
}

function checkLevels(config: ModelConfig, levels: readonly number[]): void {
  if (!levels.every((count) => Number.isInteger(count) && count >= 2) || levels.length !== config.codeDim)
    throw new InvalidArgument(
      'model.levels',
      `an integer of at least 2 for each of the ${config.codeDim} channels of model.codeDim`,
      levels,
    );
  if (product(levels) !== config.codes)
    throw new InvalidArgument(
      'model.codes',
      `the product of model.levels (${product(levels)})`,
      config.codes,
    );
}

function requireName(field: string, value: string, allowed: readonly string[]): void {
  if (!allowed.includes(value))
    throw new InvalidArgument(`model.${field}`, 'one of its names', value, allowed);
}

function product(levels: readonly number[]): number {
  return levels.reduce((all, count) => all * count, 1);
}
