import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { backendNames, useBackend } from '../../src/compute/use-backend';
import { InvalidArgument, UnavailableBackend } from '../../src/errors';

describe('useBackend', () => {
  const given = process.env.PATCHWISE_BACKEND;
  beforeEach(() => {
    delete process.env.PATCHWISE_BACKEND;
  });
  afterAll(() => {
    if (given) process.env.PATCHWISE_BACKEND = given;
  });

  it('chooses the fastest available one by default and says why', async () => {
    const info = await useBackend();
    expect(info).toMatchObject({ name: backendNames[0], missing: [] });
    expect(info.reason).toContain('fastest');
    if (!backendNames.includes('libtorch'))
      expect(info.reason).toContain('libtorch is not built: `npx patchwise backend build libtorch`');
  });

  it('obeys PATCHWISE_BACKEND, but a given name comes first', async () => {
    process.env.PATCHWISE_BACKEND = 'cpu';
    expect(await useBackend('auto')).toMatchObject({ name: 'cpu', reason: 'asked for by PATCHWISE_BACKEND' });
    expect(await useBackend('wasm')).toMatchObject({ name: 'wasm', reason: 'asked for by name' });
  });

  const absent = (['libtorch', 'tensorflow'] as const).filter((name) => !backendNames.includes(name));
  it.each(absent)('names the command that builds %s', async (name) => {
    await expect(useBackend(name)).rejects.toThrow(UnavailableBackend);
    await expect(useBackend(name)).rejects.toThrow(
      `Run \`npx patchwise backend build ${name}\`, which says what it needs`,
    );
    process.env.PATCHWISE_BACKEND = name;
    await expect(useBackend()).rejects.toThrow(UnavailableBackend);
  });

  it('lists the kernels of tfjs that a backend lacks, and no other', async () => {
    const { unsupported } = await useBackend('cpu');
    expect(unsupported).toContain('LogicalXor');
    expect(unsupported).not.toContain('Conv2D');
  });

  it('names the backends that there are', async () => {
    await expect(useBackend('webgl')).rejects.toThrow(InvalidArgument);
    await expect(useBackend('webgl')).rejects.toThrow('allowed: auto, ');
    process.env.PATCHWISE_BACKEND = 'gpu';
    await expect(useBackend()).rejects.toThrow(/PATCHWISE_BACKEND.*"gpu"/);
  });
});
