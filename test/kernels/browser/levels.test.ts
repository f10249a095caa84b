import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { hasChromium } from '../../chromium';
import { Stage } from './stage';
import { affineOf, bundleOf, coarser, packed, shownVolume, storedOf, type Three } from './volumes';

const shape: Three = [24, 20, 16];
const affine = affineOf([0.7, 0.7, 1.2]);
/** Fine stripes, which a coarse copy does not have. */
const stripes = (x: number): number => (Math.floor(x / 2) % 2 === 0 ? 60 : 200);
const flat = (): number => 130;
const preview = (name: string) => ({
  ...shownVolume(name, shape, affine, stripes),
  preview: coarser(shape, affine, flat, 4),
});
const bundle = bundleOf([preview('ct')], { id: 'view-1' });

describe.skipIf(!hasChromium('the viewer of volumes'))('levels that come from the kernel', () => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await Stage.open();
  }, 60_000);
  afterAll(() => stage?.close());
  beforeEach(() => stage.clear());

  /** Sends a level of a volume in chunks of 4 slices, as the kernel does. */
  const send = async (
    {
      volume = 0,
      region,
      shape: size,
      affine: place,
    }: { volume?: number; region?: true; shape: Three; affine: readonly number[] },
    values = stripes as (x: number, y: number, z: number) => number,
    most = Number.POSITIVE_INFINITY,
  ): Promise<void> => {
    const chunks = Math.ceil(size[2] / 4);
    const level = { shape: size, affine: place, slope: 1, intercept: 0 };
    await stage.tell({ type: 'level', volume, level, chunks, ...(region && { region }) });
    const stored = storedOf(size, values);
    const slice = size[0] * size[1];
    for (let index = 0; index < Math.min(most, chunks); index++) {
      const run = stored.subarray(4 * index * slice, 4 * (index + 1) * slice);
      await stage.tell({ type: 'chunk', volume, index }, packed(run));
    }
  };

  it('opens a link when it is in sight, with what the browser can take', async () => {
    const shown = await (await stage.show(bundle, true)).drawn();
    const { opened } = await stage.kernel();
    expect(opened).toMatchObject({ id: 'view-1', longest: expect.any(Number) });
    expect(opened.most).toBeGreaterThan(512 * 512 * 604);
    expect((await shown.words()).state).toBe(
      'preview of 2.8 × 2.8 × 4.8 mm voxels; the kernel has not answered yet',
    );
  });

  it('takes a finer copy over, answers each chunk, and keeps crosshair, window and zoom', async () => {
    const shown = await (await stage.show(bundle, true)).drawn();
    await stage.page.mouse.click(...(await shown.pointIn(shown.tile('axial'), 0.6, 0.4)));
    await shown.node.getByLabel('Window of values').selectOption('dark');
    await shown.press('Zoom in');
    await stage.page.mouse.move(5, 700);
    await shown.settle();
    const before = { words: (await shown.words()).voxel, window: await shown.window() };
    const flatPicture = await shown.look();
    // A mean of voxels is no voxel's value.
    expect((await shown.words()).text).toMatch(/ ≈ -?\d+ HU/);
    await send({ shape, affine }, stripes, 1);
    await expect.poll(async () => (await shown.words()).state).toContain('full resolution is loading (25 %)');
    await send({ shape, affine });
    await expect.poll(async () => (await shown.words()).state).toBe('full resolution');
    await stage.tell({ type: 'complete' });
    expect((await stage.kernel()).sent).toEqual(Array.from({ length: 5 }, () => ({ type: 'got' })));
    expect({ words: (await shown.words()).voxel, window: await shown.window() }).toEqual(before);
    const picture = await shown.look();
    expect(picture.unlike(flatPicture)).toBeGreaterThan(1000);
    expect((await shown.words()).text).toContain(`  ${stripes(before.words[0])} HU`);
    expect(stage.errors).toEqual([]);
  });

  it('shows volumes equally fine: none is finer before all are', async () => {
    const both = bundleOf([preview('original'), preview('linear')], { id: 'view-2', differenceLimit: 100 });
    const shown = await (await stage.show(both, true)).drawn();
    const before = await shown.look();
    await send({ volume: 0, shape, affine });
    await expect.poll(async () => (await shown.words()).state).toContain('(50 %)');
    expect((await shown.look()).unlike(before)).toBe(0);
    await send({ volume: 1, shape, affine });
    await expect.poll(async () => (await shown.words()).state).toBe('full resolution');
    const [x, y] = await shown.pointIn(shown.tile('linear − original'), 0.3, 0.3);
    expect((await shown.look()).on(x, y)).toEqual([255, 255, 255]);
  });

  it('says why the full resolution does not come', async () => {
    const shown = await (await stage.show(bundle, true)).drawn();
    await stage.page.evaluate(() =>
      (window as unknown as { kernels: { lose(): void }[] }).kernels[0]!.lose(),
    );
    await expect.poll(async () => (await shown.words()).state).toContain('the kernel does not answer');
    await stage.tell({ type: 'gone', message: 'the kernel that holds the volume is gone' });
    await expect
      .poll(async () => (await shown.words()).state)
      .toBe('preview of 2.8 × 2.8 × 4.8 mm voxels only: the kernel that holds the volume is gone');
    expect((await stage.kernel()).closed).toBe(true);
    await stage.clear();
    const still = await (await stage.show(bundleOf([preview('ct')]))).drawn();
    expect((await still.words()).state).toContain('the full resolution (0.7 × 0.7 × 1.2 mm) is in');
  });

  it('asks for full resolution around the crosshair where the whole does not fit', async () => {
    const shown = await (await stage.show(bundle, true)).drawn();
    const half = coarser(shape, affine, flat, 2);
    await send({ shape: half.shape, affine: half.affine }, flat);
    await stage.tell({ type: 'complete' });
    await expect
      .poll(async () => (await stage.kernel()).sent.at(-1))
      .toMatchObject({
        type: 'region',
        at: [12, 10, 8],
      });
    const size: Three = [12, 10, 8];
    const corner = [6, 5, 4] as const;
    const place = affine.map((value, at) =>
      at < 12 && at % 4 === 3
        ? value + corner.reduce((sum, k, axis) => sum + k * affine[at - 3 + axis]!, 0)
        : value,
    );
    await send({ region: true, shape: size, affine: place }, (x) => stripes(x + 6));
    await expect
      .poll(async () => (await shown.words()).state)
      .toContain('full resolution near the crosshair');
    const { on } = await shown.look();
    const [y] = [(await shown.pointIn(shown.tile('axial'), 0, 0.55))[1]];
    const row = await Promise.all(
      Array.from({ length: 400 }, (_, i) => shown.pointIn(shown.tile('axial'), 0.15 + i / 580, 0)),
    );
    const greys = row.map(([x]) => on(x, y)[0]);
    expect(greys[0]).toBe(130); // outside of the region
    expect(Math.max(...greys)).toBeGreaterThan(190);
    expect(Math.min(...greys)).toBeLessThan(70);
    expect((await shown.words()).text).toContain(` ${stripes(12)} HU`);
    expect(stage.errors).toEqual([]);
  });
});
