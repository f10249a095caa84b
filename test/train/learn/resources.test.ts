import { chmodSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { ResourceMeter } from '../../../src/train/learn/resources';
import { until } from '../tiny';

const path = process.env.PATH;
afterEach(() => {
  process.env.PATH = path;
  delete process.env.LOCAL_RANK;
});

it('tells the cores that are busy and the memory that is taken', () => {
  const meter = new ResourceMeter();
  for (const end = performance.now() + 300; performance.now() < end; ) Math.sqrt(2);
  const { cpuByRank, memoryByRank, ...gpu } = meter.look();
  expect(cpuByRank).toBeGreaterThan(0.1);
  expect(cpuByRank).toBeLessThan(8);
  const held = Buffer.alloc(64 << 20, 1);
  expect(meter.look().memoryByRank).toBeGreaterThan(memoryByRank! + 32);
  expect(held.length).toBe(64 << 20);
  expect(gpu).toEqual({});
});

// torchrun pins nobody: its ranks see all GPUs, and each takes that of its local rank.
it.each([
  [undefined, { gpuByRank: 7, gpuMemoryByRank: 2048 }],
  ['1', { gpuByRank: 9, gpuMemoryByRank: 1024 }],
])("asks nvidia-smi for the rank's own GPU: local rank %s", async (localRank, expected) => {
  if (localRank) process.env.LOCAL_RANK = localRank;
  const folder = mkdtempSync(join(tmpdir(), 'patchwise-smi-'));
  const program = join(folder, 'nvidia-smi');
  // Lists two GPUs, and answers for the one that it is asked for.
  writeFileSync(
    program,
    '#!/bin/sh\ncase "$1" in --id=0) echo "7, 2048";; --id=1) echo "9, 1024";; *) echo "GPU 0: A"; echo "GPU 1: A";; esac\n',
  );
  chmodSync(program, 0o755);
  process.env.PATH = `${folder}:${path}`;
  const meter = new ResourceMeter();
  meter.look();
  await until(() => meter.look().gpuByRank !== undefined);
  expect(meter.look()).toMatchObject(expected);
});
