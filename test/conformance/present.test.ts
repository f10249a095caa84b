/** Which backends this suite runs on. */
import { describe, expect, it } from 'vitest';
import { backendNames, useBackend } from '../../src/compute/use-backend';

const required = (process.env.PATCHWISE_REQUIRE_BACKENDS ?? '').split(',').filter(Boolean);

describe('the backends under test', () => {
  it.each(required)('%s is here, as PATCHWISE_REQUIRE_BACKENDS requires', (name) => {
    expect(backendNames).toContain(name);
  });

  it.skipIf(backendNames.includes('libtorch'))('include libtorch', (context) => {
    console.log('skipped: backend libtorch is not built (npx patchwise backend build libtorch)');
    context.skip();
  });
});

describe.each(backendNames)('backend %s', (name) => {
  it('has every kernel of tfjs that models use', async () => {
    expect((await useBackend(name)).missing).toEqual([]);
  });
});
