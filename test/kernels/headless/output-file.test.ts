import { execFileSync, spawn } from 'node:child_process';
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { OutputFile } from '../../../kernels/headless/output-file';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'patchwise-output-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const write = async (path: string, text: string): Promise<void> => (await OutputFile.open(path)).write(text);

it('replaces a file and keeps who may read it, and makes the folders of a new one', async () => {
  const old = join(folder, 'old.txt');
  writeFileSync(old, 'old', { mode: 0o600 });
  const file = await OutputFile.open(old);
  expect(readFileSync(old, 'utf8')).toBe('old'); // opening changes nothing
  await file.write('new');
  await file.write('newer');
  expect(readFileSync(old, 'utf8')).toBe('newer');
  expect(statSync(old).mode & 0o777).toBe(0o600);
  await write(join(folder, 'a/b/new.txt'), 'made');
  expect(readFileSync(join(folder, 'a/b/new.txt'), 'utf8')).toBe('made');
  expect(readdirSync(folder).sort()).toEqual(['a', 'old.txt']);
});

it('follows links, also one to a file that is not there yet', async () => {
  mkdirSync(join(folder, 'far'));
  writeFileSync(join(folder, 'far/real.txt'), 'old');
  symlinkSync('far/real.txt', join(folder, 'link.txt'));
  symlinkSync('link.txt', join(folder, 'second.txt'));
  symlinkSync('far/new.txt', join(folder, 'dangling.txt'));
  await write(join(folder, 'second.txt'), 'through');
  await write(join(folder, 'dangling.txt'), 'made');
  expect(readFileSync(join(folder, 'far/real.txt'), 'utf8')).toBe('through');
  expect(readFileSync(join(folder, 'far/new.txt'), 'utf8')).toBe('made');
  for (const link of ['link.txt', 'second.txt', 'dangling.txt'])
    expect(lstatSync(join(folder, link)).isSymbolicLink()).toBe(true);
});

it('takes the longest name that a file can have', async () => {
  const path = join(folder, 'n'.repeat(255));
  await write(path, 'long');
  expect(readFileSync(path, 'utf8')).toBe('long');
});

it('writes into a pipe, and leaves it a pipe', async () => {
  const pipe = join(folder, 'pipe');
  execFileSync('mkfifo', [pipe]);
  const reader = spawn('cat', [pipe], { stdio: ['ignore', 'pipe', 'inherit'] });
  let read = '';
  reader.stdout.on('data', (text) => {
    read += text;
  });
  const file = await OutputFile.open(pipe);
  expect(file.isStream).toBe(true);
  await file.write('piped');
  await new Promise((resolve) => reader.on('close', resolve));
  expect(read).toBe('piped');
  expect(lstatSync(pipe).isFIFO()).toBe(true);
});

it('never replaces a device', async () => {
  await write('/dev/null', 'nothing');
  expect(lstatSync('/dev/null').isCharacterDevice()).toBe(true);
});

it('says at once that it cannot be written', async () => {
  await expect(OutputFile.open(folder)).rejects.toMatchObject({ tag: 'InvalidArgument' });
  writeFileSync(join(folder, 'file'), '');
  await expect(OutputFile.open(join(folder, 'file/below'))).rejects.toMatchObject({ code: 'ENOTDIR' });
  await expect(OutputFile.open('/proc/nope/out.ipynb')).rejects.toMatchObject({ code: 'ENOENT' });
});

it.skipIf(process.getuid?.() === 0)('does not replace a file that its owner protects', async () => {
  const path = join(folder, 'kept.txt');
  writeFileSync(path, 'kept', { mode: 0o444 });
  await expect(OutputFile.open(path)).rejects.toMatchObject({ code: 'EACCES' });
  chmodSync(folder, 0o555);
  await expect(OutputFile.open(join(folder, 'new.txt'))).rejects.toMatchObject({ code: 'EACCES' });
  chmodSync(folder, 0o755);
});
