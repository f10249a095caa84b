import { chmodSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { ResourceMeter } from '../../src/train/resources';
import { until } from './tiny';

const path = process.env.PATH;
afterEach(() => {
  process.env.PATH = path;
});

it('tells the cores that are busy and the memory that is taken', () => {
  const meter = new ResourceMeter();
  for (const end = performance.now() + 300; performance.now() < end; ) Math.sqrt(2);
  const { cpu, memory, gpu, gpuMemory } = meter.look();
  expect(cpu).toBeGreaterThan(0.1);
  expect(cpu).toBeLessThan(8);
  const held = Buffer.alloc(64 << 20, 1);
  expect(meter.look().memory).toBeGreaterThan(memory + 32);
  expect(held.length + gpu + gpuMemory).toBe(64 << 20);
});

it("asks nvidia-smi for the rank's own GPU", async () => {
  const folder = mkdtempSync(join(tmpdir(), 'patchwise-smi-'));
  const program = join(folder, 'nvidia-smi');
  // Lists two GPUs, and answers for the one that it is asked for.
  writeFileSync(program, '#!/bin/sh\ncase "$1" in --id=0) echo "7, 2048";; *) echo 0; echo 1;; esac\n');
  chmodSync(program, 0o755);
  process.env.PATH = `${folder}:${path}`;
  const meter = new ResourceMeter();
  meter.look();
  await until(() => meter.look().gpu > 0);
  expect(meter.look()).toMatchObject({ gpu: 7, gpuMemory: 2048 });
});
