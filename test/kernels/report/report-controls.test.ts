import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { notebookToHtml } from '../../../kernels/report/report';
import { figureBundle } from '../../../src/internal';
import { hasChromium, openBrowser } from '../../chromium';
import { controlled } from '../../plot/controlled';
import { measure, useEveryControl } from '../../plot/controls';

const cells = controlled.map(([, figure]) => ({
  cell_type: 'code' as const,
  source: '',
  metadata: {},
  outputs: [{ output_type: 'display_data' as const, data: figureBundle(figure), metadata: {} }],
}));

describe.skipIf(!hasChromium('using the figures of a report'))('the controls of a report', () => {
  let folder = '';
  let browser: Awaited<ReturnType<typeof openBrowser>>;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'patchwise-report-'));
    const report = await notebookToHtml({ cells, metadata: {}, nbformat: 4, nbformat_minor: 5 });
    await writeFile(join(folder, 'study.html'), report);
    browser = await openBrowser();
    await browser.page.goto(`file://${join(folder, 'study.html')}`);
    await browser.page.waitForFunction(
      (count) => document.querySelectorAll('.figure .modebar').length === count,
      controlled.length,
    );
  }, 60_000);
  afterAll(async () => {
    await browser?.close();
    await rm(folder, { recursive: true, force: true });
  });

  it.each(controlled.map((one, at) => [...one, at] as const))(
    'of the %s leave it as large as it was, and do what they are for',
    async (_, figure, expected, at) => {
      const node = browser.page.locator('.figure').nth(at);
      expect((await measure(node)).node[1]).toBe(figure.layout.height);
      expect(await useEveryControl(node)).toMatchObject(expected);
      expect(browser.errors).toEqual([]);
    },
    180_000,
  );

  it('keep what they did, and the height, in a narrower window and in the dark', async () => {
    const { page } = browser;
    const node = page.locator('.figure').first();
    const before = await measure(node);
    await node.locator('.updatemenu-button').nth(2).click();
    await expect.poll(async () => (await measure(node)).choice).not.toBe(before.choice);
    const chosen = await measure(node);
    await page.setViewportSize({ width: 700, height: 900 });
    await expect.poll(async () => (await measure(node)).drawing[0]).toBeLessThan(before.drawing[0] - 100);
    const { drawing, choice, traces } = await measure(node);
    expect({ height: drawing[1], choice, traces }).toEqual({
      height: before.drawing[1],
      choice: chosen.choice,
      traces: chosen.traces,
    });
    await page.setViewportSize({ width: 430, height: 900 });
    // A table loses its last rows in less: the figure scrolls in its place, and the page stays as wide as the window.
    await expect.poll(async () => (await measure(node)).drawing[0]).toBe(800);
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(430);
    await page.emulateMedia({ colorScheme: 'dark' });
    await page.setViewportSize({ width: 1100, height: 900 });
    await expect.poll(async () => (await measure(node)).drawing).toEqual(before.drawing);
    expect((await measure(node)).choice).toBe(chosen.choice);
  });

  it('are there on a figure whose layout has no height', async () => {
    const foreign = { data: [{ type: 'scatter', x: [1, 2], y: [3, 4] }] };
    const output = {
      output_type: 'display_data' as const,
      data: { 'application/vnd.plotly.v1+json': foreign },
      metadata: {},
    };
    const cell = { cell_type: 'code' as const, source: '', metadata: {}, outputs: [output] };
    const report = await notebookToHtml({ cells: [cell], metadata: {}, nbformat: 4, nbformat_minor: 5 });
    await writeFile(join(folder, 'foreign.html'), report);
    await browser.page.goto(`file://${join(folder, 'foreign.html')}`);
    const node = browser.page.locator('.figure');
    await node.locator('.modebar').waitFor({ state: 'attached' });
    expect((await measure(node)).node[1]).toBe(450);
    expect(await useEveryControl(node)).toMatchObject({ 'mode bar': 2 });
  });
});
