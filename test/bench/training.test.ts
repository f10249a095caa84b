import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { benchGan } from '../../bench/gan';
import { benchQuantisers, quantiserVariants } from '../../bench/quantisers';
import type { Progress } from '../../src/progress';
import { phantom } from '../../src/volume/phantom/phantom';
import { writeVolume } from '../../src/volume/write';
import { PatchwiseCommand } from '../command';

const folder = mkdtempSync(join(tmpdir(), 'patchwise-bench-training-'));
const data = join(folder, 'ct.nii');
const command = new PatchwiseCommand(() => folder);
beforeAll(() => writeVolume(data, phantom({ shape: [32, 32, 112], seed: 2 })));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('benches that train', { timeout: 300_000 }, () => {
  it('quantisers are measured, each by the same five figures', async () => {
    const seen: Progress[] = [];
    const { bench, rows } = await benchQuantisers({
      ...{ data, steps: 2, backend: 'wasm', variants: ['ema', 'lfq'] },
      onProgress: (progress) => seen.push(progress),
    });
    expect(bench).toBe('quantisers');
    expect(rows.map((row) => row.case)).toEqual(
      ['ema', 'lfq'].flatMap((name) => Array<string>(5).fill(`${name}: toy, 2 steps, ${data}, wasm`)),
    );
    for (const at of [0, 5]) {
      const [psnr, ssim, all, rest, usage] = rows.slice(at, at + 5).map(({ ours }) => ours) as [
        number,
        number,
        number,
        number,
        number,
      ];
      expect(psnr).toBeGreaterThan(0);
      expect(Math.abs(ssim)).toBeLessThan(1);
      expect(usage).toBeGreaterThan(0);
      for (const perplexity of [all, rest]) {
        expect(perplexity).toBeGreaterThanOrEqual(1);
        expect(perplexity).toBeLessThanOrEqual(usage * 512 + 1e-3);
      }
    }
    expect(seen.at(-1)).toMatchObject({ done: 2, total: 2 });
  });

  it('discriminators are measured beside L1, with the course of each loss, as JSON from the shell too', async () => {
    const report = await command.json('bench', 'gan', '--data', data, '--steps', '10', '--backend', 'wasm');
    expect(report.bench).toBe('gan');
    expect(report.rows.map(({ metric }: { metric: string }) => metric)).toEqual([
      ...['mean gradient magnitude', 'PSNR', 'SSIM'],
      ...['adversarial', 'discriminator', 'features', 'reconstruction'],
    ]);
    for (const { ours, peer, ratio } of report.rows as Record<'ours' | 'peer' | 'ratio', number>[])
      expect(ratio).toBeCloseTo(ours / peer, 9);
    expect(report.rows[1].peerName).toBe('L1 alone');
  });

  it('an unknown quantiser is refused with those there are', async () => {
    await expect(benchQuantisers({ data, variants: ['vq'] })).rejects.toThrow(
      Object.keys(quantiserVariants).join(', '),
    );
    const { code, stderr } = await command.run(['bench', 'quantisers', '--variants', 'vq', '--json']);
    expect([code, stderr]).toEqual([2, expect.stringContaining('variants')]);
  });

  it('stop when they are told to', async () => {
    const controller = new AbortController();
    const running = benchGan({ data, steps: 100_000, backend: 'wasm', signal: controller.signal });
    setTimeout(() => controller.abort(new Error('enough')), 3000);
    await expect(running).rejects.toThrow('enough');
  });
});
