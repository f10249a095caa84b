import { InvalidConfig } from '../errors';
import type { StoredConfig } from './run-folder';

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
