import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Locator, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { listRuns } from '../../../src/index';
import { hasChromium, openBrowser } from '../../chromium';
import { type Kind, measure, useEveryControl } from '../../plot/controls';
import { JupyterLab, kernelStatus, menu, open, picture, python, takeTheme } from './jupyterlab';

/*
 * The whole way in a real JupyterLab: our kernel, our extension, a run in the background and its live figure. It needs
 * a Python with JupyterLab (PATCHWISE_PYTHON, .venv/bin/python or python3) and a fresh build of the package.
 * PATCHWISE_SCREENSHOTS names a folder for pictures to look at.
 */
const sources = [
  "import * as pw from 'patchwise';",
  "const run = await pw.train({ preset: 'toy', data: 'phantom:48x48x48', ranks: 1, steps: 20000, seed: 1 });",
  'run.live()',
];

/** Another notebook that knows nothing but where runs are. */
const attached = ['const [newest] = await pw.listRuns();', '(await pw.attach(newest.id)).live()'];

/** A figure of every kind, the patch grid last and below the window's edge. */
const shown = [
  "import * as pw from 'patchwise';\nconst ct = pw.phantom({ shape: [48, 48, 40], seed: 1 });\nct",
  `const blurred = new pw.Volume({ ...ct, data: ct.data.map((value, i) => (value + (ct.data[i + 1] ?? value)) / 2) });
pw.compareVolumes(ct, { linear: blurred, gaussian: ct }, { grid: pw.planGrid(ct.shape, { patch: [32, 32, 16], stride: [24, 24, 12] }) })`,
  "const run = await pw.train({ preset: 'toy', data: 'phantom:48x48x48', ranks: 1, steps: 20000, seed: 1 });\nrun.live()",
  'pw.planGrid([64, 64, 76], { patch: [32, 32, 16], stride: [24, 24, 12] })',
];

const edited = [
  'while (true);',
  'await new Promise((r) => setTimeout(r, 50));\nwhile (true);',
  'pw.re',
  'pw.planGrid(',
  'pw.planGrid([512, 512, 604], { patch: [256, 256, 128], stride: [192, 192, 96] }).patches',
];

