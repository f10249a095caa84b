import type { Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type AnswerOutput, interactionBundle } from '../../../src/controls/interact-bundle';
import { compareVolumes, phantom, view } from '../../../src/index';
import { toBundle } from '../../../src/internal';
import { VOLUMES_MIME, type VolumesBundle } from '../../../src/volumes-bundle';
import { hasChromium } from '../../chromium';
import { Shown } from '../browser/stage';
import { LabPage } from '../lab-page';

const stored = {
  id: 'one',
  controls: [{ kind: 'slider', name: 'z', min: 0, max: 100, step: 1 } as const],
  values: { z: 50 },
  answer: 1,
};

/** An answer that shows a value as the kernel's view of this name. */
function output(value: unknown, id: string): AnswerOutput {
  const bundle = toBundle(value)!;
  const data = { ...bundle, [VOLUMES_MIME]: { ...(bundle[VOLUMES_MIME] as VolumesBundle), id } };
  return { output_type: 'display_data', data: JSON.parse(JSON.stringify(data)), metadata: {} };
}
const ct = (seed: number, shape: [number, number, number] = [40, 36, 32]) => phantom({ shape, seed });

describe.skipIf(!hasChromium('volumes as answers'))('volumes as the answers of an interaction', () => {
  let lab: LabPage;
  beforeAll(async () => {
    lab = await LabPage.open({ webGl: true, css: 'body { width: 940px; margin: 8px }' });
  }, 60_000);
  afterAll(() => lab?.close());
  beforeEach(() => lab.start());

  let answers = 1;
  const begin = async (first: AnswerOutput): Promise<Shown> => {
    await lab.render(interactionBundle({ ...stored, outputs: [first] }));
    await tell(first);
    return new Shown(lab.page).drawn();
  };
  /** The kernel says these answers in a row. */
  const tellAll = (all: readonly (readonly AnswerOutput[])[]) =>
    lab.run(
      (jupyter, news) => {
        const comm = jupyter.kernel.comms[0] as unknown as { onMsg(message: object): void };
        for (const data of news) comm.onMsg({ content: { data } });
      },
      all.map((outputs) => ({
        ...{ type: 'state', running: false, seen: 0, values: stored.values },
        ...{ answer: ++answers, outputs },
      })),
    );
  const tell = (...outputs: AnswerOutput[]) => tellAll([outputs]);
  /** The views that were asked for, and which of them still are: a link asks again where a kernel says nothing. */
  const links = () =>
    lab.run((jupyter) => {
      const all = jupyter.kernel.comms.filter(({ target }) => target === 'patchwise.volumes');
      const ids = (comms: typeof all) => [
        ...new Set(comms.map(({ opened }) => (opened as { id: string }).id)),
      ];
      return { asked: ids(all), open: ids(all.filter(({ closed }) => !closed)) };
    });
  const drag = async (
    page: Page,
    [x, y]: readonly [number, number],
    [right, down]: readonly [number, number],
    button: 'left' | 'right',
  ): Promise<void> => {
    await page.mouse.move(x, y);
    await page.mouse.down({ button });
    await page.mouse.move(x + right, y + down, { steps: 4 });
    await page.mouse.up({ button });
  };

  it('keep window, crosshair, zoom and arrangement, with another picture in the same canvas, never blank', async () => {
    const { page } = lab;
    const shown = await begin(output(ct(1), 'view-1'));
    const axial = shown.tile('axial');
    await drag(page, await shown.pointIn(axial, 0.5, 0.5), [-60, -40], 'right');
    await page.mouse.click(...(await shown.pointIn(axial, 0.6, 0.4)));
    await page.mouse.move(...(await shown.pointIn(axial, 0.5, 0.5)));
    await page.keyboard.down('Control');
    await page.mouse.wheel(0, -300);
    await page.keyboard.up('Control');
    await shown.settle();
    await page.mouse.move(2, 2);
    await shown.settle();
    const [window, { voxel }, before] = [await shown.window(), await shown.words(), await shown.look()];
    expect(voxel).not.toEqual([20, 18, 16]);
    await page.evaluate(() => {
      const watched = globalThis as unknown as { blank: number; frames: number };
      [watched.blank, watched.frames] = [0, 0];
      document.querySelector('.picture canvas + canvas')!.setAttribute('data-mark', 'the same');
      const watch = (): void => {
        watched.frames++;
        const canvas = document.querySelector<HTMLElement>('.picture canvas + canvas');
        if (canvas?.dataset.mark !== 'the same' || getComputedStyle(canvas).visibility !== 'visible')
          watched.blank++;
        requestAnimationFrame(watch);
      };
      watch();
    });
    const sums = new Set([before.sum]);
    for (let seed = 2; seed < 5; seed++) {
      await tell(output(ct(seed), `view-${seed}`));
      for (let look = 0; look < 2; look++) {
        const picture = await shown.look();
        expect(picture.colours).toBeGreaterThan(before.colours / 3);
        sums.add(picture.sum);
      }
    }
    expect(sums.size).toBeGreaterThanOrEqual(4);
    expect(await shown.window()).toEqual(window);
    expect((await shown.words()).voxel).toEqual(voxel);
    const [blank, frames] = await page.evaluate(() => {
      const watched = globalThis as unknown as { blank: number; frames: number };
      return [watched.blank, watched.frames];
    });
    expect(blank).toBe(0);
    expect(frames).toBeGreaterThan(10);
    // The very same answer again is the very same picture: zoom and all.
    await tell(output(ct(1), 'view-8'));
    await expect.poll(async () => (await shown.look()).unlike(before), { timeout: 20_000 }).toBe(0);
    expect(await page.locator('.patchwise-viewer').count()).toBe(1);
    expect(lab.errors).toEqual([]);
  }, 240_000);

  it('ask the kernel for the last of fast answers only, and leave the one before', async () => {
    await begin(output(ct(1), 'view-1'));
    expect(await links()).toEqual({ asked: ['view-1'], open: ['view-1'] });
    await tellAll([2, 3, 4, 5, 6, 7].map((seed) => [output(ct(seed), `view-${seed}`)]));
    await expect.poll(links, { timeout: 10_000 }).toEqual({ asked: ['view-1', 'view-7'], open: ['view-7'] });
    await lab.run((jupyter) => jupyter.widget.dispose());
    expect((await links()).open).toEqual([]);
  }, 60_000);

  it('follow an answer that shows another place, another window, or a volume of another shape', async () => {
    const shown = await begin(output(view(ct(1), { at: [20, 18, 10] }), 'a'));
    expect((await shown.words()).voxel[2]).toBe(10);
    await tell(output(view(ct(1), { at: [20, 18, 25] }), 'b'));
    await expect.poll(async () => (await shown.words()).voxel[2]).toBe(25);
    await drag(lab.page, await shown.pointIn(shown.tile('axial'), 0.5, 0.5), [-60, -40], 'right');
    const window = await shown.window();
    const before = await shown.look();
    await tell(output(ct(3, [24, 30, 44]), 'c'));
    await expect.poll(async () => (await shown.words()).voxel).toEqual([12, 15, 22]);
    await shown.drawn();
    expect(await shown.window()).toEqual(window); // set by hand
    expect((await shown.look()).unlike(before)).toBeGreaterThan(1000);
    await tell({ output_type: 'stream', name: 'stdout', text: 'only text' });
    await expect.poll(() => lab.page.locator('.patchwise-viewer').count()).toBe(0);
    expect(lab.errors).toEqual([]);
  }, 60_000);

  it('keep how volumes are compared', async () => {
    const reference = ct(1);
    const comparison = (seed: number) => compareVolumes(reference, { one: ct(seed), other: ct(seed + 1) });
    const shown = await begin(output(await comparison(2), 'a'));
    await shown.press('Two volumes in turn');
    await shown.press('Compare coronal');
    await lab.page.keyboard.press('b');
    const before = await shown.look();
    await tell(output(await comparison(5), 'b'));
    await expect
      .poll(async () => (await shown.look()).unlike(before), { timeout: 40_000 })
      .toBeGreaterThan(1000);
    const chosen = () => shown.node.locator('[aria-pressed=true]').allTextContents();
    expect(await chosen()).toEqual(expect.arrayContaining(['Flicker', 'Coronal', 'B']));
  }, 120_000);
});
