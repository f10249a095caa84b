import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it, vi } from 'vitest';
import { prepareRun } from '../../../src/train/train';
import { writeRoot } from '../../../src/volume/store/dataset-index';

const folder = mkdtempSync(join(tmpdir(), 'patchwise-unfinished-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it('a run on a dataset whose preparation was ended is refused before it has a folder', async () => {
  const runs = join(folder, 'runs');
  vi.stubEnv('PATCHWISE_RUNS', runs);
  writeRoot(folder);
  await expect(prepareRun({ preset: 'toy', data: folder })).rejects.toThrow(/prepare it again/);
  expect(existsSync(runs)).toBe(false);
  vi.unstubAllEnvs();
});