describe.skipIf(!python || !hasChromium('a live figure in JupyterLab'))('a live figure in JupyterLab', () => {
  let folder = '';
  let lab: JupyterLab;
  let url = '';
  let browser: Awaited<ReturnType<typeof openBrowser>>;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'patchwise-jupyterlab-'));
    lab = await JupyterLab.start(folder, {
      'live.ipynb': sources,
      'attach.ipynb': attached,
      'figures.ipynb': shown,
      'edit.ipynb': edited,
    });
    url = lab.url;
    browser = await openBrowser({ webGl: false }); // so volumes are slices of Plotly; volumes-lab.test.ts has the viewer
    // A cell shows a figure whole from 800 pixels on; beside the file browser that takes a window of a laptop.
    await browser.page.setViewportSize({ width: 1500, height: 900 });
  }, 120_000);

  afterAll(async () => {
    await browser?.close();
    for (const run of await listRuns(join(folder, 'runs'))) await run.stop();
    await lab?.stop();
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  }, 60_000);

  it('moves, keeps its zoom, follows the theme, and goes on after a reload, a restart and in another notebook', async () => {
    const { page } = browser;
    await open(page, `${url}/lab/tree/live.ipynb?reset`);
    await menu(page, 'Run', 'Run All Cells');
    await moves(page, 10);

    await zoom(page);
    const zoomed = await rangeOf(page);
    expect(zoomed[1] - zoomed[0]).toBeLessThan((await stepOf(page)) * 0.7);
    await moves(page, 5);
    expect(await rangeOf(page)).toEqual(zoomed);
    await picture(page, 'light');

    await page.evaluate(() => (document.activeElement as HTMLElement | null)?.blur());
    const light = await inkOf(page);
    await takeTheme(page, 'JupyterLab Dark');
    await expect.poll(() => inkOf(page), { timeout: 20_000 }).not.toBe(light);
    await picture(page, 'dark');

    await menu(page, 'File', 'Save Notebook');
    await page.waitForTimeout(1000);
    await page.goto(`${url}/lab/tree/live.ipynb`);
    await moves(page, 5);
    await picture(page, 'reloaded');

    await menu(page, 'Kernel', 'Restart Kernel…');
    await page.locator('.jp-Dialog .jp-mod-accept').click();
    await page.waitForTimeout(2000);
    await moves(page, 5);
    await picture(page, 'restarted');

    await menu(page, 'File', 'Save Notebook');
    await page.waitForTimeout(1000);
    await open(page, `${url}/lab/tree/attach.ipynb?reset`);
    await menu(page, 'Run', 'Run All Cells');
    await moves(page, 5);
    await picture(page, 'attached');
    await open(page, `${url}/lab/tree/live.ipynb?reset`);
    await moves(page, 5);

    for (const run of await listRuns(join(folder, 'runs'))) await run.stop();
    await expect.poll(() => titleOf(page), { timeout: 60_000 }).toContain('stopped');
    const last = await stepOf(page);
    await menu(page, 'File', 'Save Notebook');
    await page.waitForTimeout(1000);
    await menu(page, 'Kernel', 'Shut Down Kernel');
    await page.goto(`${url}/lab/tree/live.ipynb?reset`);
    await page.waitForSelector('.patchwise-figure .main-svg', { timeout: 90_000 });
    expect(await stepOf(page)).toBe(last);
    expect(await titleOf(page)).toContain('stopped');
    await picture(page, 'reopened');
  }, 400_000);

  it('leaves every figure as large as it was, whichever kind of control is used', async () => {
    const { page } = browser;
    await open(page, `${url}/lab/tree/figures.ipynb?reset`);
    await menu(page, 'Run', 'Run All Cells');
    const expected = [
      { button: 4, slider: 3 },
      { button: 4, slider: 1, 'legend entry': 3 },
      { button: 2, 'legend entry': 4 }, // more once the run is validated
      { 'mode bar': 2 },
    ] as const;
    for (const [cell, controls] of expected.entries()) {
      const figure = await figureOf(page, cell);
      // A run's figure is used while it moves.
      const title = () => figure.locator('.gtitle').textContent();
      if (cell === 2) await expect.poll(title, { timeout: 120_000 }).toMatch(/running · step [1-9]\d/);
      const used = await useEveryControl(figure, 1);
      for (const [kind, least] of Object.entries(controls))
        expect(used[kind as Kind], `cell ${cell}: ${kind}`).toBeGreaterThanOrEqual(least);
      await picture(page, `used-${cell}`);
    }
    for (const run of await listRuns(join(folder, 'runs'))) await run.stop();
  }, 600_000);

  it('keeps the numbers of a table, and its width, where the theme changes while it is out of sight', async () => {
    const { page } = browser;
    const words = async (): Promise<string[]> => {
      const grid = await figureOf(page, 3);
      return grid.evaluate((node) =>
        [...node.querySelectorAll('.table .cell-text')].map((cell) => cell.textContent ?? ''),
      );
    };
    await open(page, `${url}/lab/tree/figures.ipynb?reset`);
    await menu(page, 'Run', 'Run All Cells');
    const before = await words();
    const { node } = await measure(await figureOf(page, 3));
    await picture(page, 'grid');
    expect(before).toContain('overlap');
    expect(before).not.toContain('');
    for (const theme of ['JupyterLab Dark', 'JupyterLab Light']) {
      await page.locator('.jp-Notebook .jp-Cell').first().scrollIntoViewIfNeeded();
      await takeTheme(page, theme);
      await page.waitForTimeout(1500);
      expect(await words(), theme).toEqual(before);
      await picture(page, `grid-${theme.split(' ')[1]}`);
    }
    await menu(page, 'File', 'Save Notebook');
    await page.waitForTimeout(1000);
    await page.goto(`${url}/lab/tree/figures.ipynb`);
    await page.waitForSelector('.patchwise-figure .main-svg', { timeout: 90_000 });
    expect(await words()).toEqual(before);
    expect((await measure(await figureOf(page, 3))).node).toEqual(node);
  }, 240_000);

  it('interrupts loops before and after an await, completes and inspects', async () => {
    const { page } = browser;
    await open(page, `${url}/lab/tree/edit.ipynb?reset`);
    for (const cell of [0, 1]) {
      await click(page, cell);
      await page.keyboard.press('Shift+Enter');
      await expect.poll(() => kernelStatus(page), { timeout: 60_000 }).toBe('busy');
      await page.waitForTimeout(1500); // well into the loop
      await menu(page, 'Kernel', 'Interrupt Kernel');
      await expect.poll(() => outputOf(page, cell), { timeout: 60_000 }).toContain('Interrupted');
      await expect.poll(() => kernelStatus(page), { timeout: 60_000 }).toBe('idle');
    }
    await asks(page, 2, 'Tab', '.jp-Completer-item >> text=readVolume');
    await picture(page, 'complete');
    await page.keyboard.press('Escape');
    await asks(page, 3, 'Shift+Tab', '.jp-Tooltip >> text=GridOptions');
    await picture(page, 'inspect');
    await page.keyboard.press('Escape');
    await click(page, 4);
    await page.keyboard.press('Shift+Enter');
    await expect.poll(() => outputOf(page, 4), { timeout: 60_000 }).toContain('54');
  }, 240_000);
});

