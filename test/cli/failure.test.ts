import { spawn } from 'node:child_process';
import {
  createWriteStream,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { CommanderError, InvalidArgumentError } from 'commander';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { exitCodeOf, tellFailure } from '../../src/cli/failure';
import { InvalidArgument, RunFailed } from '../../src/errors';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'patchwise-failure-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function thrownBy(act: () => unknown): Error {
  try {
    act();
  } catch (error) {
    return error as Error;
  }
  throw new Error('nothing was thrown');
}

const full = () =>
  Object.assign(new Error('ENOSPC: no space left on device, write'), {
    ...{ code: 'ENOSPC', syscall: 'write', errno: -28 },
  });

describe('tellFailure', () => {
  it.each<[string, () => unknown, string[]]>([
    [
      'a missing file',
      () => readFileSync(join(folder, 'nosuch')),
      ['nosuch', 'no such file', 'ENOENT', 'spelling'],
    ],
    [
      'a file as a folder',
      () => openSync(join(__filename, 'x'), 'r'),
      ['a file stands where a folder', 'ENOTDIR'],
    ],
    ['a folder as a file', () => readFileSync(folder), ['a folder stands where a file', 'EISDIR']],
    ['a long name', () => writeFileSync(join(folder, 'a'.repeat(300)), ''), ['too long', '255']],
    ['what is there', () => mkdirSync(folder), ['there already', 'EEXIST']],
  ])('tells %s in one line, with the path and the cure', (_, act, told) => {
    const line = tellFailure(thrownBy(act))!;
    for (const part of told) expect(line).toContain(part);
    expect(line).not.toContain('\n');
    expect(line).not.toMatch(/\bat \S+:\d+/);
  });

  it('tells a full disk that names no path, also as the cause of another error', () => {
    for (const error of [full(), new Error('the worker ended', { cause: full() })])
      expect(tellFailure(error)).toBe(
        'the disk is full (ENOSPC, write). Free some space, then run the same command again.',
      );
  });

  it('prints the message of an unknown system error, without a stack', async () => {
    const odd = Object.assign(new Error('EOWNERDEAD: owner died, lock'), {
      code: 'EOWNERDEAD',
      syscall: 'lock',
    });
    expect(tellFailure(odd)).toBe('EOWNERDEAD: owner died, lock (EOWNERDEAD, lock).');
    const streamed = await new Promise<Error>((done) =>
      createWriteStream(join(folder, 'no', 'folder')).on('error', done),
    );
    expect(tellFailure(streamed)).toContain(`${join(folder, 'no', 'folder')}: no such file`);
  });

  it('keeps the stack of a fault of ours, and asks for a report', () => {
    const told = tellFailure(new TypeError('undefined is not a function'))!;
    expect(told).toMatch(/fault of Patchwise.*report/);
    expect(told).toContain('failure.test.ts');
  });

  it('tells our own errors by their message alone, and an aborted call as stopped', () => {
    expect(tellFailure(new RunFailed('r', 'failed', 'no room'))).toBe('run r failed: no room');
    expect(tellFailure(thrownBy(() => AbortSignal.abort().throwIfAborted()))).toBe('stopped');
  });

  it('says nothing where commander has spoken', () => {
    expect(tellFailure(new CommanderError(1, 'x', 'y'))).toBeUndefined();
  });
});

describe('exitCodeOf', () => {
  it('is 2 for wrong usage, 1 for work that failed, 0 for help', () => {
    expect(exitCodeOf(new InvalidArgument('a', 'b', 'c'))).toBe(2);
    expect(exitCodeOf(new InvalidArgumentError('a'))).toBe(2);
    expect(exitCodeOf(full())).toBe(1);
    expect(exitCodeOf(new CommanderError(0, 'commander.help', ''))).toBe(0);
  });
});

describe('a reader that goes away', () => {
  it('ends the command without a stack', async () => {
    const child = spawn(process.execPath, [resolve('dist/src/cli.js'), 'plan', '--help'], { stdio: 'pipe' });
    child.stdout.destroy();
    let told = '';
    child.stderr.on('data', (chunk) => {
      told += chunk;
    });
    const code = await new Promise((done) => child.on('exit', done));
    expect(told).toBe('');
    expect(code).toBe(0);
  });
});
