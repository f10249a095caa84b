import { z } from 'zod';
import { precisions } from '../../compute/contract/backend';
import { type ConfigProblem, InvalidArgument, InvalidConfig } from '../../errors';
import { checkModelConfig, checkPatch } from '../../model/config';
import { checkDiscriminators } from '../../model/discriminators/config';
import { howToGetPerceptual } from '../../model/perceptual';
import { PRESETS } from '../../model/presets';
import { estimatorNames } from '../../model/quantisers/estimators';
import { quantiserNames } from '../../model/quantisers/quantiser';
import { initialisationNames } from '../../model/quantisers/start';
import { checkpointings } from '../../model/resblock';
import { fitsSsim, TAPS } from '../../patch/ssim';
import { windowPresets } from '../../volume/intensity';
import { collectiveNames } from '../collective/connect';
import type { RunConfig } from './config';
import { bestMetrics } from './measures';

/** One setting: what it must be, in the words of the error, and as a schema. */
interface Field {
  readonly expected: string;
  readonly schema: z.ZodType;
  readonly allowed?: readonly unknown[];
}

const INTENSITIES = ['auto', ...Object.keys(windowPresets), 'minmax'];

const count: Field = { expected: 'a whole number above 0', schema: z.int().min(1) };
const whole: Field = { expected: 'a whole number, 0 or more', schema: z.int().min(0) };
const amount: Field = { expected: 'a number, 0 or more', schema: z.number().min(0) };
const positive: Field = { expected: 'a number above 0', schema: z.number().positive() };
const fraction: Field = { expected: 'a number in [0, 1)', schema: z.number().min(0).lt(1) };
const size: Field = {
  expected: 'three whole numbers [x, y, z]',
  schema: z.tuple([z.int().min(1), z.int().min(1), z.int().min(1)]),
};
const optional = (field: Field): Field => ({ ...field, schema: field.schema.optional() });
const flag: Field = { expected: 'true or false', schema: z.boolean() };
const oneOf = (expected: string, allowed: readonly string[]): Field => ({
  expected,
  allowed,
  schema: z.enum([...allowed]),
});

const modelFields: Record<keyof RunConfig['model'], Field> = {
  hidden: count,
  codeDim: count,
  codes: count,
  downsample: { ...size, expected: 'three powers of two [x, y, z]' },
  groups: count,
  encoderBlocks: whole,
  decoderBlocks: whole,
  commitment: amount,
  decay: fraction,
  restartBelow: { ...fraction, expected: "a share of a code's expected latents, in [0, 1)" },
  reconstruction: amount,
  quantiser: optional(oneOf('a quantiser', quantiserNames)),
  initialisation: optional(oneOf('where codes start', initialisationNames)),
  estimator: optional(oneOf('a gradient estimator', estimatorNames)),
  cosine: optional(flag),
  levels: optional({
    expected: 'a list of whole numbers, 2 or more',
    schema: z.array(z.int().min(2)).min(1),
  }),
  gain: optional(positive),
  codebooks: optional(count),
  entropy: optional(amount),
  diversity: optional(amount),
  temperature: optional(positive),
  spherical: optional(flag),
  codebookLoss: optional(amount),
};

const ganFields: Record<keyof RunConfig['gan'], Field> = {
  slice: amount,
  patch: amount,
  features: amount,
  loss: oneOf('a loss of discriminators', ['hinge', 'vanilla']),
  start: whole,
  ramp: whole,
  adaptive: flag,
  channels: count,
  layers: count,
  norm: oneOf('a normalisation of discriminators', ['batch', 'group', 'none']),
  axes: { expected: 'at least one of x, y, z', schema: z.array(z.enum(['x', 'y', 'z'])).min(1) },
  learningRate: optional(positive),
};

const file: Field = { expected: 'a safetensors file', schema: z.string().min(1) };

const perceptualFields: Record<keyof RunConfig['perceptual'], Field> = {
  weight: amount,
  vgg: optional(file),
  heads: optional(file),
};

const fields: Record<Exclude<keyof RunConfig, 'model' | 'gan' | 'perceptual'>, Field> = {
  preset: oneOf('a preset', Object.keys(PRESETS)),
  data: { expected: 'at least one volume', schema: z.array(z.string()).min(1) },
  validation: fraction,
  validationPatches: count,
  intensity: {
    expected: 'an intensity window, or [low, high] with low < high',
    allowed: [...INTENSITIES, '[low, high]'],
    schema: z.union([
      z.enum([...INTENSITIES]),
      z.tuple([z.number(), z.number()]).refine(([low, high]) => low < high),
    ]),
  },
  view: {
    expected: "'full', or { shape: [x, y, z], how } of a smaller view",
    allowed: ['full', "{ shape, how: 'resample' }", "{ shape, how: 'crop' }"],
    schema: z.union([
      z.literal('full'),
      z.strictObject({ shape: size.schema, how: z.enum(['resample', 'crop']) }),
    ]),
  },
  patch: size,
  stride: size,
  ranks: count,
  collective: oneOf('a collective', collectiveNames),
  threads: optional(count),
  // Whether the backend can be had is for the machine that trains to say.
  backend: { expected: "'auto' or a backend", schema: z.string().min(1) },
  precision: oneOf('what activations are stored in', precisions),
  checkpointing: oneOf('what is computed anew', checkpointings),
  seed: whole,
  steps: optional(count),
  epochs: optional(count),
  batch: count,
  accumulate: count,
  tail: oneOf('what to do with the tail', ['pad', 'drop', 'uneven']),
  learningRate: positive,
  warmup: whole,
  optimiser: oneOf('an optimiser', ['adam', 'adamw']),
  weightDecay: amount,
  average: fraction,
  use: oneOf('which weights to use', ['trained', 'average']),
  divergence: amount,
  schedule: oneOf('how the learning rate goes', ['constant', 'cosine']),
  betas: { expected: 'two numbers in [0, 1)', schema: z.tuple([fraction.schema, fraction.schema]) },
  clip: amount,
  logEvery: count,
  validateEvery: whole,
  checkpointEvery: whole,
  compareEvery: whole,
  keep: count,
  keepBest: count,
  bestMetric: oneOf('a measure of the validation', bestMetrics),
  patience: whole,
  workers: optional(count),
  prefetch: whole,
  restarts: whole,
  timeout: positive,
  heartbeat: positive,
  grace: positive,
};

