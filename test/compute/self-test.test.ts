import { expect, it, vi } from 'vitest';
import { loadWasm } from '../../src/compute/wasm/backend';

const addon = { threads: () => 1, gpus: () => 0, cudaProblem: () => '' };
vi.mock('../../src/compute/libtorch/addon', () => ({ loadAddon: () => addon }));
vi.mock('../../src/compute/libtorch/backend', () => ({ libtorchBackend: loadWasm }));

it('of libtorch says whether CUDA was used, and has no problem where there is none', async () => {
  const log = vi.spyOn(console, 'log').mockImplementation(() => {});
  await import('../../src/compute/libtorch/self-test.js');
  await vi.waitFor(() => expect(log).toHaveBeenCalled(), { timeout: 60_000 });
  const found = JSON.parse(log.mock.lastCall![0]);
  expect(Object.keys(found).sort()).toEqual(['cuda', 'gigaflopsPerSecond', 'threads', 'version']);
  expect(found.cuda).toBe(false);
}, 60_000);
