import { describe, expect, it } from 'vitest';
import { phantom } from '../../../src/index';
import { toBundle } from '../../../src/internal';
import { VOLUMES_MIME, type VolumesBundle } from '../../../src/volumes-bundle';
import { hasChromium } from '../../chromium';
import { LabPage } from '../lab-page';
import type { Lab } from '../lab-stand-in';
import { Shown } from './stage';

describe.skipIf(!hasChromium('volumes in JupyterLab'))('volumes in JupyterLab', () => {
  const ct = phantom({ shape: [40, 36, 32], seed: 1 });
  const stored = toBundle(ct)!;
  const bundle = { ...(stored[VOLUMES_MIME] as VolumesBundle), id: 'view-7' };
  const below = { data: [{ type: 'scatter', x: [1, 2], y: [3, 4] }], layout: { height: 200 } };
  const data = { ...stored, [VOLUMES_MIME]: { ...bundle, below } };

  const withLab = async (webGl: boolean, use: (lab: LabPage) => Promise<void>): Promise<void> => {
    const lab = await LabPage.open({ webGl, css: 'body { --jp-ui-font-color1: rgb(1, 2, 3) }' });
    try {
      await lab.start();
      await lab.render(data);
      await use(lab);
    } finally {
      await lab.close();
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
