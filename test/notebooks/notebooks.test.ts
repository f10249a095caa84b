import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Cell, readNotebook, sourceOf } from '../../kernels/headless/notebook';
import { OutputFile } from '../../kernels/headless/output-file';
import { runNotebook } from '../../kernels/headless/run';
import { writeReport } from '../../kernels/report/report';
import * as pw from '../../src/index';

const folder = resolve(__dirname, '../../notebooks');
const names = readdirSync(folder).filter((name) => name.endsWith('.ipynb'));

/** Parameters that make each as short as it can be: what is tested is that every cell runs, not what it finds. */
const tiny: Record<string, Record<string, unknown>> = {
  'blending.ipynb': { steps: 4 },
  'metrics.ipynb': { steps: 12 },
  'training.ipynb': { steps: 120 },
  'baseline.ipynb': { steps: 2, budget: 'steps', patients: 4 },
  'full-scale.ipynb': { steps: 4 },
  'quickstart.ipynb': { steps: 4, ranks: 2 },
};

describe('notebooks', () => {
  it('are the studies and the quickstart', () => {
    expect(names.sort()).toEqual(Object.keys(tiny).sort());
  });

  it.each(names)('%s: short cells, nothing executed, a word on every output', async (name) => {
    const { cells } = await readNotebook(join(folder, name));
    const code = cells.filter((cell) => cell.cell_type === 'code');
    for (const cell of code) {
      expect(sourceOf(cell).split('\n').length, sourceOf(cell).slice(0, 60)).toBeLessThanOrEqual(25);
      expect(cell.outputs).toEqual([]);
    }
    // What a cell shows has a paragraph before it or after it.
    cells.forEach((cell, at) => {
      if (!shows(cell)) return;
      const beside = [cells[at - 1], cells[at + 1]].filter((other) => other?.cell_type === 'markdown');
      expect(beside.length, `${name}: ${sourceOf(cell).slice(0, 60)}`).toBeGreaterThan(0);
    });
    expect(readFileSync(join(folder, name), 'utf8')).not.toMatch(/\/(home|work|Users)\//);
  });
});

/** Whether a cell prints, or ends in an expression. */
function shows(cell: Cell): boolean {
  if (cell.cell_type !== 'code') return false;
  const source = sourceOf(cell);
  return /console\.log|pw\.display\(/.test(source) || !/[;}]\s*(\/\/.*)?$/.test(source.trim());
}

/** They take some minutes, so the suite leaves them to a step of CI: PATCHWISE_NOTEBOOKS=1. */
const wanted = process.env.PATCHWISE_NOTEBOOKS === '1';
if (!wanted) console.warn('skipped: running every notebook takes minutes; PATCHWISE_NOTEBOOKS=1 runs them');

describe.skipIf(!wanted)('every notebook runs headless', () => {
  const runs = mkdtempSync(join(tmpdir(), 'patchwise-notebooks-'));
  beforeAll(() => {
    process.env.PATCHWISE_RUNS = join(runs, 'runs');
  });
  afterAll(() => {
    delete process.env.PATCHWISE_RUNS;
    rmSync(runs, { recursive: true, force: true, maxRetries: 3 });
  });

  it.each(names)('%s', { timeout: 600_000 }, async (name) => {
    const exportsModels = 'exportOnnx' in pw && 'encodeFiles' in pw;
    if (name === 'full-scale.ipynb' && !exportsModels) {
      console.warn('skipped: full-scale.ipynb needs exportOnnx and encodeFiles');
      return;
    }
    const output = join(runs, name);
    const { notebook } = await runNotebook({
      path: join(folder, name),
      output,
      parameters: tiny[name],
      environment: { ...process.env },
    });
    const shown = notebook.cells.filter((cell) => cell.cell_type === 'code' && shows(cell));
    for (const cell of shown) expect(cell.outputs?.length, sourceOf(cell).slice(0, 80)).toBeGreaterThan(0);
    const report = output.replace('.ipynb', '.html');
    await writeReport(await readNotebook(output), name, await OutputFile.open(report));
    expect(statSync(report).size).toBeLessThan(10_000_000);
    expect(readFileSync(report, 'utf8')).not.toMatch(/<(script|link|img)[^>]+(src|href)="https?:/);
  });
});
