import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { hasChromium } from '../../chromium';
import { type Shown, Stage } from './stage';
import { affineOf, bundleOf, shownVolume, type Three } from './volumes';

const shape: Three = [20, 16, 12];
const bundle = (step = 10) =>
  bundleOf([shownVolume('ct', shape, affineOf([1, 1, 1]), (x, y) => step * x + y)]);

describe.skipIf(!hasChromium('the viewer of volumes'))('viewers on one page', () => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await Stage.open();
  }, 60_000);
  afterAll(() => stage?.close());
  beforeEach(() => stage.clear());

  const contexts = (): Promise<number> => stage.page.locator('.picture canvas + canvas').count();

  it('are all drawn when they come into sight, twenty of them, and few have a context at a time', async () => {
    const all: Shown[] = [];
    for (let i = 0; i < 20; i++) all.push(await stage.show(bundle(2 + i / 2)));
    const heights = async () =>
      stage.page.locator('.patchwise-viewer').evaluateAll((nodes) => nodes.map((node) => node.clientHeight));
    const before = await heights();
    const sums = new Set<number>();
    for (const shown of all) {
      await shown.drawn();
      expect((await shown.look()).colours).toBeGreaterThan(20);
      sums.add((await shown.look()).sum);
      expect(await contexts()).toBeLessThan(6);
    }
    expect(sums.size).toBe(20);
    expect(await heights()).toEqual(before);
    expect(stage.errors).toEqual([]);
  }, 240_000);

  it('show their last picture out of sight, and come back as they were', async () => {
    const shown = await (await stage.show(bundle())).drawn();
    await stage.page.evaluate(() => {
      document.body.append(Object.assign(document.createElement('div'), { style: 'height: 4000px' }));
    });
    const home = await shown.lookAtRest();
    await stage.page.mouse.click(...(await shown.pointIn(shown.tile('axial'), 0.6, 0.4)));
    await shown.node.getByLabel('Window of values').selectOption('dark');
    await shown.press('Zoom in');
    await stage.page.mouse.move(5, 850);
    await shown.settle();
    const [picture, words, window] = [await shown.lookAtRest(), await shown.words(), await shown.window()];
    expect(picture.unlike(home)).toBeGreaterThan(1000);
    await stage.page.evaluate(() => scrollTo(0, 3000));
    await expect.poll(contexts).toBe(0);
    const still = await shown.picture.locator('canvas').evaluate((node) => {
      const { width, height } = node as HTMLCanvasElement;
      const { data } = (node as HTMLCanvasElement).getContext('2d')!.getImageData(0, 0, width, height);
      return new Set(data).size;
    });
    expect(still).toBeGreaterThan(10);
    await stage.page.evaluate(() => scrollTo(0, 0));
    await shown.drawn();
    expect((await shown.lookAtRest()).unlike(picture)).toBe(0);
    expect([await shown.words(), await shown.window()]).toEqual([words, window]);
    expect(stage.errors).toEqual([]);
  });

  it('live on when the browser takes a context away', async () => {
    const shown = await (await stage.show(bundle())).drawn();
    const picture = await shown.lookAtRest();
    await shown.picture.locator('canvas + canvas').evaluate((node) => {
      (node as HTMLCanvasElement).getContext('webgl2')!.getExtension('WEBGL_lose_context')!.loseContext();
    });
    await shown.settle();
    expect((await shown.look()).colours).toBe(picture.colours);
    await expect.poll(contexts, { timeout: 10_000 }).toBe(1);
    await shown.drawn();
    expect((await shown.lookAtRest()).unlike(picture)).toBe(0);
    await stage.page.mouse.move(...(await shown.pointIn(shown.tile('axial'), 0.4, 0.4)));
    await stage.page.mouse.move(...(await shown.pointIn(shown.tile('axial'), 0.4, 0.5)));
    await stage.page.mouse.wheel(0, -100);
    await shown.settle();
    expect(await shown.slice(shown.tile('axial'))).toBe(7);
  });

  it('leave nothing when they are disposed', async () => {
    const shown = await (await stage.show({ ...bundle(), id: 'one' }, true)).drawn();
    await stage.page.evaluate(() => {
      const page = window as unknown as { viewers: { dispose(): void }[]; gl: WebGL2RenderingContext };
      page.gl = document.querySelector<HTMLCanvasElement>('.picture canvas + canvas')!.getContext('webgl2')!;
      page.viewers[0]!.dispose();
    });
    expect(await shown.node.evaluate((node) => node.children.length)).toBe(0);
    expect((await stage.kernel()).closed).toBe(true);
    await expect
      .poll(() =>
        stage.page.evaluate(() => (window as unknown as { gl: WebGL2RenderingContext }).gl.isContextLost()),
      )
      .toBe(true);
    await stage.page.waitForTimeout(700); // longer than all its timers
    expect(stage.errors).toEqual([]);
  });

  it('are read by the dark', async () => {
    await stage.page.emulateMedia({ colorScheme: 'dark' });
    const shown = await (await stage.show(bundle())).drawn();
    expect(await shown.node.evaluate(smallestText)).toBeGreaterThanOrEqual(11);
    await stage.page.emulateMedia({ colorScheme: 'light' });
  });
});

function smallestText(node: Element): number {
  const sizes = [...node.querySelectorAll('*')]
    .filter((one) => [...one.childNodes].some((child) => child.nodeType === 3 && child.textContent!.trim()))
    .map((one) => Number.parseFloat(getComputedStyle(one).fontSize));
  return Math.min(...sizes);
}
