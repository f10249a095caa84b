import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { TrainingData } from '../../../src/train/data/loader';
import { changesSince, configToResume } from '../../../src/train/ranks/resume';
import type { CheckpointState } from '../../../src/train/record/checkpoint';
import { checkedConfig } from '../../../src/train/settings/check';
import { resolveConfig } from '../../../src/train/settings/config';
import { prepareRun } from '../../../src/train/train';
import { tiny, useTemporaryRuns } from '../tiny';

let removeRuns: () => void;
beforeAll(() => {
  removeRuns = useTemporaryRuns();
});
afterAll(() => removeRuns());

const data = {
  train: { count: 1 },
  validation: { count: 0 },
  intensities: {},
  digests: [],
} as unknown as TrainingData;

/** What differs from a checkpoint whose config was written with these values. */
function changesFrom(written: object): string[] {
  const config = checkedConfig({
    ...resolveConfig({ ...tiny, data: ['phantom:16x16x32'], view: { shape: [16, 16, 16], how: 'crop' } }),
  });
  const state = { config: { ...config, ...written }, intensities: {} } as unknown as CheckpointState;
  return changesSince(state, config, data);
}

it('one number for three, and another order of keys, are no changes of a run', () => {
  expect(changesFrom({})).toEqual([]);
  expect(changesFrom({ view: { how: 'crop', shape: 16 } })).toEqual([]);
  expect(changesFrom({ patch: tiny.patch, learningRate: 0.5 })).toEqual([
    expect.stringContaining('learningRate 0.5 ->'),
  ]);
});

it('a size that somebody writes as one number into config.json is three from the next resume on', async () => {
  const run = await prepareRun(tiny);
  const path = join(run.dir, 'config.json');
  const config = JSON.parse(readFileSync(path, 'utf8'));
  writeFileSync(
    path,
    JSON.stringify({ ...config, patch: 16, stride: 12, model: { ...config.model, downsample: 4 } }),
  );
  expect(configToResume(run.dir)).toMatchObject({
    patch: [16, 16, 16],
    stride: [12, 12, 12],
    model: { downsample: [4, 4, 4] },
    id: run.id,
  });
});
