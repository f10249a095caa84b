import { execFile, spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';
import { compiledFile } from '../../../src/package';
import { phantom } from '../../../src/volume/phantom/phantom';
import { writeVolume } from '../../../src/volume/write';
import { tree } from '../dicom-fixtures';
import { temporaryFolder } from '../folder';

const folder = temporaryFolder();
const input = () => join(folder(), 'in');

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a shell script in which `$PATCHWISE` is the command, and `$1` and on are `args`. */
function shell(script: string, args: readonly string[], { unshared = false } = {}): Promise<Ended> {
  const command = `"${process.execPath}" "${compiledFile('src', 'cli.js')}"`;
  const whole = script.replaceAll('$PATCHWISE', command);
  const [file, ...before] = unshared ? ['unshare', '-m', 'sh'] : ['sh'];
  const env = { ...process.env, PATCHWISE_PATIENT_KEY: join(folder(), 'key') };
  return promisify(execFile)(file!, [...before, '-c', whole, 'sh', ...args], { env }).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    (error: Ended) => error,
  );
}

/** Whether this user may mount a disk of memory where nobody else sees it. */
const mayMount = spawnSync('unshare', ['-m', 'sh', '-c', 'mount -t tmpfs tmpfs /mnt']).status === 0;

beforeAll(async () => {
  mkdirSync(input());
  for (const patient of [1, 2, 3, 4, 5, 6])
    await writeVolume(join(input(), `P${patient}.nii`), phantom({ shape: [48, 48, 40], seed: patient }), {
      dtype: 'int16',
    });
});

describe('what is not the fault of a file ends the call with code 1, and what is done stays', () => {
  it.skipIf(!mayMount).each([
    ['NIfTI', () => input(), '600k', 'P.'],
    ['DICOM', () => tree, '120k', 'P\\d{12}_s\\d+_\\d{6}'],
  ])(
    'a full disk, with %s',
    async (_what, from, size, name) => {
      const disk = join(folder(), 'disk');
      mkdirSync(disk, { recursive: true });
      const script = `
        mount -t tmpfs -o size=${size} tmpfs "$2" || exit 9
        $PATCHWISE prepare "$1" "$2/d" --workers 2; echo "rc=$?" >&2
        ls -A "$2/d" >&2
        mount -o remount,size=100m "$2" || exit 9
        $PATCHWISE prepare "$1" "$2/d" --json`;
      const { code, stdout, stderr } = await shell(script, [from(), disk], { unshared: true });
      expect([code, stderr]).toEqual([0, expect.stringMatching(/^rc=1$/m)]);
      expect(stderr).toMatch(/patchwise: .*\.part.*: the disk is full \(ENOSPC, \w+\)\. Free some space/);
      expect(stderr.slice(0, stderr.indexOf('rc=1'))).not.toContain('left out');
      const files = stderr.slice(stderr.indexOf('rc=1')).split('\n');
      expect(files.filter((file) => /\.part$|^\.lock|^dataset.json/.test(file))).toEqual([]);
      const done = files.filter((file) => new RegExp(`^${name}$`).test(file));
      expect(done.length).toBeGreaterThan(0);
      const { kept, written } = JSON.parse(stdout) as { kept: string[]; written: string[] };
      expect(kept).toEqual(expect.arrayContaining(done));
      expect(written.length).toBeGreaterThan(0);
    },
    240_000,
  );

  it('a low limit of open files, wherever it is met', { timeout: 240_000 }, async () => {
    const codes = new Set<number>();
    for (const limit of [26, 28, 30, 34, 60]) {
      const output = join(folder(), `limit-${limit}`);
      const script = `ulimit -n ${limit}; $PATCHWISE prepare "$1" "$2" --workers 4 --json`;
      const { code, stdout, stderr } = await shell(script, [input(), output]);
      codes.add(code);
      expect(stderr).not.toContain('fault of Patchwise');
      if (code === 0) expect(JSON.parse(stdout)).toMatchObject({ leftOut: [], written: { length: 6 } });
      else expect([code, stdout, stderr]).toEqual([1, '', expect.stringMatching(/too many files are open/)]);
    }
    expect([...codes]).toEqual([1, 0]);
  });
});
