import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { makeFolder } from '../src/make-folder';
import { packageRoot } from '../src/package';

const scratch = mkdtempSync(join(tmpdir(), 'patchwise-folder-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

describe('makeFolder', () => {
  it('makes a folder and those above it, and takes what is there, links too', () => {
    const path = join(scratch, 'a', 'b', 'c');
    makeFolder(path);
    makeFolder(path);
    symlinkSync(join(scratch, 'a'), join(scratch, 'link'));
    makeFolder(join(scratch, 'link', 'd'));
    expect(statSync(join(scratch, 'a', 'd')).isDirectory()).toBe(true);
  });

  it('throws where a file or a link to nothing is in the way', () => {
    writeFileSync(join(scratch, 'file'), '');
    symlinkSync(join(scratch, 'not-mounted'), join(scratch, 'dangling'));
    expect(() => makeFolder(join(scratch, 'file', 'x'))).toThrow(/ENOTDIR/);
    expect(() => makeFolder(join(scratch, 'dangling', 'x'))).toThrow(/EEXIST/);
  });

  it.skipIf(!existsSync('/proc/self'))('throws where nothing can be made', () => {
    expect(() => makeFolder('/proc/nope/x')).toThrow(/ENOENT/);
  });

  it('throws in a working folder that was removed', () => {
    const gone = join(scratch, 'gone');
    mkdirSync(gone);
    const built = JSON.stringify(join(packageRoot(), 'dist', 'src', 'make-folder.js'));
    const script = `require('fs').rmdirSync('../gone'); require(${built}).makeFolder('a/b')`;
    const { status, stderr } = spawnSync(process.execPath, ['-e', script], {
      cwd: gone,
      encoding: 'utf8',
      timeout: 20_000,
    });
    expect(stderr).toMatch(/ENOENT/);
    expect(status).toBe(1);
  });
});
