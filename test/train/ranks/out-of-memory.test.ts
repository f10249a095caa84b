import { expect, test, vi } from 'vitest';
import { OutOfMemory, RunFailed } from '../../../src/errors';
import { Star } from '../../../src/train/collective/star';
import { Learner } from '../../../src/train/learn/learner';
import { explainOutOfMemory } from '../../../src/train/ranks/out-of-memory';
import { trainRank } from '../../../src/train/ranks/training-loop';
import { resolveConfig } from '../../../src/train/settings/config';
import { prepareRun } from '../../../src/train/train';
import { tiny, useTemporaryRuns } from '../tiny';

const guide = resolveConfig({ preset: 'guide', data: ['ct.nii'], batch: 2 });

test('says what the step takes and what each remedy would, in numbers', () => {
  const cause = new Error(
    'CUDA out of memory. Tried to allocate 8.50 GiB. GPU 0 has a total capacity of 79.11 GiB',
  );
  const error = explainOutOfMemory(cause, 'r1', guide, { name: 'libtorch', device: 'CUDA 0' }) as RunFailed;
  expect(error).toBeInstanceOf(RunFailed);
  expect(error.message).toMatch(/patch 256 x 256 x 128, batch 2, takes \d+\.\d GiB a rank/);
  expect(error.message).toContain('Tried to allocate 8.50 GiB');
  for (const setting of ['patch=192,192,96', 'batch=1', 'checkpointing=blocks', 'precision=bf16'])
    expect(error.message).toMatch(new RegExp(`--set ${setting}.* takes \\d+\\.\\d GiB`));
  expect(error.cause).toBe(cause);
});

test('leaves other errors as they are', () => {
  const other = new Error('the disk is full');
  expect(explainOutOfMemory(other, 'r1', guide, { name: 'wasm', device: 'CPU' })).toBe(other);
});

test('a rank that runs out of memory ends with it', async () => {
  const remove = useTemporaryRuns();
  vi.spyOn(Learner.prototype, 'addPass').mockRejectedValue(new OutOfMemory('wasm', 2 ** 30, 2 ** 32));
  try {
    const run = await prepareRun({ ...tiny, backend: 'wasm', batch: 2 });
    const training = trainRank({
      ...{ runDir: run.dir, collective: new Star(0, 1, 60), stop: new AbortController().signal },
      ...{ asked: { save: false }, report: async () => {}, progress: { step: 0, training: false } },
    });
    await expect(training).rejects.toThrow(
      /takes 0\.\d+ GiB a rank[\s\S]*--set batch=1 accumulate=2 takes 0\.\d+ GiB/,
    );
  } finally {
    vi.restoreAllMocks();
    remove();
  }
}, 30_000);
