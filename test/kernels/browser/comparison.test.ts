import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { hasChromium } from '../../chromium';
import { type Shown, Stage } from './stage';
import { affineOf, bundleOf, shownVolume, type Three } from './volumes';

const shape: Three = [20, 16, 12];
const affine = affineOf([1, 1, 1]);
/** Half of the limit more on the patient's right, and the limit less on the left; 20 of 255 in between. */
const changed = (x: number): number => (x < 6 ? 50 : x > 13 ? -100 : 0);
const bundle = bundleOf(
  [
    shownVolume('original', shape, affine, () => 120),
    shownVolume('linear', shape, affine, (x) => 120 + changed(x)),
    shownVolume('gaussian', shape, affine, () => 200),
  ],
  { differenceLimit: 100 },
);
const grey = (value: number) => [value, value, value];
/** Places in a tile: the patient's right is on the left. */
const [more, same, less] = [0.2, 0.42, 0.8];

describe.skipIf(!hasChromium('the viewer of volumes'))('the viewer of a comparison', () => {
  let stage: Stage;
  let shown: Shown;
  beforeAll(async () => {
    stage = await Stage.open();
  }, 60_000);
  afterAll(() => stage?.close());
  beforeEach(async () => {
    await stage.clear();
    shown = await (await stage.show(bundle)).drawn();
  });

  /** The colours of a tile at places across it. */
  const coloursOf = async (tile: string, across: readonly number[], down = 0.35): Promise<number[][]> => {
    const picture = await shown.look();
    const points = await Promise.all(across.map((part) => shown.pointIn(shown.tile(tile), part, down)));
    return points.map(([x, y]) => picture.on(x, y));
  };
  const near = (colours: readonly number[][], expected: readonly number[][]): void => {
    for (const [at, colour] of expected.entries())
      for (const [channel, value] of colour.entries())
        expect(Math.abs(colours[at]![channel]! - value), `${colours[at]} for ${colour}`).toBeLessThan(5);
  };

  it('shows the reference, the candidates and their differences in one window', async () => {
    near(await coloursOf('original', [more, same, less]), [grey(120), grey(120), grey(120)]);
    near(await coloursOf('linear', [more, same, less]), [grey(170), grey(120), grey(20)]);
    near(await coloursOf('gaussian', [same]), [grey(200)]);
    // Half of the limit above: the middle of red. No difference: white. The limit below: the end of blue.
    near(await coloursOf('linear − original', [more, same, less]), [
      [214, 96, 77],
      [255, 255, 255],
      [5, 48, 97],
    ]);
    await shown.node.getByLabel('Window of values').selectOption('dark');
    near(await coloursOf('linear', [same, less]), [grey(255), grey(51)]);
    near(await coloursOf('original', [same]), [grey(255)]);
    expect((await shown.words()).text).toContain('linear 120 HU (0)  ·  gaussian 200 HU (+80)');
    expect(stage.errors).toEqual([]);
    expect(stage.requests).toEqual([]);
  });

  it('takes a drag of the window for the picture where it began, and one of the limit likewise', async () => {
    const limit = async (): Promise<string> => (await shown.node.locator('.legend').textContent()) ?? '';
    const numbers = async (): Promise<string> => (await shown.node.locator('.numbers').textContent()) ?? '';
    const drag = async (from: string, to: string): Promise<void> => {
      await stage.page.mouse.move(...(await shown.pointIn(shown.tile(from), 0.4, 0.5)));
      await stage.page.mouse.down({ button: 'right' });
      await stage.page.mouse.move(...(await shown.pointIn(shown.tile(to), 0.6, 0.5)), { steps: 8 });
      await stage.page.mouse.up({ button: 'right' });
      await shown.settle();
    };
    const before = [await limit(), await numbers()];
    await drag('linear', 'linear − original');
    const windowed = [await limit(), await numbers()];
    expect(windowed[0]).toBe(before[0]);
    expect(windowed[1]).not.toBe(before[1]);
    await drag('linear − original', 'original');
    expect(await limit()).not.toBe(windowed[0]);
    expect(await numbers()).toBe(windowed[1]);
  });

  it('writes small values with three digits', async () => {
    const small = [120, 123].map((stored, at) => {
      const volume = shownVolume(`v${at}`, shape, affine, () => stored);
      return { ...volume, preview: { ...volume.preview, slope: 1e-4 } };
    });
    const windows = [{ label: 'all', low: -0.0125, high: 0.0125 + 1e-12 }];
    await stage.clear();
    const own = await (await stage.show(bundleOf(small, { units: '', windows }))).drawn();
    expect((await own.words()).text).toContain('v0 0.0120  ·  v1 0.0123 (+0.000300)');
    expect(await own.node.locator('.numbers').textContent()).toBe('W 0.0250  L 0');
  });

  it('has one crosshair in all pictures', async () => {
    await stage.page.mouse.click(...(await shown.pointIn(shown.tile('gaussian'), 0.7, 0.3)));
    // The crosshair goes through the middle of a voxel, so its line lies near the click.
    const picture = await shown.look();
    const lineOf = async (tile: string): Promise<number> => {
      const [left, y] = await shown.pointIn(shown.tile(tile), 0, 0.6);
      const isLine = (x: number): boolean => {
        const [red, , blue] = picture.on(left + x, y);
        return blue - red > 30; // light on dark, dark on light
      };
      return Array.from({ length: 300 }, (_, x) => x).findIndex(isLine);
    };
    const line = await lineOf('original');
    expect(Math.abs(line / 306 - 0.7)).toBeLessThan(0.04);
    expect([await lineOf('linear'), await lineOf('gaussian')]).toEqual([line, line]);
    await shown.press('Compare coronal');
    await shown.settle(); // the label follows with the next frame
    expect(await shown.slice(shown.tile('original'))).toBe((await shown.words()).voxel[1]);
  });

  it('scrolls all pictures by the wheel over one, and the limit by a drag on a difference', async () => {
    await stage.page.mouse.move(...(await shown.pointIn(shown.tile('linear'), 0.5, 0.5)));
    await stage.page.mouse.move(...(await shown.pointIn(shown.tile('linear'), 0.4, 0.5)));
    await stage.page.mouse.wheel(0, -100);
    await shown.settle();
    for (const name of ['original', 'linear', 'gaussian − original'])
      expect(await shown.slice(shown.tile(name))).toBe(7);
    const [x, y] = await shown.pointIn(shown.tile('linear − original'), 0.3, 0.3);
    await stage.page.mouse.move(x, y);
    await stage.page.mouse.down({ button: 'right' });
    await stage.page.mouse.move(x + 139, y, { steps: 3 });
    await stage.page.mouse.up({ button: 'right' });
    await shown.settle();
    expect(await shown.node.locator('.legend .ends').textContent()).toBe('−2000+200');
    near(await coloursOf('linear − original', [less]), [[67, 147, 195]]);
    expect(await shown.window()).toEqual({ width: 255, level: 128 });
  });

  it('flickers between two by keys and buttons', async () => {
    await shown.press('Two volumes in turn');
    near(await coloursOf('A: linear', [0.42, 0.75]), [grey(120), grey(20)]);
    await stage.page.keyboard.press('b'); // without a click on the picture
    near(await coloursOf('B: gaussian', [0.42, 0.6]), [grey(200), grey(200)]);
    await stage.page.keyboard.press('Space');
    near(await coloursOf('A: linear', [0.42]), [grey(120)]);
    await shown.node.getByLabel('Volume A of').selectOption('original');
    near(await coloursOf('A: original', [0.6]), [grey(120)]);
    await shown.press('Show volume B');
    near(await coloursOf('B: gaussian', [0.42]), [grey(200)]);
    expect(await shown.node.getByRole('button', { name: 'Show volume B' }).getAttribute('aria-pressed')).toBe(
      'true',
    );
  });

  it('swipes between two by a line that is dragged', async () => {
    await shown.press('Two volumes in one place');
    near(await coloursOf('A: linear', [0.45, 0.55]), [grey(120), grey(200)]);
    const [x, y] = await shown.pointIn(shown.tile('A: linear'), 0.5, 0.5);
    await stage.page.mouse.move(x, y);
    await stage.page.mouse.down();
    await stage.page.mouse.move(x - 150, y, { steps: 3 });
    await stage.page.mouse.up();
    near(await coloursOf('A: linear', [0.3, 0.45, 0.55]), [grey(170), grey(200), grey(200)]);
    await shown.node.locator('.divider').press('ArrowRight');
    await shown.settle();
    expect(
      Number.parseFloat(await shown.node.locator('.divider').evaluate((node) => node.style.left)),
    ).toBeCloseTo(100 * (0.5 - 150 / 924) + 2, 0);
  });

  it('lays the difference over a candidate, blue below and red above, as opaque as the slider says', async () => {
    await shown.press('Colour candidates');
    const [above, none, below] = (await coloursOf('linear', [more, same, less])) as [
      number[],
      number[],
      number[],
    ];
    expect(above[0]! - above[2]!).toBeGreaterThan(50);
    expect(none).toEqual(grey(120));
    expect(below[2]! - below[0]!).toBeGreaterThan(100);
    near(await coloursOf('original', [more]), [grey(120)]);
    await shown.node.getByLabel('Opacity').fill('0');
    near(await coloursOf('linear', [more, same, less]), [grey(170), grey(120), grey(20)]);
    await shown.node.getByLabel('Opacity').fill('1');
    near(await coloursOf('linear', [less]), [[26, 115, 255]]);
  });

  it('names the colours of the overlay in its legend', async () => {
    await shown.press('Two volumes in turn');
    await shown.press('Colour candidates');
    await shown.node.getByLabel('Opacity').fill('1');
    const [over] = await coloursOf('A: linear', [0.75]);
    const bar = (await shown.node.locator('.legend .bar').boundingBox())!;
    const picture = await shown.look();
    near([picture.on(Math.ceil(bar.x) + 1, bar.y + bar.height / 2)], [over!]);
    const middle = picture.on(bar.x + bar.width / 2, bar.y + bar.height / 2);
    expect(Math.max(...middle) - Math.min(...middle)).toBeLessThan(8); // no difference has no colour
  });

  it('never compares a volume with itself: chosen for both, the two change places', async () => {
    await shown.press('Two volumes in turn');
    const chosen = (letter: string): Promise<string> =>
      shown.node.getByLabel(`Volume ${letter} of`).evaluate((node) => (node as HTMLSelectElement).value);
    await shown.node.getByLabel('Volume A of').selectOption('gaussian');
    await shown.settle();
    expect([await chosen('A'), await chosen('B')]).toEqual(['gaussian', 'linear']);
    await shown.node.getByLabel('Volume B of').selectOption('gaussian');
    await shown.settle();
    expect([await chosen('A'), await chosen('B')]).toEqual(['linear', 'gaussian']);
    near(await coloursOf('A: linear', [0.42]), [grey(120)]);
  });

  it('compares values within the range of its metrics', async () => {
    await stage.clear();
    shown = await (await stage.show({ ...bundle, clip: [0, 150] })).drawn();
    // 170 counts as 150: a third of the way from white, not a half.
    const [colour] = (await coloursOf('linear − original', [more])) as [number[]];
    near([colour], [[255 - 41 * 0.6, 255 - 159 * 0.6, 255 - 178 * 0.6]]);
  });

  it('keeps its size whatever control is used', async () => {
    const height = async (): Promise<number> => (await shown.node.boundingBox())!.height;
    const before = await height();
    for (const control of await shown.node.getByRole('button').all()) {
      if (!(await control.isEnabled()) || !(await control.isVisible())) continue;
      const name = await control.getAttribute('aria-label');
      await control.click();
      await shown.settle();
      expect(Math.abs((await height()) / before - 1), name!).toBeLessThan(0.001);
      expect((await shown.look()).colours, name!).toBeGreaterThan(8);
    }
    expect(stage.errors).toEqual([]);
  }, 120_000);
});
