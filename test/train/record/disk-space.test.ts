import { describe, expect, it } from 'vitest';
import { RunFailed } from '../../../src/errors';
import { whenDiskHasSpace } from '../../../src/train/record/disk-space';

const full = () => Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });

function options(patience = 10) {
  const warnings: (string | undefined)[] = [];
  return {
    warnings,
    run: 'r1',
    patience,
    warn: (message: string | undefined) => void warnings.push(message),
  };
}

describe('a full disk', () => {
  it('is waited for: the write comes through once there is some, and says so', async () => {
    const given = options();
    let attempts = 0;
    const write = () => {
      if (++attempts < 3) throw full();
      return 'written';
    };
    expect(await whenDiskHasSpace('a record', write, given)).toBe('written');
    expect(attempts).toBe(3);
    expect(given.warnings).toEqual(['the disk is full: waiting for space for a record', undefined]);
  });

  it('is not waited for for ever, nor by a run that is stopped', async () => {
    const never = () => {
      throw full();
    };
    const error = await whenDiskHasSpace('a record', never, options(0.5)).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(RunFailed);
    expect((error as Error).message).toContain('no space for a record; resume it when there is');
    const stopped = { ...options(60), signal: AbortSignal.abort() };
    await expect(whenDiskHasSpace('a record', never, stopped)).rejects.toBeInstanceOf(RunFailed);
  });

  it('has nothing to do with other errors', async () => {
    const given = options();
    const broken = () => {
      throw new Error('EIO');
    };
    await expect(whenDiskHasSpace('a record', broken, given)).rejects.toThrow('EIO');
    expect(given.warnings).toEqual([]);
  });
});
