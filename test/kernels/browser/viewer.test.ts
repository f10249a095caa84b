import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { hasChromium } from '../../chromium';
import { type Shown, Stage } from './stage';
import { affineOf, bundleOf, shownVolume, type Three } from './volumes';

const shape: Three = [20, 16, 12];
/** Any two voxels along an axis differ in it. */
const ramp = (x: number, y: number, z: number): number => Math.round(4 * x + 2 * y + 6 * z);
const planes = ['axial', 'coronal', 'sagittal'] as const;
/** The voxel axis that a plane of our test volumes is cut across. */
const through = { axial: 2, coronal: 1, sagittal: 0 } as const;

describe.skipIf(!hasChromium('the viewer of volumes'))('the viewer of a volume', () => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await Stage.open();
  }, 60_000);
  afterAll(() => stage?.close());
  beforeEach(() => stage.clear());

  const show = async (affine: readonly number[], values = ramp): Promise<Shown> =>
    (await stage.show(bundleOf([shownVolume('ct', shape, affine, values)]))).drawn();

  it.each(planes)(
    'scrolls through every %s slice by the wheel, and each is another picture',
    async (plane) => {
      const shown = await show(affineOf([1, 1, 2]));
      const tile = shown.tile(plane);
      await stage.page.mouse.move(...(await shown.pointIn(tile, 0.3, 0.4)));
      await stage.page.mouse.move(...(await shown.pointIn(tile, 0.3, 0.3)));
      const count = shape[through[plane]];
      for (let i = 0; i < count; i++) await stage.page.mouse.wheel(0, 100);
      await shown.settle();
      const sign = plane === 'axial' ? 1 : -1; // x and y of the test volumes run to the left and back
      const seen: number[] = [];
      const sums = new Set<number>();
      for (let i = 0; i < count; i++) {
        seen.push(await shown.slice(tile));
        const { voxel } = await shown.words(); // the pointer rests: its words follow the slice
        expect(voxel[through[plane]]).toBe(seen.at(-1));
        sums.add((await shown.look()).sum);
        await stage.page.mouse.wheel(0, -100);
        await shown.settle();
      }
      const all = Array.from({ length: count }, (_, i) => i);
      expect(seen).toEqual(sign > 0 ? all : all.reverse());
      expect(sums.size).toBe(count);
      expect(stage.errors).toEqual([]);
      expect(stage.requests).toEqual([]);
    },
    120_000,
  );

  it.each([
    ['straight, with equal spacing', affineOf([1, 1, 1])],
    ['anisotropic', affineOf([0.7, 0.9, 2.5])],
    ['oblique', affineOf([0.8, 0.8, 2], 25)],
  ])(
    'shows at each pixel the voxel that it names, of a volume that is %s',
    async (_, affine) => {
      for (const axis of [0, 1, 2] as const) {
        await stage.clear();
        const step = Math.floor(255 / (shape[axis] - 1));
        const shown = await show(affine, (...voxel) => step * voxel[axis]);
        for (const plane of planes) {
          const tile = shown.tile(plane);
          const picture = await shown.look();
          for (const [across, down] of [
            [0.4, 0.4],
            [0.62, 0.45],
            [0.55, 0.6],
          ] as const) {
            const point = await shown.pointIn(tile, across, down);
            await stage.page.mouse.move(...point);
            await shown.settle();
            const { voxel, text } = await shown.words();
            expect(Math.abs(picture.on(...point)[0] - step * voxel[axis]), text).toBeLessThan(step / 2 + 2);
            expect(text).toContain(` ${step * voxel[axis]} HU`);
          }
        }
      }
    },
    120_000,
  );

  it('moves the crosshair of the other planes to the voxel that was clicked', async () => {
    const affine = affineOf([0.8, 0.8, 2], 25);
    const shown = await show(affine);
    const axial = shown.tile('axial');
    const before = await shown.look();
    await stage.page.mouse.click(...(await shown.pointIn(axial, 0.6, 0.4)));
    await shown.settle();
    const { voxel, mm, text } = await shown.words();
    expect(await shown.slice(shown.tile('coronal'))).toBe(voxel[1]);
    expect(await shown.slice(shown.tile('sagittal'))).toBe(voxel[0]);
    expect(await shown.slice(axial)).toBe(6);
    expect(text).toContain(` ${ramp(...voxel)} HU`);
    const world = [0, 1, 2].map((row) =>
      [0, 1, 2].reduce((sum, k) => sum + affine[4 * row + k]! * voxel[k]!, affine[4 * row + 3]!),
    );
    for (const [at, value] of world.entries()) expect(mm[at]).toBeCloseTo(value, 0.9);
    // The patient's right is on the left, anterior is up: the click went to the left of the patient, and to the front.
    expect(voxel[0]).toBeGreaterThan(10);
    expect(voxel[1]).toBeLessThan(8);
    expect((await shown.look()).sum).not.toBe(before.sum);
  });

  it('changes window and level by a drag with the right button, and the pixels with them', async () => {
    const shown = await show(affineOf([1, 1, 1]));
    const tile = shown.tile('axial');
    const point = await shown.pointIn(tile, 0.42, 0.42);
    await stage.page.mouse.move(...point);
    await shown.settle();
    const value = Number(/(\d+) HU/.exec((await shown.words()).text)![1]);
    expect(await shown.window()).toEqual({ width: 255, level: 128 });
    const before = (await shown.look()).on(...point)[0];
    expect(Math.abs(before - value)).toBeLessThan(3);
    await stage.page.mouse.down({ button: 'right' });
    await stage.page.mouse.move(point[0] - 100, point[1] - 40, { steps: 5 });
    await stage.page.mouse.up({ button: 'right' });
    const { width, level } = await shown.window();
    expect(width).toBeLessThan(200); // to the left: narrower
    expect(level).toBeLessThan(128); // up: brighter
    const expected = Math.min(255, (255 * (value - (level - width / 2))) / width);
    const after = (await shown.look()).on(...point)[0];
    expect(Math.abs(after - expected)).toBeLessThan(4);
    await shown.node.getByRole('combobox').selectOption('dark');
    expect(await shown.window()).toEqual({ width: 100, level: 50 });
    const dark = (await shown.look()).on(...point)[0];
    expect(Math.abs(dark - Math.min(255, (255 * value) / 100))).toBeLessThan(4);
    await shown.press('Crosshair, window');
    expect(await shown.window()).toEqual({ width: 255, level: 128 });
    expect(stage.errors).toEqual([]);
  });

  it('has one plane alone, zoom, keys and a 3D rendering, all in the same height', async () => {
    const shown = await show(affineOf([1, 1, 1]));
    const { page } = stage;
    const height = (await shown.node.boundingBox())!.height;
    let last = (await shown.look()).sum;
    const changed = async (what: string): Promise<void> => {
      const picture = await shown.look();
      expect(picture.sum, what).not.toBe(last);
      expect(picture.colours, what).toBeGreaterThan(8);
      expect(Math.abs((await shown.node.boundingBox())!.height / height - 1), what).toBeLessThan(0.02);
      last = picture.sum;
    };
    for (const plane of planes) {
      await shown.press(`The ${plane} plane alone`);
      await changed(plane);
      expect(await shown.node.locator('.tile').count()).toBe(1);
    }
    await shown.press('Zoom in');
    await changed('zoom in');
    await shown.picture.focus();
    await page.keyboard.press('ArrowUp');
    await changed('arrow key');
    expect(await shown.slice(shown.tile('sagittal'))).toBe(9); // to the patient's right, where x starts
    await page.keyboard.press('End');
    await changed('end key');
    expect(await shown.slice(shown.tile('sagittal'))).toBe(19);
    await page.keyboard.press('r');
    await shown.press('Axial, coronal');
    await changed('reset');
    const [x, y] = await shown.pointIn(shown.tile('coronal'), 0.4, 0.4);
    await page.mouse.dblclick(x, y);
    await changed('double click');
    expect(await shown.node.locator('.tile').count()).toBe(1);

    await shown.press('A 3D rendering');
    const rendering = shown.tile('3D');
    const lit = async (): Promise<number> => {
      const { on } = await shown.look();
      const points = await Promise.all([0.45, 0.5, 0.55].map((part) => shown.pointIn(rendering, part, 0.4)));
      return Math.max(...points.map((point) => on(...point)[0]));
    };
    await expect.poll(lit, { timeout: 20_000 }).toBeGreaterThan(60);
    await changed('3D');
    await page.mouse.move(...(await shown.pointIn(rendering, 0.5, 0.5)));
    await page.mouse.down();
    await page.mouse.move(...(await shown.pointIn(rendering, 0.7, 0.6)), { steps: 3 });
    await page.mouse.up();
    await changed('turn');
    // Keys act on the framed picture: on the rendering first, on a plane once it is clicked.
    const framed = async (): Promise<string[]> => shown.node.locator('.tile.active .name').allTextContents();
    const numbers = (): Promise<string[]> => shown.node.locator('.slice').allTextContents();
    const before = await numbers();
    expect(await framed()).toEqual(['3D']);
    await page.keyboard.press('+');
    await changed('+ on the rendering');
    await page.keyboard.press('ArrowLeft');
    await changed('arrow on the rendering');
    expect(await numbers()).toEqual(before);
    await page.mouse.click(...(await shown.pointIn(shown.tile('axial'), 0.5, 0.5)));
    await changed('click on a plane');
    expect(await framed()).toEqual(['axial']);
    const slice = await shown.slice(shown.tile('axial'));
    await page.keyboard.press('ArrowUp');
    await changed('arrow on a plane');
    expect(await shown.slice(shown.tile('axial'))).toBe(slice + 1);
    expect(stage.errors).toEqual([]);
    expect(stage.requests).toEqual([]);
  }, 120_000);
});
