import type { StoredTensor } from '../../safetensors';
import { type ConfigOf, defaultsOf, optional, type Settings, withoutUndefined } from '../../setting';
import type { WeightShape } from '../weights';
import { fsq } from './finite-scalar';
import { lfq } from './lookup-free';
import { ema, residual } from './moving-average';
import type { CodeTable, GraphBuilder } from './onnx';
import type { CodeSizes, Quantiser, QuantiserKind } from './quantiser';
import { simvq } from './sim';

/** Ways to make codes of latents, by the name of `model.quantiser`. */
export const quantisers = { ema, fsq, lfq, simvq, residual };

export type QuantiserName = keyof typeof quantisers;

export const quantiserNames = Object.keys(quantisers) as QuantiserName[];

/** What a config without a quantiser has. */
export const defaultQuantiser = 'ema';

type OptionsOf<N extends QuantiserName> = ConfigOf<(typeof quantisers)[N]['options']>;

/**
 * The quantiser of a model and its options, all optional: a config of an earlier version means what it meant. The
 * options of another quantiser are refused.
 */
export type QuantiserConfig = {
  [N in QuantiserName]: Partial<OptionsOf<N>> &
    (N extends typeof defaultQuantiser ? { readonly quantiser?: N } : { readonly quantiser: N });
}[QuantiserName];

type Config = CodeSizes & { readonly quantiser?: QuantiserName };

function kindOf({ quantiser = defaultQuantiser }: Config): QuantiserKind {
  return quantisers[quantiser] as unknown as QuantiserKind;
}

/** The options of a config's quantiser; none for a name that is not one, which is refused when it is checked. */
function optionsOf(config: { readonly quantiser?: unknown }): Settings {
  const { quantiser = defaultQuantiser } = config;
  return quantisersHave(quantiser) ? quantisers[quantiser].options : {};
}

function quantisersHave(name: unknown): name is QuantiserName {
  return typeof name === 'string' && Object.hasOwn(quantisers, name);
}

/** A config with all options of its quantiser; those it lacks mean what they meant when it was made. */
function withOptions(config: Config): CodeSizes & Record<string, unknown> {
  return { ...defaultsOf(optionsOf(config), true), ...withoutUndefined(config) };
}

/** The quantiser of a checked config. `seed` is the model's. */
export function createQuantiser(config: Config, seed: number): Quantiser {
  return kindOf(config).create(withOptions(config), seed);
}

/** What the quantiser learns by gradients. */
export function quantiserWeights(config: Config): WeightShape[] {
  return kindOf(config).weights?.(config) ?? [];
}

/** Distinct codes over all codebooks, without making the quantiser. */
export function codeCount(config: Config): number {
  return config.codes * (kindOf(config).codebooks?.(withOptions(config)) ?? 1);
}

/** Whether a code learns from the latents that choose it, and from nothing else. */
export function averagesLatents(config: Config): boolean {
  return kindOf(config).averagesLatents ?? false;
}

/**
 * The vector of every code, [codes * codeDim], of each codebook, from a model's state alone: what other programs need
 * to turn codes into what the decoder gets.
 */
export function codeTables(config: Config, state: ReadonlyMap<string, StoredTensor>): Float32Array[] {
  return kindOf(config).tables(withOptions(config), state);
}

/** Adds the ONNX nodes that choose codes; see `QuantiserKind.choose`. */
export function chooseCodes(
  config: Config,
  graph: GraphBuilder,
  rows: string,
  tables: readonly CodeTable[],
): string[] {
  return kindOf(config).choose(graph, rows, withOptions(config), tables);
}

/**
 * Sets what a new config has where its user says nothing: options that mean something else where they are missing, and
 * what the quantiser dictates, such as a channel for each level of `fsq`.
 * @param given the settings that the user chose, over those of `config`
 */
export function fitQuantiser<C extends Config>(config: C, given: Partial<Config> = {}): C {
  if (!quantisersHave(config.quantiser ?? defaultQuantiser)) return config; // refused when it is checked
  const { derive } = kindOf(config);
  return {
    ...newerOptions(config, 'default'),
    ...config,
    ...derive?.(withoutUndefined<Config>(config), given),
  };
}

/** The config of a model that exists, with the options that a new one would have otherwise. */
export function asItWas<C extends Config>(config: C): C {
  return { ...newerOptions(config, 'formerly'), ...withoutUndefined(config) };
}

function newerOptions(config: Config, which: 'default' | 'formerly'): Record<string, unknown> {
  const newer = Object.entries(optionsOf(config)).filter(([, { formerly }]) => formerly !== undefined);
  return Object.fromEntries(newer.map(([key, option]) => [key, option[which]]));
}

/** The options that a config may have with its quantiser; those with a default it may lack. */
export function quantiserOptions(config: object): Settings {
  const options = Object.entries(optionsOf(config));
  return Object.fromEntries(
    options.map(([key, option]) => [key, option.default === undefined ? option : optional(option)]),
  );
}

/** The quantisers that have an option. */
export function quantisersWith(option: string): QuantiserName[] {
  return quantiserNames.filter((name) => Object.hasOwn(quantisers[name].options, option));
}

/** @throws InvalidArgument where settings of the quantiser do not go together */
export function checkQuantiser(config: Config): void {
  kindOf(config).check?.(withOptions(config));
}
