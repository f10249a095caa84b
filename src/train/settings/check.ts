import { type ConfigProblem, InvalidConfig } from '../../errors';
import { fitsSsim, TAPS } from '../../fidelity/ssim';
import { checkPatch, problemsIn, readModelConfig } from '../../model/config';
import { checkDiscriminators } from '../../model/discriminators/config';
import { howToGetPerceptual } from '../../model/perceptual';
import { defaultsOf, isMapping, readSettings, withoutUndefined } from '../../setting';
import type { RunConfig } from './config';
import { bestMetrics } from './measures';
import { groups, runSettings } from './settings';

/**
 * Checks the settings of a run. Settings that are newer than a stored run have their defaults.
 * @throws InvalidConfig with everything that is wrong
 */
export function checkedConfig(settings: object): RunConfig {
  const given: Record<string, unknown> = { ...defaultsOf(runSettings), ...withoutUndefined(settings) };
  const { values, problems } = readSettings(runSettings, given, '', Object.keys(groups));
  const config = { ...values, model: {}, gan: {}, perceptual: {} };
  const wrong = [...problems];
  const together: ConfigProblem[] = [];
  for (const key of Object.keys(groups) as (keyof typeof groups)[]) {
    const group = given[key];
    if (!isMapping(group)) {
      wrong.push({ key, expected: 'an object of settings', received: group });
    } else if (key === 'model') {
      const model = readModelConfig(group);
      config.model = model.config;
      wrong.push(...model.problems);
      together.push(...model.together);
    } else {
      const read = readSettings(groups[key], group, `${key}.`);
      config[key] = read.values;
      wrong.push(...read.problems);
    }
  }
  if (wrong.length === 0) together.push(...problemsTogether(config as unknown as RunConfig));
  if (wrong.length + together.length > 0) throw new InvalidConfig([...wrong, ...together]);
  return config as unknown as RunConfig;
}

/** What no single setting shows. */
function problemsTogether(config: RunConfig): ConfigProblem[] {
  const { model, gan, patch, stride, perceptual, bestMetric, data, patients } = config;
  const problems = [
    ...problemsIn(() => checkPatch(model, patch)),
    ...problemsIn(() => checkDiscriminators(gan, patch)),
  ];
  if (patients && patients.length !== data.length)
    problems.push({
      key: 'patients',
      expected: `a patient for each volume of data, ${data.length} of them`,
      received: patients.length,
    });
  if (stride.some((distance, axis) => distance > patch[axis]!))
    problems.push({
      key: 'stride',
      expected: `at most the patch [${patch.join(', ')}] on every axis, so that no voxel is left out`,
      received: stride,
    });
  const missing = (['vgg', 'heads'] as const).filter((file) => perceptual[file] === undefined);
  for (const [i, file] of (perceptual.weight > 0 ? missing : []).entries()) {
    // One recipe is enough where both are missing.
    const recipe = i === 0 ? `: ${howToGetPerceptual()}` : '';
    const expected = `a safetensors file, where perceptual.weight is above 0${recipe}`;
    problems.push({ key: `perceptual.${file}`, expected, received: undefined });
  }
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