async function click(page: Page, cell: number): Promise<void> {
  await page.locator('.jp-Notebook .jp-CodeCell').nth(cell).locator('.cm-content').click();
}

/** Presses a key at the end of a cell until the answer is there: JupyterLab waits for a kernel's a second only. */
async function asks(page: Page, cell: number, key: string, answer: string): Promise<void> {
  for (let tries = 1; ; tries++) {
    await click(page, cell);
    await page.keyboard.press('End');
    await page.keyboard.press(key);
    try {
      await page.waitForSelector(answer, { timeout: 8000 });
      return;
    } catch (error) {
      await picture(page, `unanswered-${cell}-${tries}`);
      if (tries === 5) throw error;
      await page.keyboard.press('Escape');
    }
  }
}

async function outputOf(page: Page, cell: number): Promise<string> {
  const outputs = page.locator('.jp-Notebook .jp-CodeCell').nth(cell).locator('.jp-OutputArea-output');
  return (await outputs.allTextContents()).join('\n');
}

/** The figure that a code cell shows, in sight. */
async function figureOf(page: Page, cell: number): Promise<Locator> {
  const figure = page.locator('.jp-Notebook .jp-CodeCell').nth(cell).locator('.patchwise-figure');
  await page.locator('.jp-Notebook .jp-CodeCell').nth(cell).scrollIntoViewIfNeeded();
  await figure.locator('.main-svg').first().waitFor({ state: 'attached', timeout: 90_000 });
  await figure.scrollIntoViewIfNeeded();
  await page.waitForTimeout(500);
  return figure;
}

function titleOf(page: Page): Promise<string> {
  return page.evaluate(
    () => [...document.querySelectorAll('.patchwise-figure .gtitle')].at(-1)?.textContent ?? '',
  );
}

/** Waits until the figure has come `steps` further; fails where it stands still. */
async function moves(page: Page, steps: number): Promise<void> {
  await page.waitForSelector('.patchwise-figure .main-svg', { timeout: 90_000 });
  const from = await stepOf(page);
  await expect.poll(() => stepOf(page), { timeout: 60_000 }).toBeGreaterThanOrEqual(from + steps);
}

async function zoom(page: Page): Promise<void> {
  await page.locator('.patchwise-figure').last().scrollIntoViewIfNeeded();
  const box = (await page.locator('.patchwise-figure .nsewdrag').first().boundingBox())!;
  const at = (x: number, y: number): [number, number] => [box.x + box.width * x, box.y + box.height * y];
  await page.mouse.move(...at(0.2, 0.2));
  await page.mouse.down();
  await page.mouse.move(...at(0.4, 0.5), { steps: 5 });
  await page.mouse.move(...at(0.6, 0.8), { steps: 5 });
  await page.mouse.up();
  await page.waitForTimeout(400);
}

type PlotNode = Element & { _fullLayout: { xaxis: { range: [number, number] }; font: { color: string } } };

function stepOf(page: Page): Promise<number> {
  return titleOf(page).then((title) => Number(/step (\d+)/.exec(title)?.[1] ?? 0));
}

function rangeOf(page: Page): Promise<[number, number]> {
  return page.evaluate(
    () => ([...document.querySelectorAll('.patchwise-figure')].at(-1) as PlotNode)._fullLayout.xaxis.range,
  );
}

function inkOf(page: Page): Promise<string> {
  return page.evaluate(
    () => ([...document.querySelectorAll('.patchwise-figure')].at(-1) as PlotNode)._fullLayout.font.color,
  );
}
