import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { phantom } from '../../../src/index';
import { toBundle } from '../../../src/internal';
import { VOLUMES_MIME, type VolumesBundle } from '../../../src/volumes-bundle';
import { hasChromium, openBrowser } from '../../chromium';
import { type Lab, STAND_IN } from '../lab-stand-in';
import { Shown } from './stage';

describe.skipIf(!hasChromium('volumes in JupyterLab'))('volumes in JupyterLab', () => {
  let folder = '';
  const ct = phantom({ shape: [40, 36, 32], seed: 1 });
  const stored = toBundle(ct)!;
  const bundle = { ...(stored[VOLUMES_MIME] as VolumesBundle), id: 'view-7' };
  const below = { data: [{ type: 'scatter', x: [1, 2], y: [3, 4] }], layout: { height: 200 } };
  const data = { ...stored, [VOLUMES_MIME]: { ...bundle, below } };

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'patchwise-lab-'));
    await cp('dist/kernels/browser', folder, { recursive: true });
    await cp(require.resolve('plotly.js-dist-min/plotly.min.js'), join(folder, 'plotly.min.js'));
    const page = `<body style="--jp-ui-font-color1: rgb(1, 2, 3)"><script>${STAND_IN}</script><script src="remoteEntry.js"></script></body>`;
    await writeFile(join(folder, 'lab.html'), page);
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  const withLab = async (
    webGl: boolean,
    use: (browser: Awaited<ReturnType<typeof openBrowser>>) => Promise<void>,
  ): Promise<void> => {
    const browser = await openBrowser({ webGl });
    try {
      await browser.page.goto(`file://${join(folder, 'lab.html')}`);
      await browser.page.evaluate(async (given) => {
        const { lab } = window as unknown as { lab: Lab };
        await lab.start();
        await lab.render(given);
      }, data);
      await use(browser);
    } finally {
      await browser.close();
    }
  };

  it('are shown by the viewer, with a comm to the kernel and the figure below, until they are disposed', async () => {
    await withLab(true, async ({ page, errors }) => {
      const shown = await new Shown(page).drawn();
      expect(await shown.node.locator('.place').evaluate((node) => getComputedStyle(node).color)).toBe(
        'rgb(1, 2, 3)',
      );
      expect(await page.locator('.patchwise-figure .main-svg').count()).toBeGreaterThan(0);
      const comm = () =>
        page.evaluate(() => {
          const { target, opened, closed } = (window as unknown as { lab: Lab }).lab.kernel.comms.at(-1)!;
          return { target, opened: opened as Record<string, unknown>, closed };
        });
      expect(await comm()).toMatchObject({ target: 'patchwise.volumes', opened: { id: 'view-7' } });
      await page.evaluate((given) => {
        const { lab } = window as unknown as { lab: Lab };
        return (lab.widget as unknown as { renderModel(model: object): Promise<void> }).renderModel({
          data: given,
        });
      }, data);
      expect(await page.locator('.patchwise-viewer').count()).toBe(1); // not built again
      await page.evaluate(() => (window as unknown as { lab: Lab }).lab.widget.dispose());
      expect((await comm()).closed).toBe(true);
      expect(await page.locator('canvas').count()).toBe(0);
      expect(errors).toEqual([]);
    });
  }, 60_000);

  it('are the slices of the same bundle where there is no WebGL', async () => {
    await withLab(false, async ({ page }) => {
      await page.locator('.patchwise-figure .slider-rail-touch-rect').first().waitFor({ timeout: 20_000 });
      expect(await page.locator('.patchwise-viewer').count()).toBe(0);
    });
  }, 60_000);
});
