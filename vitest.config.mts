import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    maxWorkers: 2,
    env: { XDG_CACHE_HOME: join(tmpdir(), 'patchwise-test-cache') }, // the user's own list of runs is not the tests'
  },
});
