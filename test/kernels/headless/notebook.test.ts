import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import type { Cell, Notebook, Output } from '../../../kernels/headless/notebook';
import { readNotebook, withParameters } from '../../../kernels/headless/notebook';
import { type NotebookEvent, runNotebook } from '../../../kernels/headless/run';
import { isPatchwiseError, type NotebookFailed } from '../../../src/errors';
import { hook } from '../raw-kernel'; // which refuses a stale build

const folder = mkdtempSync(join(tmpdir(), 'patchwise-notebook-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function code(source: string | string[], ...tags: string[]): Cell {
  return {
    cell_type: 'code',
    source,
    metadata: tags.length > 0 ? { tags } : {},
    outputs: [],
    execution_count: null,
  };
}

function write(name: string, ...cells: Cell[]): string {
  const path = join(folder, name);
  writeFileSync(path, JSON.stringify({ cells, metadata: {}, nbformat: 4, nbformat_minor: 2 }));
  return path;
}

function outputsOf(notebook: Notebook): Output[][] {
  return notebook.cells.filter(({ cell_type }) => cell_type === 'code').map(({ outputs }) => outputs ?? []);
}

it('a notebook runs headless with parameters, and is written as valid nbformat 4.5', async () => {
  const path = write(
    'three.ipynb',
    { cell_type: 'markdown', source: '# Three cells', metadata: {} },
    code(['let patches: number = 1;\n', "const name = 'default';"], 'parameters'),
    code(
      'for (let i = 0; i < patches; i++) console.log(name, i);\nvoid setTimeout(() => console.log("late"), 100);',
    ),
    code('await new Promise((r) => setTimeout(r, 250));\n({ patches, folder: process.cwd() })'),
  );
  const events: NotebookEvent[] = [];
  const output = join(folder, 'executed.ipynb');
  const run = await runNotebook({
    path,
    output,
    parameters: { patches: 2, name: 'given' },
    onEvent: (event) => events.push(event),
  });
  expect(run.output).toBe(output);
  const written = JSON.parse(readFileSync(output, 'utf8')) as Notebook;
  expect([written.nbformat, written.nbformat_minor]).toEqual([4, 5]);
  expect(written.cells.every(({ id }) => /^[\w-]{1,64}$/.test(id!))).toBe(true);
  expect(written.cells[2]).toMatchObject({
    source: 'const name = "given";\n{\n  patches = 2;\n}',
    metadata: { tags: ['injected-parameters'] },
    outputs: [],
  });
  const [, , loop, result] = outputsOf(written);
  expect(loop).toEqual([{ output_type: 'stream', name: 'stdout', text: 'given 0\ngiven 1\nlate\n' }]);
  expect(result).toMatchObject([{ output_type: 'execute_result', execution_count: 4 }]);
  expect(JSON.stringify(result)).toContain(folder); // cells see the notebook's folder
  expect(events.map(({ type }) => type)).toContain('text');
  expect(events.filter(({ type }) => type === 'cell-ended')).toHaveLength(4);
  expect(JSON.parse(readFileSync(path, 'utf8')).cells[1].outputs).toEqual([]); // the original is left alone
});

it('a failed cell ends the run with NotebookFailed, and what ran is written', async () => {
  const path = write('fails.ipynb', code('1 + 1'), code('throw new Error("second")'), code('3'));
  const failure = await runNotebook({ path }).catch((error: unknown) => error);
  expect(isPatchwiseError(failure, 'NotebookFailed')).toBe(true);
  expect(failure).toMatchObject({ path, cell: 2, reason: 'Error: second' });
  const outputs = outputsOf(await readNotebook(path));
  expect(outputs.map((cell) => cell.map(({ output_type }) => output_type))).toEqual([
    ['execute_result'],
    ['error'],
    [],
  ]);
  expect(readdirSync(folder).filter((name) => name.endsWith('.tmp'))).toEqual([]);
});

it('a cell tagged raises-exception may fail; one that takes too long is interrupted', async () => {
  const path = write(
    'slow.ipynb',
    code('throw new Error("wanted")', 'raises-exception'),
    code('console.log("begun");\nwhile (true);'),
  );
  const failure = (await runNotebook({ path, cellTimeout: 1 }).catch(
    (error: unknown) => error,
  )) as NotebookFailed;
  expect(failure).toMatchObject({ tag: 'NotebookFailed', cell: 2, reason: 'took longer than 1 s' });
  const [, slow] = outputsOf(await readNotebook(path));
  expect(slow!.map(({ output_type }) => output_type)).toEqual(['stream', 'error']);
});

it('a cell whose controls have no answer but an error fails, and one whose answer never comes', async () => {
  const begin = "import * as pw from 'patchwise';\n";
  const bad = `${begin}pw.interact({ z: [0, 10] }, ({ z }) => { throw new RangeError('no slice ' + z); })`;
  const failed = { tag: 'NotebookFailed', cell: 2 };
  await expect(
    runNotebook({ path: write('answer.ipynb', code('1'), code(bad), code('2')) }),
  ).rejects.toMatchObject({
    ...failed,
    reason: 'RangeError: no slice 5',
    traceback: expect.arrayContaining([expect.stringContaining('no slice 5')]),
  });
  const { notebook } = await runNotebook({
    path: write('expected.ipynb', code(bad, 'raises-exception'), code('2')),
  });
  expect(notebook.cells[1]!.outputs).toHaveLength(1);
  const never = `${begin}pw.interact({ z: [0, 10] }, () => new Promise(() => {}))`;
  const path = write('never.ipynb', code('1'), code(never));
  await expect(runNotebook({ path, cellTimeout: 2 })).rejects.toMatchObject({
    ...failed,
    reason: 'took longer than 2 s',
  });
});

it('an abort signal ends the run; a kernel that dies is told', async () => {
  const waiting = write('waits.ipynb', code('await new Promise(() => {})'));
  const signal = AbortSignal.timeout(2500);
  await expect(runNotebook({ path: waiting, signal })).rejects.toMatchObject({ reason: 'aborted', cell: 1 });
  const dying = write('dies.ipynb', code('process.exit(7)'));
  await expect(runNotebook({ path: dying })).rejects.toMatchObject({
    reason: expect.stringContaining('exit code 7'),
  });
});

it('displays are updated in place and output is cleared, also from later cells', async () => {
  const path = write(
    'live.ipynb',
    code(`const show = ${hook('display')};
show('first', { id: 'figure' }); console.log('old'); console.clear(); show('second', { id: 'figure2' });`),
    code(`show('updated', { id: 'figure2', update: true })`),
  );
  const { notebook } = await runNotebook({ path });
  expect(outputsOf(notebook)).toEqual([
    [{ output_type: 'display_data', data: { 'text/plain': "'updated'" }, metadata: {} }],
    [],
  ]);
});

it('parameters replace those of an earlier run and must be names with JSON values', () => {
  const notebook: Notebook = {
    cells: [code('let a = 1', 'parameters')],
    metadata: {},
    nbformat: 4,
    nbformat_minor: 5,
  };
  const twice = withParameters(withParameters(notebook, { a: 2 }), { a: 3 });
  expect(twice.cells.map(({ source }) => source)).toEqual(['let a = 1', '{\n  a = 3;\n}']);
  expect(withParameters(notebook, {}).cells).toEqual(notebook.cells);
  const untagged: Notebook = { ...notebook, cells: [code('b')] };
  expect(withParameters(untagged, { b: 'x' }).cells.map(({ source }) => source)).toEqual([
    'const b = "x";',
    'b',
  ]);
  expect(() => withParameters(notebook, { 'a; evil()': 1 })).toThrow('names of variables');
  expect(() => withParameters(notebook, { a: () => 1 })).toThrow('a value JSON can spell');
});

it('a file that is no notebook is refused', async () => {
  const path = join(folder, 'not.ipynb');
  writeFileSync(path, '{"nbformat": 3}');
  await expect(readNotebook(path)).rejects.toMatchObject({ tag: 'UnreadableFile' });
  writeFileSync(path, 'print()');
  await expect(readNotebook(path)).rejects.toMatchObject({ tag: 'UnreadableFile' });
  writeFileSync(path, 'null');
  await expect(readNotebook(path)).rejects.toMatchObject({ tag: 'UnreadableFile' });
});

it('a damaged cell is told by its number; metadata may be null, and a byte order mark is skipped', async () => {
  const path = join(folder, 'damaged.ipynb');
  const whole = { cell_type: 'code', source: '1' };
  for (const cell of [
    null,
    5,
    {},
    { cell_type: 'code' },
    { ...whole, source: 5 },
    { ...whole, outputs: [null] },
  ]) {
    writeFileSync(path, JSON.stringify({ nbformat: 4, cells: [whole, cell] }));
    await expect(readNotebook(path)).rejects.toThrow(/cell 2$/);
  }
  const nothing = { nbformat: 4, metadata: null, cells: [whole] };
  writeFileSync(path, `\ufeff${JSON.stringify(nothing)}`);
  expect((await readNotebook(path)).metadata).toEqual({});
});
