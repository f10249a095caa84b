import { type ConfigProblem, InvalidConfig } from '../../errors';
import { fitsSsim, TAPS } from '../../fidelity/ssim';
import { checkPatch, problemsIn, readModelConfig } from '../../model/config';
import { checkDiscriminators, ganSettings } from '../../model/discriminators/config';
import { howToGetPerceptual } from '../../model/perceptual';
import { defaultsOf, readSettings, withoutUndefined } from '../../setting';
import type { RunConfig } from './config';
import { bestMetrics } from './measures';
import { groups, perceptualSettings, runSettings } from './settings';

/**
 * Checks the settings of a run. Settings that are newer than a stored run have their defaults.
 * @throws InvalidConfig with everything that is wrong
 */
export function checkedConfig(settings: object): RunConfig {
  const given: Record<string, unknown> = { ...defaultsOf(runSettings), ...withoutUndefined(settings) };
  const { values, problems } = readSettings(runSettings, given, '', Object.keys(groups));
  const model = readGroup('model', given.model, (config) => {
    const read = readModelConfig(config);
    return { values: read.config, problems: read.problems, together: read.together };
  });
  const gan = readGroup('gan', given.gan, (config) => readSettings(ganSettings, config, 'gan.'));
  const perceptual = readGroup('perceptual', given.perceptual, (config) =>
    readSettings(perceptualSettings, config, 'perceptual.'),
  );
  const config = { ...values, model: model.values, gan: gan.values, perceptual: perceptual.values };
  const wrong = [problems, model.problems, gan.problems, perceptual.problems].flat();
  const together = model.together ?? [];
  const all = [...wrong, ...together, ...(wrong.length > 0 ? [] : problemsTogether(config as RunConfig))];
  if (all.length > 0) throw new InvalidConfig(all);
  return config as RunConfig;
}

interface Read {
  readonly values: object;
  readonly problems: readonly ConfigProblem[];
  /** What does not fit together in the group. */
  readonly together?: readonly ConfigProblem[];
}

function readGroup(key: string, value: unknown, read: (config: object) => Read): Read {
  if (isMapping(value)) return read(value);
  return { values: {}, problems: [{ key, expected: 'an object of settings', received: value }] };
}

/** What no single setting shows. */
function problemsTogether(config: RunConfig): ConfigProblem[] {
  const { model, gan, patch, stride, perceptual, bestMetric } = config;
  const problems = [
    ...problemsIn(() => checkPatch(model, patch)),
    ...problemsIn(() => checkDiscriminators(gan, patch)),
  ];
  if (stride.some((distance, axis) => distance > patch[axis]!))
    problems.push({
      key: 'stride',
      expected: `at most the patch [${patch.join(', ')}] on every axis, so that no voxel is left out`,
      received: stride,
    });
  const missing = (['vgg', 'heads'] as const).filter((file) => perceptual[file] === undefined);
  if (perceptual.weight > 0)
    for (const [i, file] of missing.entries())
      problems.push({
        key: `perceptual.${file}`,
        // One recipe is enough where both are missing.
        expected: `a safetensors file, where perceptual.weight is above 0${i === 0 ? `: ${howToGetPerceptual()}` : ''}`,
        received: undefined,
      });
  // Each patch is measured by itself, and SSIM's window has 11 voxels.
  if (bestMetric === 'ssim' && !fitsSsim(patch))
    problems.push({
      key: 'bestMetric',
      expected: `a measure that patches [${patch.join(', ')}] have; ssim needs ${TAPS} voxels along each axis`,
      received: bestMetric,
      allowed: bestMetrics.filter((metric) => metric !== 'ssim'),
    });
  if (config.use === 'average' && config.average === 0)
    problems.push({ key: 'use', expected: "'trained' where average is 0", received: config.use });
  if ((config.steps === undefined) === (config.epochs === undefined))
    problems.push({ key: 'steps', expected: 'either steps or epochs', received: config.steps });
  return problems;
}

export function isMapping(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
