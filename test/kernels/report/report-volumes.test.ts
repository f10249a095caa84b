import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { notebookToHtml } from '../../../kernels/report/report';
import { compareVolumes, phantom, planGrid, Volume } from '../../../src/index';
import { toBundle } from '../../../src/internal';
import { hasChromium, openBrowser } from '../../chromium';
import { useEveryControl } from '../../plot/controls';
import { Shown } from '../browser/stage';

describe.skipIf(!hasChromium('volumes in a report'))('volumes in a report', () => {
  let folder = '';
  let address = '';
  let html = '';
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'patchwise-report-'));
    const ct = phantom({ shape: [256, 256, 133], seed: 1 });
    const small = phantom({ shape: [48, 48, 40], seed: 1 });
    const linear = new Volume({ ...small, data: small.data.map((value) => value + 20) });
    const grid = planGrid(small.shape, { patch: [32, 32, 16], stride: [24, 24, 12] });
    const values = [ct, await compareVolumes(small, { linear, gaussian: small }, { grid })];
    const cells = values.map((value) => ({
      cell_type: 'code' as const,
      source: '',
      metadata: {},
      outputs: [{ output_type: 'display_data' as const, data: toBundle(value)!, metadata: {} }],
    }));
    html = await notebookToHtml({ cells, metadata: {}, nbformat: 4, nbformat_minor: 5 });
    address = `file://${join(folder, 'volumes.html')}`;
    await writeFile(join(folder, 'volumes.html'), html);
  }, 120_000);
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('are small, and both are to be used', () => {
    expect(html.length).toBeLessThan(7_000_000);
    expect(html.match(/data-volumes="/g)).toHaveLength(2);
    expect(html).not.toContain('A still picture');
  });

  it.each([false, true])(
    'are drawn offline, each with its figure below, dark: %s',
    async (dark) => {
      const browser = await openBrowser({ webGl: true, dark });
      try {
        const { page, errors, requests } = browser;
        await page.goto(address);
        for (let visit = 0; visit < 2; visit++) {
          const volume = await new Shown(page, 0).drawn();
          expect((await volume.look()).colours).toBeGreaterThan(50);
          expect((await volume.words()).state).toMatch(/^preview of .* mm voxels only/);
          const compared = await new Shown(page, 1).drawn();
          expect((await compared.words()).text).toContain('linear');
          const height = (await compared.node.boundingBox())!.height;
          await compared.press('Two volumes in turn');
          await compared.settle();
          expect((await compared.node.boundingBox())!.height).toBe(height);
          await expect
            .poll(() => page.locator('.figure[data-volumes]').nth(1).locator('.main-svg').count())
            .toBeGreaterThan(0);
          const ink = await volume.node.locator('.place').evaluate((node) => getComputedStyle(node).color);
          expect(ink).toBe(dark ? 'rgb(228, 231, 234)' : 'rgb(28, 33, 38)');
          await page.reload(); // all is as at the start
        }
        expect(errors).toEqual([]);
        expect(requests.filter((url) => !/^(data|blob|file):/.test(url))).toEqual([]);
      } finally {
        await browser.close();
      }
    },
    180_000,
  );

  it('are on paper as they were drawn, or as still pictures where they were not in sight', async () => {
    const browser = await openBrowser({ webGl: true });
    try {
      const { page } = browser;
      await page.setViewportSize({ width: 1100, height: 300 }); // the second is far below
      await page.goto(address);
      await new Shown(page, 0).drawn();
      const seen = () =>
        page
          .locator('.figure[data-volumes]')
          .evaluateAll((nodes) =>
            nodes.map((node) =>
              [...node.children]
                .filter((child) => child.getBoundingClientRect().height > 0)
                .map((child) => (child.querySelector('img') ? 'still' : child.className)),
            ),
          );
      expect(await seen()).toMatchObject([
        ['patchwise-viewer drawn'],
        ['patchwise-viewer', expect.anything()],
      ]);
      await page.emulateMedia({ media: 'print' });
      expect(await seen()).toEqual([['patchwise-viewer drawn'], ['still']]);
      await page.emulateMedia({ media: 'screen' });
      await page.setViewportSize({ width: 1100, height: 900 });
      const compared = await new Shown(page, 1).drawn();
      await page.emulateMedia({ media: 'print' });
      expect((await seen())[1]).toMatchObject(['patchwise-viewer drawn', expect.anything()]);
      expect((await compared.look()).colours).toBeGreaterThan(50);
    } finally {
      await browser.close();
    }
  }, 180_000);

  it('have all their controls within reach in a narrow page', async () => {
    const browser = await openBrowser({ webGl: true });
    try {
      const { page } = browser;
      await page.setViewportSize({ width: 420, height: 900 });
      await page.goto(address);
      for (const at of [0, 1]) {
        const shown = await new Shown(page, at).drawn();
        const parts = shown.node.locator('button:visible, select, input, output, .tile, .legend:visible');
        for (const part of await parts.all()) {
          const box = (await part.boundingBox())!;
          expect(box.x, await part.evaluate((node) => node.outerHTML)).toBeGreaterThanOrEqual(0);
          expect(box.x + box.width, await part.evaluate((node) => node.outerHTML)).toBeLessThanOrEqual(420);
        }
        const names = await shown.node.locator('.tile .name').allTextContents();
        expect(names).toHaveLength([3, 5][at]!);
      }
    } finally {
      await browser.close();
    }
  }, 120_000);

  it('are slices of Plotly where there is no WebGL', async () => {
    const browser = await openBrowser({ webGl: false });
    try {
      const { page, errors } = browser;
      await page.goto(address);
      const figures = page.locator('.figure[data-volumes] .plot');
      await expect.poll(() => page.locator('.figure .modebar').count(), { timeout: 30_000 }).toBe(2);
      expect(await page.locator('.patchwise-viewer').count()).toBe(0);
      const used = await useEveryControl(figures.first(), 1);
      expect(used.slider).toBeGreaterThan(0);
      const compared = figures.nth(1);
      await compared.getByText('coronal', { exact: true }).click();
      await compared.getByText('coronal slice, y = 24').waitFor();
      expect(await page.getByText('Only some slices, because').count()).toBe(2);
      expect(errors.filter((error) => !/WebGL/.test(error))).toEqual([]);
    } finally {
      await browser.close();
    }
  }, 180_000);
});
