import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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

it('of libtorch says so on a host whose GPUs it does not use', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'patchwise-smi-'));
  writeFileSync(join(folder, 'nvidia-smi'), '#!/bin/sh\necho "GPU 0: NVIDIA H200 (UUID: GPU-0)"\n', {
    mode: 0o755,
  });
  vi.stubEnv('PATH', `${folder}:${process.env.PATH}`);
  vi.stubEnv('CUDA_VISIBLE_DEVICES', undefined);
  addon.cudaProblem = () => 'this libtorch was built without CUDA';
  vi.resetModules();
  const log = vi.spyOn(console, 'log').mockImplementation(() => {});
  log.mockClear();
  await import('../../src/compute/libtorch/self-test.js');
  await vi.waitFor(() => expect(log).toHaveBeenCalled(), { timeout: 60_000 });
  expect(JSON.parse(log.mock.lastCall![0]).warning).toContain(
    'this host has 1 GPU(s), and the CPU computes: libtorch sees none (this libtorch was built without CUDA)',
  );
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
}, 60_000);
