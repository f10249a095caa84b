import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import type { Cell, Notebook } from '../../../kernels/headless/notebook';
import { runNotebook } from '../../../kernels/headless/run';
import { PatchwiseCommand } from '../../command';
import { until, untyped } from '../raw-kernel'; // refuses a stale build

const folder = mkdtempSync(join(tmpdir(), 'patchwise-headless-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const command = new PatchwiseCommand(() => folder);

function code(source: string, ...tags: string[]): Cell {
  return { cell_type: 'code', source, metadata: { tags }, outputs: [], execution_count: null };
}

function write(name: string, metadata: object, ...cells: Cell[]): string {
  const path = join(folder, name);
  writeFileSync(path, JSON.stringify({ cells, metadata, nbformat: 4, nbformat_minor: 5 }));
  return path;
}

function read(path: string): Notebook {
  return JSON.parse(readFileSync(path, 'utf8')) as Notebook;
}

/** What the cells of a notebook file printed. */
function printed(path: string): string[] {
  return read(path).cells.map((cell) =>
    (cell.outputs ?? []).map((output) => ('text' in output ? output.text : '')).join(''),
  );
}

// These wait for kernels to end, so they wait together.
it.concurrent('a child of a cell that ran too long does not outlive its kernel', async () => {
  const path = write(
    'children.ipynb',
    {},
    code(`import { execSync } from 'node:child_process';
execSync('echo $$ > pid; trap "" INT; sleep 300; sleep 300');`),
  );
  await expect(runNotebook({ path, cellTimeout: 1, environment: untyped })).rejects.toMatchObject({
    reason: 'took longer than 1 s',
  });
  const pid = Number(readFileSync(join(folder, 'pid'), 'utf8'));
  await until(() => {
    try {
      return !process.kill(pid, 0);
    } catch {
      return true;
    }
  }, 3000);
}, 60_000);

it.concurrent.each(['SIGTERM', 'SIGHUP', 'SIGINT'] as const)(
  '%s keeps what ran, also of the cell that runs',
  async (signal) => {
    const path = write(
      `${signal}.ipynb`,
      {},
      code(`console.log('first')`),
      code(`console.log('second'); await new Promise((r) => setTimeout(r, 60_000))`),
    );
    const output = join(folder, `${signal}-out.ipynb`);
    const cli = resolve(__dirname, '../../../dist/src/cli.js');
    const child = spawn(process.execPath, [cli, 'notebook', 'run', path, '-o', output], { cwd: folder });
    let told = '';
    child.stderr.on('data', (text) => {
      told += text;
    });
    const ended = new Promise((done) => child.on('close', done));
    await until(() => told.includes('    second'), 60_000);
    expect(printed(output)).toEqual(['first\n', '']); // saved after the first cell, before anybody asked us to end
    child.kill(signal);
    await ended;
    expect(child.exitCode).toBe(1);
    expect(printed(output)).toEqual(['first\n', 'second\n']);
    expect(read(output).cells[1]!.outputs!.at(-1)).toMatchObject({
      output_type: 'error',
      ename: 'Interrupted',
    });
  },
  120_000,
);

it('an output that cannot be written is told before the first cell runs', async () => {
  const path = write('early.ipynb', {}, code(`(await import('node:fs')).writeFileSync('ran', '')`));
  for (const output of ['/proc/nope/out.ipynb', join(path, 'below.ipynb')]) {
    await expect(runNotebook({ path, output })).rejects.toMatchObject({
      code: expect.stringMatching('ENOENT|ENOTDIR'),
    });
    await expect(runNotebook({ path, output: folder })).rejects.toMatchObject({ tag: 'InvalidArgument' });
  }
  expect(existsSync(join(folder, 'ran'))).toBe(false);
});

it('-o - writes the notebook to stdout, and nothing else there; a link is followed', async () => {
  const path = write('quiet.ipynb', {}, code(`console.log('said')`));
  for (const output of ['-', '/dev/stdout']) {
    const { code, stdout, stderr } = await command.run(['notebook', 'run', path, '-o', output, '--json']);
    expect(code, stderr).toBe(0);
    expect((JSON.parse(stdout) as Notebook).cells[0]!.outputs).toMatchObject([{ text: 'said\n' }]);
  }
  expect(existsSync(join(folder, '-'))).toBe(false);
  writeFileSync(join(folder, 'real.ipynb'), '');
  symlinkSync('real.ipynb', join(folder, 'link.ipynb'));
  await runNotebook({ path, output: join(folder, 'link.ipynb'), environment: untyped });
  expect(printed(join(folder, 'real.ipynb'))).toEqual(['said\n']);
}, 60_000);

it('a cell tagged skip-execution is left as it is', async () => {
  const skipped = {
    ...code(`throw new Error('ran')`, 'skip-execution', 'raises-exception'),
    execution_count: 7,
  };
  const path = write('skips.ipynb', {}, code('const one = 1'), skipped, code('one + 1'));
  const { notebook } = await runNotebook({ path, environment: untyped });
  expect(notebook.cells[1]).toMatchObject({ outputs: [], execution_count: 7 });
  expect(notebook.cells[2]!.outputs).toMatchObject([{ data: { 'text/plain': '2' } }]);
  const tested = await command.json('notebook', 'test', path);
  expect(tested).toMatchObject([{ ok: true }]);
}, 60_000);

it('a notebook of another language is refused in words, and left as it is', async () => {
  const python = { display_name: 'Python 3', language: 'python', name: 'python3' };
  for (const metadata of [
    { kernelspec: python },
    { kernelspec: { name: 'python3', display_name: 'Python 3' } },
    { language_info: { name: 'R' } },
  ]) {
    const path = write('other.ipynb', metadata, code('x = 1'));
    await expect(runNotebook({ path })).rejects.toMatchObject({
      tag: 'UnreadableFile',
      message: expect.stringMatching(/a notebook in TypeScript or JavaScript, found one in (python|R)/),
    });
    expect(read(path).metadata).toEqual(metadata);
  }
});

it('a notebook that is not there is told in one line', async () => {
  const { code, stderr } = await command.run(['notebook', 'run', 'nosuch.ipynb']);
  expect(code).toBe(2);
  const [told, ...more] = stderr.trim().split('\n');
  expect(told).toContain('nosuch.ipynb');
  expect(more.filter((line) => !line.includes('--help'))).toEqual([]);
});
