import { InvalidConfig } from '../../errors';
import type { ModelConfig } from '../../model/config';
import type { GanConfig } from '../../model/discriminators/config';
import { PRESETS } from '../../model/presets';
import { fitQuantiser } from '../../model/quantisers/registry';
import { defaultsOf, type Given, isMapping, readSettings, withoutUndefined } from '../../setting';
import { asVec3 } from '../../vec3';
import type { Volume } from '../../volume/volume';
import { checkedConfig } from './check';
import { type PerceptualConfig, perceptualSettings, type RunSettings, runSettings } from './settings';

/**
 * Everything that decides what a run computes. Sizes are `[x, y, z]` in voxels. docs/settings.md and `npx patchwise
 * config` say what each setting means.
 */
export interface RunConfig extends RunSettings {
  readonly model: ModelConfig;
  /** Discriminators; none where `gan.slice` and `gan.patch` are 0. */
  readonly gan: GanConfig;
  readonly perceptual: PerceptualConfig;
}

/** The weights as trained, or their moving average. */
export type WeightsName = RunConfig['use'];

/** What `train` takes: any setting of `RunConfig`, over those of the preset. A size may be one number. */
export interface TrainOptions extends Partial<Given<Omit<RunSettings, 'data'>>> {
  /** volume files, folders of them, prepared datasets, `phantom:64x64x76`, or volumes at hand. */
  readonly data?: string | Volume | readonly (string | Volume)[];
  readonly model?: Partial<Given<ModelConfig>>;
  readonly gan?: Partial<GanConfig>;
  readonly perceptual?: Partial<PerceptualConfig>;
  /** Part of the run's id; the preset's name by default. */
  readonly name?: string;
}

/**
 * The whole config of a run: the defaults, under the preset, under the options.
 * @throws InvalidConfig with everything that is wrong: the key, what was expected, what came, what is allowed.
 */
export function resolveConfig(
  options: Omit<TrainOptions, 'data'> & { readonly data: readonly string[] },
): RunConfig {
  const { name: _, ...given } = withoutUndefined(options);
  const presetName = given.preset ?? runSettings.preset.default!;
  const { problems } = readSettings({ preset: runSettings.preset }, { preset: presetName });
  if (problems.length > 0) throw new InvalidConfig(problems);
  const { description: _description, ...preset } = PRESETS[presetName];
  // A run has one length: whoever asks for epochs does not want the preset's steps.
  const { steps, ...rest } = preset;
  const length = given.epochs === undefined && given.steps === undefined ? { steps } : {};
  // A patch of one's own does not go with the preset's stride.
  const patch = given.stride ? undefined : asVec3(given.patch);
  const stride = patch && { stride: patch.map((size) => Math.max(1, Math.floor(0.75 * size))) };
  const over = (part: unknown, preset: object): unknown =>
    isMapping(part) ? { ...preset, ...withoutUndefined(part) } : (part ?? preset);
  const model = over(given.model, preset.model);
  return checkedConfig({
    ...rest,
    ...length,
    ...stride,
    ...given,
    model: isMapping(given.model) ? fitQuantiser(model as ModelConfig, given.model) : model,
    gan: over(given.gan, preset.gan),
    perceptual: over(given.perceptual, defaultsOf(perceptualSettings)),
    preset: presetName,
  });
}

/** The settings of a config by dotted path. Only values whose key `opens` are taken apart. */
export function byPath(config: object, opens: (key: string) => boolean = () => true): Map<string, unknown> {
  const entries = Object.entries(config).flatMap(([key, value]): [string, unknown][] =>
    isMapping(value) && opens(key)
      ? [...byPath(value, opens)].map(([part, each]) => [`${key}.${part}`, each])
      : [[key, value]],
  );
  return new Map(entries);
}
