import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { runSecret } from '../../../src/train/collective/run-secret';

const disk = vi.hoisted(() => ({ full: false }));
vi.mock('node:fs', async (original) => {
  const fs = await original<typeof import('node:fs')>();
  // A full disk still has room for a name, so the file is there and empty.
  const fill = <T extends unknown[], R>(write: (...given: T) => R) =>
    ((...given: T) => {
      if (!disk.full) return write(...given);
      throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
    }) as typeof write;
  const writeFile: typeof fs.writeFileSync = (path, content, options) => {
    fs.writeFileSync(path, disk.full ? '' : content, options);
    fill(() => {})();
  };
  return { ...fs, writeSync: fill(fs.writeSync), writeFileSync: writeFile };
});

let run = '';
beforeEach(() => {
  run = mkdtempSync(join(tmpdir(), 'patchwise-secret-'));
});
afterEach(() => {
  disk.full = false;
  rmSync(run, { recursive: true });
});

const path = () => join(run, 'secret');

describe('the secret of a run', { timeout: 60_000 }, () => {
  it('is the same for all who ask at once, complete, and readable by nobody else', async () => {
    const secrets = await Promise.all([runSecret(run), runSecret(run), runSecret(run)]);
    expect(new Set(secrets)).toEqual(new Set([readFileSync(path(), 'utf8')]));
    expect(statSync(path()).mode & 0o777).toBe(0o600);
    expect(readdirSync(run)).toEqual(['secret']);
  });

  it('is not half there after a full disk', async () => {
    disk.full = true;
    await expect(runSecret(run)).rejects.toThrow('no space left');
    expect(existsSync(path())).toBe(false);
    disk.full = false;
    expect(await runSecret(run)).toMatch(/^[0-9a-f]{64}$/);
  });

  it.each(['', 'ab12', 'no secret'])(
    'is made again by who has the run where it is damaged: %j',
    async (content) => {
      vi.spyOn(console, 'error').mockImplementation(() => {});
      writeFileSync(path(), content);
      const [mine, others] = await Promise.all([runSecret(run, true), runSecret(run)]);
      expect(mine).toMatch(/^[0-9a-f]{64}$/);
      expect(others).toBe(mine);
      expect(statSync(path()).mode & 0o777).toBe(0o600);
    },
  );
});
