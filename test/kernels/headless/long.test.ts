import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, expect, it } from 'vitest';
import { fuzzKernel } from '../../../bench/kernel-rounds/fuzz';
import { soakKernel } from '../../../bench/kernel-rounds/soak';
import { testNotebooks } from '../../../kernels/headless/test';
import { findLab, HOW_TO_GET_LAB } from '../../../kernels/install';
import { RawKernel, untyped } from '../raw-kernel';

/* The short forms of `kernel fuzz` (10,000 messages) and `kernel soak` (an hour), and what prints much. */

const folder = mkdtempSync(join(tmpdir(), 'patchwise-long-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let kernel: RawKernel | undefined;
afterEach(() => kernel?.stop());

it('broken messages are not run and the kernel goes on answering', async () => {
  const report = await fuzzKernel({ messages: 1000, seed: 5 });
  expect(report).toMatchObject({ messages: 1000, executed: 0, asked: 6, answered: 6 });
});

it('a session that follows a run leaves no listeners and no open files behind', async () => {
  const report = await soakKernel({ minutes: 0.15, pause: 0.5 });
  expect(report.samples.at(-1)!.step).toBeGreaterThan(report.samples[0]!.step);
  expect(report.openFiles[1]).toBeLessThanOrEqual(report.openFiles[0] + 3);
  expect(report.listeners[1]).toBeLessThanOrEqual(report.listeners[0] + 3);
  expect(report.heap[1]).toBeLessThan(report.heap[0] * 1.5); // the hour is what says how flat it is
}, 120_000);

it('100,000 lines of one cell arrive in order, and the kernel keeps none of them', async () => {
  kernel = await RawKernel.start(untyped);
  const rss = () =>
    Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${kernel!.child.pid}/status`, 'utf8'))![1]) / 1000;
  let before = 0; // what one such cell needs is taken once: the garbage of the first turn is the room of the next
  for (let turn = 0; turn < 5; turn++) {
    if (turn === 2 && process.platform === 'linux') before = rss();
    const id = kernel.begin(`for (let i = 0; i < 100_000; i++) console.log('line', i)`);
    await kernel.finished(id);
    const lines = kernel.textOf(id).split('\n');
    expect(lines).toHaveLength(100_001);
    expect(lines.every((line, at) => line === (at < 100_000 ? `line ${at}` : ''))).toBe(true);
  }
  if (process.platform === 'linux') expect(rss()).toBeLessThan(before + 50);
});

it('of a thousand updates a second a few are sent, and the last one always', async () => {
  kernel = await RawKernel.start(untyped);
  const { outputs } = await kernel.execute(`for (let i = 1; i <= 2000; i++) {
    pw.display(i, { id: 'counter' });
    if (i % 20 === 0) await new Promise((r) => setTimeout(r, 20));
  }`);
  expect(outputs.length).toBeLessThan(200);
  expect(outputs.at(-1)!.content.data['text/plain']).toBe('2000');
});

function notebook(name: string, ...cells: { source: string; tags?: string[] }[]): string {
  const path = join(folder, name);
  const code = cells.map(({ source, tags = [] }) => ({
    cell_type: 'code',
    source,
    metadata: { tags },
    outputs: [],
    execution_count: null,
  }));
  writeFileSync(path, JSON.stringify({ cells: code, metadata: {}, nbformat: 4, nbformat_minor: 5 }));
  return path;
}

it('notebook test: passes and failures of a folder, with cell and reason, and the files as they were', async () => {
  const assert = `import assert from 'node:assert';\n`;
  notebook(
    'a-passes.ipynb',
    { source: 'let n = 1', tags: ['parameters'] },
    { source: `${assert}assert.equal(n, 3)` },
  );
  const failing = notebook('b-fails.ipynb', { source: '1' }, { source: `${assert}assert.equal(1, 2)` });
  notebook('c-raises.ipynb', { source: 'throw new Error("wanted")', tags: ['raises-exception'] });
  notebook('d-tame.ipynb', { source: '0' }, { source: '1', tags: ['raises-exception'] });
  notebook('e-types.ipynb', { source: 'const n: number = "one"' });
  const before = readFileSync(failing, 'utf8');
  const results = await testNotebooks([folder], { parameters: { n: 3 } });
  expect(results.map(({ ok, cell }) => [ok, cell])).toEqual([
    [true, undefined],
    [false, 2],
    [true, undefined],
    [false, 2],
    [false, 1],
  ]);
  expect(results[1]!.reason).toContain('AssertionError');
  expect(results[4]!.reason).toContain('not assignable');
  expect(readFileSync(failing, 'utf8')).toBe(before);
  await expect(testNotebooks([])).rejects.toMatchObject({ tag: 'InvalidArgument' });
}, 120_000);

it('without JupyterLab findLab finds none, and the hint names pip', async () => {
  const { PATH, PATCHWISE_PYTHON } = process.env;
  process.env.PATH = folder;
  process.env.PATCHWISE_PYTHON = join(folder, 'no-python');
  try {
    expect(await findLab()).toBeUndefined();
    expect(HOW_TO_GET_LAB.join('\n')).toContain('pip install jupyterlab');
  } finally {
    process.env.PATH = PATH;
    if (PATCHWISE_PYTHON === undefined) delete process.env.PATCHWISE_PYTHON;
    else process.env.PATCHWISE_PYTHON = PATCHWISE_PYTHON;
  }
});
