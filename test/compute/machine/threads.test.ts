import { execFile } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { rankGpu, rankThreads } from '../../../src/compute/machine/threads';
import { backendNames } from '../../../src/compute/use-backend';
import { InvalidArgument } from '../../../src/errors';

const NAMES = [
  ...[
    'PATCHWISE_THREADS',
    'PATCHWISE_DEVICE',
    'PATCHWISE_GPU',
    'LOCAL_RANK',
    'LOCAL_WORLD_SIZE',
    'WORLD_SIZE',
  ],
];

describe('what a rank may use', () => {
  const given = (environment: Record<string, string>) => {
    for (const name of NAMES) vi.stubEnv(name, environment[name]);
  };
  afterEach(() => {
    vi.unstubAllEnvs();
  });

  it('is a share of the threads, or as many as it is told', () => {
    const cores = availableParallelism();
    given({});
    expect(rankThreads()).toBe(cores);
    given({ WORLD_SIZE: '8', LOCAL_WORLD_SIZE: '2' });
    expect(rankThreads()).toBe(Math.max(1, Math.floor(cores / 2)));
    expect(rankThreads(1)).toBe(cores);
    given({ WORLD_SIZE: '4096' });
    expect(rankThreads()).toBe(1);
    given({ PATCHWISE_THREADS: '3', WORLD_SIZE: '2' });
    expect(rankThreads()).toBe(3);
    for (const wrong of ['0', '-1', '1.5', 'all']) {
      given({ PATCHWISE_THREADS: wrong });
      expect(() => rankThreads()).toThrow(InvalidArgument);
      expect(() => rankThreads()).toThrow(
        `PATCHWISE_THREADS: expected a whole number from 1, received "${wrong}"`,
      );
    }
  });

  it('is the GPU of its local rank, or the device it is told', () => {
    given({});
    expect(rankGpu()).toBe(0);
    given({ LOCAL_RANK: '2' });
    expect(rankGpu()).toBe(2);
    given({ LOCAL_RANK: '2', PATCHWISE_GPU: '0' });
    expect(rankGpu()).toBe(0);
    given({ LOCAL_RANK: '2', PATCHWISE_DEVICE: 'cuda:1' });
    expect(rankGpu()).toBe(1);
    given({ LOCAL_RANK: '2', PATCHWISE_DEVICE: 'cpu' });
    expect(rankGpu()).toBeUndefined();
    given({ PATCHWISE_DEVICE: 'gpu0' });
    expect(() => rankGpu()).toThrow(/PATCHWISE_DEVICE.*"gpu0"; allowed: cpu, cuda, cuda:N/);
  });
});

describe.skipIf(!backendNames.includes('libtorch'))('libtorch in a process of its own', () => {
  const load = (environment: Record<string, string>) => {
    const module = join(__dirname, '../../../dist/src/compute/use-backend.js');
    const program = `require(${JSON.stringify(module)}).useBackend('libtorch').then(
      ({ threads, device }) => console.log(JSON.stringify({ threads, device })),
      (error) => console.log(JSON.stringify({ tag: error.tag, message: error.message })))`;
    return promisify(execFile)(process.execPath, ['-e', program], {
      env: { ...process.env, ...environment },
      timeout: 120_000,
    }).then(({ stdout }) => JSON.parse(stdout) as Record<string, unknown>);
  };

  it('computes with the threads it is told, on the CPU where that is asked for', {
    timeout: 180_000,
  }, async () => {
    const told = { PATCHWISE_DEVICE: 'cpu' };
    expect(await load({ ...told, PATCHWISE_THREADS: '1' })).toEqual({ threads: 1, device: 'CPU' });
    expect(await load({ ...told, PATCHWISE_THREADS: '3' })).toEqual({ threads: 3, device: 'CPU' });
  });

  it('refuses a GPU that is not here', { timeout: 180_000 }, async () => {
    const { tag, message } = await load({ PATCHWISE_DEVICE: 'cuda:99' });
    expect(tag).toBe('UnavailableBackend');
    expect(message).toMatch(/PATCHWISE_DEVICE asks for cuda:99, and libtorch sees (no GPU|\d+ GPU)/);
  });
});
