import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { UnreadableFile } from '../../../src/errors';
import { configToResume } from '../../../src/train/ranks/resume';
import { saveCheckpoint } from '../../../src/train/record/checkpoint';
import { readStoredConfig, settingsOf } from '../../../src/train/record/run-folder';
import { prepareRun } from '../../../src/train/train';
import { tiny, useTemporaryRuns } from '../tiny';

let removeRuns: () => void;
beforeAll(() => {
  removeRuns = useTemporaryRuns();
});
afterAll(() => removeRuns());

describe('a config.json that is no object', { timeout: 60_000 }, () => {
  it.each(['null', '[]', '5', '"text"', ''])(
    'is damaged, and the newest checkpoint has it: %j',
    async (content) => {
      vi.spyOn(console, 'warn').mockImplementation(() => {});
      const { dir } = await prepareRun(tiny);
      const path = join(dir, 'config.json');
      const config = settingsOf(readStoredConfig(dir));
      writeFileSync(path, content);
      expect(() => readStoredConfig(dir)).toThrow(UnreadableFile);
      const none = new Map();
      const state = { step: 1, epoch: 0, position: 0, adamSteps: 1, config, intensities: {}, patchwise: '0' };
      saveCheckpoint(dir, { state, model: none, optimiser: none }, { best: false, keep: 1 });
      expect(configToResume(dir).model).toEqual(config.model);
      expect(existsSync(`${path}.damaged`)).toBe(true);
    },
  );
});
