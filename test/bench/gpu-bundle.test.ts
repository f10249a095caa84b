import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { modules } from '../../bench/gpu-bundle/bundle';
import { packageRoot } from '../../src/internal';

it('packs each module that the program and the tests load, also those inside others, and no notebook', () => {
  const found = modules();
  for (const name of [
    '@tensorflow/tfjs-core',
    'commander',
    'node-api-headers',
    'numcodecs',
    'vitest',
    'vite',
  ])
    expect(found).toContain(`node_modules/${name}`);
  for (const name of ['tslab', 'typescript', 'zeromq', 'playwright-core', '@biomejs/biome'])
    expect(found).not.toContain(`node_modules/${name}`);
  expect(new Set(found).size).toBe(found.length);
  for (const folder of found)
    expect(existsSync(join(packageRoot(), folder, 'package.json')), folder).toBe(true);
});
