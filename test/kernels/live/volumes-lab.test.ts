import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasChromium, openBrowser } from '../../chromium';
import { Shown } from '../browser/stage';
import { JupyterLab, menu, open, picture, python, takeTheme } from './jupyterlab';

/** A volume that is too large to be stored whole, and a comparison. */
const cells = [
  "import * as pw from 'patchwise';\nconst ct = pw.phantom({ shape: [200, 180, 160], seed: 1 });\nct",
  `const blurred = new pw.Volume({ ...ct, data: ct.data.map((value, i) => (value + (ct.data[i + 1] ?? value)) / 2) });
await pw.compareVolumes(ct, { linear: blurred, gaussian: ct })`,
  'ct.data[70 + 200 * (60 + 180 * 80)]',
];

describe.skipIf(!python || !hasChromium('volumes in JupyterLab'))('volumes in JupyterLab', () => {
  let folder = '';
  let lab: JupyterLab;
  let browser: Awaited<ReturnType<typeof openBrowser>>;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'patchwise-volumes-lab-'));
    lab = await JupyterLab.start(folder, { 'volumes.ipynb': cells });
    browser = await openBrowser({ webGl: true });
    await browser.page.setViewportSize({ width: 1400, height: 900 });
  }, 120_000);

  afterAll(async () => {
    await browser?.close();
    await lab?.stop();
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  }, 60_000);

  it('a volume comes in full, is scrolled and read, and comes back after a reload and without its kernel', async () => {
    const { page } = browser;
    const address = `${lab.url}/lab/tree/volumes.ipynb`;
    await open(page, `${address}?reset`);
    await menu(page, 'Run', 'Run All Cells');
    const shown = new Shown(page, 0);
    await page.locator('.patchwise-viewer').first().waitFor({ timeout: 120_000 });
    await shown.drawn();
    const state = async (): Promise<string> => (await shown.words()).state;
    await expect.poll(state, { timeout: 60_000 }).toBe('full resolution');
    await picture(page, 'volume');

    const tile = shown.tile('axial');
    await page.mouse.move(...(await shown.pointIn(tile, 0.4, 0.4)));
    await page.mouse.move(...(await shown.pointIn(tile, 0.4, 0.45)));
    await page.mouse.wheel(0, -100);
    await expect.poll(() => shown.slice(tile)).toBe(81);
    await page.mouse.down({ button: 'right' });
    await page.mouse.move(...(await shown.pointIn(tile, 0.5, 0.5)), { steps: 4 });
    await page.mouse.up({ button: 'right' });
    await expect.poll(() => shown.node.locator('.tools').textContent()).toContain('by hand');
    expect(await page.locator('.lm-Menu').count(), 'menus of JupyterLab').toBe(0);
    await takeTheme(page, 'JupyterLab Dark');
    await page.waitForTimeout(1500);
    await picture(page, 'volume-dark');

    const compared = new Shown(page, 1);
    await compared.drawn();
    await compared.picture.click({ position: { x: 200, y: 150 } });
    const count = await page.locator('.jp-Notebook .jp-Cell').count();
    await page.keyboard.press('b');
    await expect.poll(() => compared.node.locator('.tile .name').first().textContent()).toBe('B: gaussian');
    await page.keyboard.press('a');
    await expect.poll(() => compared.node.locator('.tile .name').first().textContent()).toBe('A: linear');
    expect(await page.locator('.jp-Notebook .jp-Cell').count()).toBe(count);
    await picture(page, 'comparison-dark');

    await menu(page, 'File', 'Save Notebook');
    await page.waitForTimeout(1500);
    await page.goto(address);
    await page.locator('.patchwise-viewer').first().waitFor({ timeout: 120_000 });
    await shown.drawn();
    await expect.poll(state, { timeout: 60_000 }).toBe('full resolution');

    await menu(page, 'Kernel', 'Shut Down Kernel');
    await page.goto(`${address}?reset`);
    await page.locator('.patchwise-viewer').first().waitFor({ timeout: 120_000 });
    await shown.drawn();
    await expect.poll(state, { timeout: 60_000 }).toContain('preview of');
    await picture(page, 'volume-reopened');
    await takeTheme(page, 'JupyterLab Light');
    const contexts = page.locator('.picture canvas + canvas');
    expect(await contexts.count()).toBeGreaterThan(0);
    await menu(page, 'Edit', 'Clear Outputs of All Cells');
    await expect.poll(() => contexts.count()).toBe(0);
    expect(browser.errors.filter((error) => /patchwise|WebGL/i.test(error))).toEqual([]);
  }, 400_000);
});
