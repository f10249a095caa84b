import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { builtC10d } from '../../../src/train/collective/c10d/addon';
import { checkRanks } from '../../../src/train/ranks/check-ranks';

let folder: string;
const path = process.env.PATH;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'patchwise-doctor-'));
});
afterEach(() => {
  vi.unstubAllEnvs();
  process.env.PATH = path;
  rmSync(folder, { recursive: true, force: true });
});

const found = (check: Awaited<ReturnType<typeof checkRanks>>, part: string) =>
  check.findings.find((finding) => finding.part === part);

// Processes start slowly where other tests have the cores.
describe('doctor --ranks', { timeout: 120_000 }, () => {
  it.each(['local', ...(builtC10d() ? (['c10d'] as const) : [])] as const)(
    'lets real processes sum over %s and says how fast, leaving nothing behind',
    async (collective) => {
      vi.stubEnv('PATCHWISE_DEVICE', 'cpu'); // a machine whose GPUs are not used is told so, which is not asked here
      const check = await checkRanks({ ranks: 3, seconds: 1, folder, collective });
      expect(check.findings.filter(({ wrong }) => wrong)).toEqual([]);
      expect(check).toMatchObject({ ok: true, measured: { collective, bytes: 2 ** 24 } });
      expect(check.measured!.operations).toBeGreaterThan(4);
      expect(check.measured!.latency).toBeLessThan(check.measured!.seconds);
      expect(found(check, 'all-reduce')!.found).toMatch(
        /sums over 3 ranks, all right; \d+ us .* \(\d+ MiB\/s\)/,
      );
      expect(found(check, 'port')!.found).toContain('127.0.0.1');
      expect(readdirSync(folder)).toEqual([]);
    },
  );

  it('says how a rank ended that was killed, and nothing of the head of its log', async () => {
    const checking = checkRanks({ ranks: 2, seconds: 60, folder, collective: 'local' });
    const pid = await vi.waitFor(
      () => {
        const { stdout } = spawnSync('ps', ['-eo', 'pid=,args='], { encoding: 'utf8' });
        const probe = stdout.split('\n').find((line) => line.includes('probe') && line.includes(folder));
        return Number(/\d+/.exec(probe!)![0]);
      },
      { timeout: 20_000, interval: 100 },
    );
    process.kill(pid, 'SIGKILL');
    const wrong = found(await checking, 'all-reduce')!.wrong;
    expect(wrong).toMatch(/^rank \d was ended by SIGKILL: a user sent it, or the system ran out of memory$/);
  });

  it('says that a folder cannot be written', async () => {
    const file = join(folder, 'file');
    writeFileSync(file, '');
    const check = await checkRanks({ ranks: 2, seconds: 1, folder: join(file, 'runs') });
    expect(check.ok).toBe(false);
    expect(found(check, 'shared folder')!.wrong).toContain('cannot be written');
  });

  it('shares out the GPUs that nvidia-smi lists', async () => {
    const smi = join(folder, 'nvidia-smi');
    writeFileSync(smi, '#!/bin/sh\nprintf "GPU 0: A (UUID: GPU-a)\\nGPU 1: A (UUID: GPU-b)\\n"\n');
    chmodSync(smi, 0o755);
    process.env.PATH = `${folder}:${path}`;
    vi.stubEnv('PATCHWISE_BACKEND', 'auto'); // who names a backend that computes on the CPU means it
    const check = await checkRanks({ ranks: 4, seconds: 0.2, folder, collective: 'local' });
    expect(found(check, 'devices')!.found).toBe('GPU 0, 1, which 2 ranks share');
    // No driver answers here: the ranks would compute on the CPU.
    expect(found(check, 'devices')!.wrong).toMatch(/2 GPU\(s\), and the CPU computes/);
    expect(check.ok).toBe(false);
    expect(check.measured).toBeDefined();
  });

  it('ends at once, with its ranks, when it is aborted', async () => {
    const signal = AbortSignal.timeout(1500);
    await expect(checkRanks({ ranks: 2, seconds: 60, folder, signal })).rejects.toThrow(/abort|timeout/i);
    expect(readdirSync(folder)).toEqual([]);
  });
});
