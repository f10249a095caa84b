import { copyFileSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { InvalidConfig } from '../errors';
import { newestState } from './record/checkpoint';
import { parseConfig, readStoredConfig, type StoredConfig, settingsOf } from './record/run-folder';
import { checkedConfig } from './settings/check';
import type { RunConfig } from './settings/config';

/**
 * The config of a run that somebody resumes now. People may have edited it.
 * @throws InvalidConfig with everything that is wrong in it
 */
export function configToResume(runDir: string, acceptChanges = false): StoredConfig {
  const path = join(runDir, 'config.json');
  const stored = readStoredConfig(runDir);
  // What cannot be read may be an edit with a comma too many: it is kept when the config is written again.
  if (existsSync(path) && !isConfig(path)) copyFileSync(path, `${path}.damaged`);
  let config: RunConfig;
  try {
    config = checkedConfig(settingsOf(stored));
  } catch (error) {
    throw error instanceof InvalidConfig ? new InvalidConfig(error.problems, `${path}: `) : error;
  }
  const from = newestState(runDir)?.step ?? 0;
  return { ...stored, ...config, resumed: { from, ...(acceptChanges && { acceptChanges }) } };
}

function isConfig(path: string): boolean {
  try {
    parseConfig(readFileSync(path, 'utf8'));
    return true;
  } catch {
    return false;
  }
}

/**
 * The config of a run for another number of ranks. The global batch stays as large as it was where it can be shared
 * out evenly, in as many passes as it takes; else batch and passes stay, and the global batch changes.
 */
export function withRanks(config: StoredConfig, ranks: number): StoredConfig {
  if (!Number.isInteger(ranks) || ranks < 1)
    throw new InvalidConfig([{ key: 'ranks', expected: 'a whole number above 0', received: ranks }]);
  const perRank = (config.batch * config.accumulate * config.ranks) / ranks;
  if (!Number.isInteger(perRank)) return { ...config, ranks };
  let { batch } = config;
  while (perRank % batch !== 0) batch--;
  return { ...config, ranks, batch, accumulate: perRank / batch };
}