/** Settings that have settings of their own. */
const groups: Record<string, Record<string, Field>> = {
  model: modelFields,
  gan: ganFields,
  perceptual: perceptualFields,
};

const schema = z.strictObject({
  ...schemas(fields),
  ...Object.fromEntries(Object.entries(groups).map(([key, group]) => [key, z.strictObject(schemas(group))])),
});

/** @throws InvalidConfig naming every setting that is unknown or is not what it must be. */
export function checkFields(config: unknown): void {
  const parsed = schema.safeParse(config);
  if (parsed.success) return;
  const problems = parsed.error.issues.flatMap((issue) => problemsOf(issue, config));
  // A tuple has an issue for each wrong part, a reader needs one for each setting.
  throw new InvalidConfig(problems.filter((a, i) => problems.findIndex((b) => b.key === a.key) === i));
}

/** What no single setting shows. @throws InvalidConfig */
export function checkTogether(config: RunConfig): void {
  const problems: ConfigProblem[] = [];
  const checks = [
    () => checkModelConfig(config.model),
    () => checkPatch(config.model, config.patch),
    () => checkDiscriminators(config.gan, config.patch),
  ];
  for (const check of checks) {
    try {
      check();
    } catch (error) {
      if (!(error instanceof InvalidArgument)) throw error;
      const { argument: key, expected, received, allowed } = error;
      problems.push({ key, expected, received, ...(allowed && { allowed }) });
    }
  }
  if (config.stride.some((stride, axis) => stride > config.patch[axis]!))
    problems.push({
      key: 'stride',
      expected: `at most the patch [${config.patch.join(', ')}] on every axis, so that no voxel is left out`,
      received: config.stride,
    });
  const { weight, vgg, heads } = config.perceptual;
  for (const [key, path] of Object.entries({ vgg, heads }))
    if (weight > 0 && path === undefined)
      problems.push({
        key: `perceptual.${key}`,
        // One recipe is enough where both are missing.
        expected: `a safetensors file, where perceptual.weight is above 0${key === 'vgg' || vgg ? `: ${howToGetPerceptual()}` : ''}`,
        received: path,
      });
  // Each patch is measured by itself, and SSIM's window has 11 voxels.
  if (config.bestMetric === 'ssim' && !fitsSsim(config.patch))
    problems.push({
      key: 'bestMetric',
      expected: `a measure that patches [${config.patch.join(', ')}] have; ssim needs ${TAPS} voxels along each axis`,
      received: config.bestMetric,
      allowed: bestMetrics.filter((metric) => metric !== 'ssim'),
    });
  if (config.use === 'average' && config.average === 0)
    problems.push({ key: 'use', expected: "'trained' where average is 0", received: config.use });
  if ((config.steps === undefined) === (config.epochs === undefined))
    problems.push({ key: 'steps', expected: 'either steps or epochs', received: config.steps });
  if (problems.length > 0) throw new InvalidConfig(problems);
}

function problemsOf(issue: z.core.$ZodIssue, config: unknown): ConfigProblem[] {
  const group = groups[String(issue.path[0])];
  const known: Record<string, Field> = group ?? fields;
  const prefix = group ? `${String(issue.path[0])}.` : '';
  if (issue.code === 'unrecognized_keys') {
    const allowed = group ? Object.keys(group) : [...Object.keys(fields), ...Object.keys(groups)];
    return issue.keys.map((key) => ({
      key: `${prefix}${key}`,
      expected: 'a known setting',
      received: key,
      allowed,
    }));
  }
  const path = issue.path.slice(0, group ? 2 : 1);
  const field = known[String(path.at(-1))];
  const { expected = 'an object of settings', allowed } = field ?? {};
  return [{ key: path.join('.'), expected, received: valueAt(config, path), ...(allowed && { allowed }) }];
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>((at, key) => (at as Record<PropertyKey, unknown> | undefined)?.[key], value);
}

function schemas(of: Record<string, Field>): Record<string, z.ZodType> {
  return Object.fromEntries(Object.entries(of).map(([key, field]) => [key, field.schema]));
}
