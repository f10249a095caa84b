import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { backendNames } from '../../../src/compute/use-backend';
import { packageRoot } from '../../../src/package';

/** 131,072 latents against 16,384 codes: the matrix of distances would be 8.6 GB. */
const program = (backend: string, compiled: string) => `
const { useBackend } = require(${JSON.stringify(join(compiled, 'compute/use-backend.js'))});
const { nearestCode } = require(${JSON.stringify(join(compiled, 'compute/ops/ops.js'))});
const tf = require('@tensorflow/tfjs-core');
(async () => {
  await useBackend(${JSON.stringify(backend)});
  const [m, k, d] = [131072, 16384, 8];
  const codebook = Float32Array.from({ length: k * d }, (_, i) => Math.sin(i * 12.9898) * 43758.5453 % 1);
  const z = Float32Array.from({ length: m * d }, (_, i) => codebook[i % (k * d)] + 1e-4);
  const warm = nearestCode(tf.tensor2d(z.subarray(0, 8 * d), [8, d]), tf.tensor2d(codebook, [k, d])).dataSync();
  const before = process.resourceUsage().maxRSS;
  const codes = nearestCode(tf.tensor2d(z, [m, d]), tf.tensor2d(codebook, [k, d])).dataSync();
  const wrong = codes.filter((code, i) => code !== i % k).length;
  console.log(JSON.stringify({ wrong, mebibytes: (process.resourceUsage().maxRSS - before) / 1024 }));
})();
`;

describe.each(backendNames.filter((name) => name !== 'cpu'))('nearest code on %s', (backend) => {
  test('131,072 latents and 16,384 codes take little more than their own memory', () => {
    const compiled = join(packageRoot(), 'dist', 'src');
    // In a process of its own, for the peak is the process's.
    const out = execFileSync(process.execPath, ['-e', program(backend, compiled)], {
      encoding: 'utf8',
      cwd: packageRoot(),
    });
    const { wrong, mebibytes } = JSON.parse(out) as { wrong: number; mebibytes: number };
    expect(wrong).toBe(0);
    // ATen has 64 MiB of distances at a time.
    expect(mebibytes).toBeLessThan(process.env.PATCHWISE_LIKE_CUDA ? 96 : 64);
  }, 240_000);
});
