import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { buildLibtorch } from '../../src/compute/libtorch/build';
import { addonPath, buildKey, requireBuild } from '../../src/compute/libtorch/built';
import { isBuilt } from '../../src/compute/machine/toolchain';

describe('a built libtorch', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'patchwise-built-'));
    vi.stubEnv('PATCHWISE_CACHE', folder);
    libtorchIs('2.7.1');
  });
  afterEach(() => {
    vi.unstubAllEnvs();
    rmSync(folder, { recursive: true });
  });

  it('serves the processor that it was built on', () => {
    record({ key: buildKey() });
    expect(requireBuild().libtorch).toBe('2.7.1');
    record({ key: buildKey('another processor') });
    expect(requireBuild).toThrow('from other sources or on another processor');
  });

  it('serves every machine of a mixed cluster where it was built for the plainest', () => {
    record({ march: 'x86-64-v3', key: buildKey('x86-64-v3') });
    expect(requireBuild().march).toBe('x86-64-v3');
    record({ march: 'x86-64-v4', key: buildKey('x86-64-v3') });
    expect(requireBuild).toThrow('from other sources or on another processor');
  });

  it('is stale if another libtorch has replaced its own', () => {
    record({ key: buildKey() });
    libtorchIs('2.8.0');
    expect(requireBuild).toThrow('it was built on libtorch 2.7.1, and 2.8.0 is in');
  });

  it('reports while it is built how much of it is compiled', async () => {
    for (const file of ['lib/libtorch_cpu.so', 'lib/libc10.so', 'include/ATen/ATen.h']) {
      mkdirSync(join(folder, file, '..'), { recursive: true });
      writeFileSync(join(folder, file), '');
    }
    vi.stubEnv('CXX', 'true'); // a compiler that compiles nothing
    const steps: string[] = [];
    const build = buildLibtorch({ libtorch: folder, onProgress: ({ what }) => steps.push(what) });
    await expect(build).rejects.toThrow('it was built but does not work');
    expect(steps.slice(1)).toEqual(['compiled 1 of 2', 'compiled 2 of 2', 'linked']);
  });

  it('is not built if its addon is gone', () => {
    record({ key: buildKey() });
    expect(isBuilt('libtorch')).toBe(true);
    rmSync(addonPath());
    expect(isBuilt('libtorch')).toBe(false);
    expect(requireBuild).toThrow('it is not built');
  });

  function record(changes: { readonly key: string; readonly march?: string }): void {
    mkdirSync(join(folder, 'libtorch'), { recursive: true });
    writeFileSync(addonPath(), '');
    const whole = {
      libtorch: '2.7.1',
      from: 'a test',
      cuda: false,
      headers: join(folder, 'include'),
      seconds: 1,
    };
    writeFileSync(join(folder, 'libtorch', 'build.json'), JSON.stringify({ ...whole, ...changes }));
  }

  function libtorchIs(version: string): void {
    const place = join(folder, 'include', 'torch', 'headeronly');
    mkdirSync(place, { recursive: true });
    const parts = version
      .split('.')
      .map((number, i) => `#define TORCH_VERSION_${['MAJOR', 'MINOR', 'PATCH'][i]} ${number}`);
    writeFileSync(join(place, 'version.h'), parts.join('\n'));
  }
});
