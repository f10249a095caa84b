import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';
import { compiledFile } from '../../../src/package';
import { phantom } from '../../../src/volume/phantom';
import { openDataset } from '../../../src/volume/store/dataset';
import { prepareDataset } from '../../../src/volume/store/prepare';
import { writeVolume } from '../../../src/volume/write';
import { temporaryFolder } from '../folder';

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The command in a shell that lets no file grow over `kilobytes`: the system then fails as on a full disk. */
function patchwiseWithin(kilobytes: number, args: readonly string[]): Promise<Ended> {
  const script = 'ulimit -f "$0"; exec "$@"';
  const command = [process.execPath, compiledFile('src', 'cli.js'), ...args];
  return promisify(execFile)('sh', ['-c', script, `${2 * kilobytes}`, ...command]).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    (error: Ended) => error,
  );
}

describe("a fault that is not the file's own", { timeout: 120_000 }, () => {
  const folder = temporaryFolder();
  const input = () => join(folder(), 'in');

  beforeAll(async () => {
    mkdirSync(input());
    for (const [patient, side] of [20, 20, 80, 20].entries())
      await writeVolume(
        join(input(), `P${patient}.nii.gz`),
        phantom({ shape: [side, side, side], seed: patient }),
        {
          dtype: 'int16',
        },
      );
  });

  it('ends the call with its path, keeps what was done, and the next call goes on from there', async () => {
    const output = join(folder(), 'full');
    const { code, stdout, stderr } = await patchwiseWithin(256, [
      'prepare',
      input(),
      output,
      '--workers',
      '1',
    ]);
    expect(code).toBe(1);
    expect(stdout).toBe('');
    expect(stderr).toMatch(/EFBIG/);
    expect(stderr).toContain('P2.part');
    expect(stderr).not.toContain('left out');
    expect(existsSync(join(output, 'dataset.json'))).toBe(false);
    expect(readdirSync(output).filter((name) => name.startsWith('.'))).toEqual([]);
    const rest = await prepareDataset(input(), output);
    expect(rest.kept).toEqual(expect.arrayContaining(['P0', 'P1']));
    expect(rest.leftOut).toEqual([]);
    expect(openDataset(output).volumes).toHaveLength(4);
  });

  it('also if an index could not be read: the split is not drawn again', async () => {
    const output = join(folder(), 'index');
    await prepareDataset(input(), output);
    writeFileSync(join(output, 'dataset.json'), '{"format": "patchwise data');
    await expect(prepareDataset(input(), output)).rejects.toThrow(/dataset.json: expected the index/);
  });
});
