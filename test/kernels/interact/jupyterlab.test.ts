import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Locator, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Notebook } from '../../../kernels/headless/notebook';
import { INTERACT_MIME, type StoredInteraction } from '../../../src/controls/interact-bundle';
import { type StoredWidget, WIDGET_MIME } from '../../../src/controls/widget-bundle';
import { hasChromium, openBrowser } from '../../chromium';
import { JupyterLab, kernelStatus, menu, open, picture, python, takeTheme } from '../live/jupyterlab';
import { contrasts } from './contrast';

/* Controls and a widget in a real JupyterLab. What it needs is told in ../live/jupyterlab.test.ts. */
const sources = [
  `import * as pw from 'patchwise';
let [calls, now, most] = [0, 0, 0];
const chosen = pw.interact(
  { z: [0, 300], kind: ['figure', 'text', 'slow', 'error'], round: false, name: 'a', more: pw.button('More') },
  async ({ z, kind, round, name, more }) => {
    calls++;
    most = Math.max(most, ++now);
    await new Promise((done) => setTimeout(done, 15));
    now--;
    if (kind === 'slow') await new Promise(() => {});
    if (kind === 'error') throw new RangeError('no such thing');
    const words = [z, round, name, more].join(' ');
    console.log('answer:', words);
    if (kind === 'text') return pw.html('<b class="own">' + words + '</b>');
    const line = { type: 'scatter', x: [0, 1, 2], y: [z, round ? 0 : 150, 300 - z], mode: 'lines' };
    return new pw.Figure([line], { ...pw.baseLayout(words, 360), showlegend: false }, words);
  },
);
chosen`,
  `const counter = pw.widget({
  state: { count: 0, pixels: new Uint8Array([1, 2, 3]) },
  css: '.count { font-size: 16px; }',
  esm: \`export default { render({ model, el }) {
    const button = document.createElement('button');
    button.className = 'count';
    const show = () => { button.textContent = 'count ' + model.get('count') + ' of ' + model.get('pixels').byteLength; };
    button.onclick = () => { model.set('count', model.get('count') + 1); model.save_changes(); };
    for (const name of ['count', 'pixels']) model.on('change:' + name, show);
    show();
    el.append(button);
  } }\`,
});
counter`,
  'console.log(JSON.stringify([chosen.values.z, calls > 5, most, counter.get("count")]))',
  'counter.set({ pixels: new Uint8Array(counter.get("count") + 10) })',
];

/** A volume of 2 MB for each value of a slider, and what the kernel holds. */
const volumes = [
  `import * as pw from 'patchwise';
pw.interact({ seed: [0, 300], kind: ['figure', 'volume'] }, ({ seed, kind }) => {
  if (kind === 'figure') return new pw.Figure([{ type: 'scatter', y: [seed, 1, 2] }], pw.baseLayout('y', 300), 'y');
  const ct = pw.phantom({ shape: [16, 16, 16], seed });
  return { ...ct, shape: [80, 80, 80], data: new Float32Array(80 ** 3).map((_, at) => ct.data[(at + seed) % ct.data.length]!) };
})`,
  `const collect = (globalThis as { collect?: () => void }).collect ?? (() => {
  require('node:v8').setFlagsFromString('--expose-gc');
  return require('node:vm').runInNewContext('gc') as () => void;
})();
for (let i = 0; i < 6; i++) { collect(); await new Promise((done) => setTimeout(done, 20)); }
const { heapUsed, arrayBuffers } = process.memoryUsage();
console.log(heapUsed + arrayBuffers);`,
];

describe.skipIf(!python || !hasChromium('interact in JupyterLab'))('interact in JupyterLab', () => {
  let folder = '';
  let lab: JupyterLab;
  let browser: Awaited<ReturnType<typeof openBrowser>>;
  let page: Page;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'patchwise-interact-'));
    lab = await JupyterLab.start(folder, { 'interact.ipynb': sources, 'volumes.ipynb': volumes });
    browser = await openBrowser({ webGl: true });
    ({ page } = browser);
    await page.setViewportSize({ width: 1400, height: 1000 });
  }, 120_000);
  afterAll(async () => {
    await browser?.close();
    await lab?.stop();
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  }, 60_000);

  const field = (name: string, of = page): Locator => of.locator(`[data-control="${name}"]`);
  const answer = (of = page): Locator => of.locator('.patchwise-answer');
  const button = (of = page): Locator => of.locator('.patchwise-widget button');
  const figure = (): Locator => answer().locator('.patchwise-figure');
  const says = (words: string, of = page) =>
    expect.poll(() => answer(of).textContent(), { timeout: 30_000 }).toContain(`answer: ${words}`);
  const box = async (one: Locator) => (await one.boundingBox())!;
  const line = () => figure().locator('.js-line').getAttribute('d');
  const saved = async () => {
    await menu(page, 'File', 'Save Notebook');
    await page.waitForTimeout(1500);
    const text = await readFile(join(folder, 'notebooks', 'interact.ipynb'), 'utf8');
    const [interaction, widget] = (JSON.parse(text) as Notebook).cells.map(
      ({ outputs }) => (outputs?.at(-1) as { data: Record<string, unknown> } | undefined)?.data,
    );
    return {
      interaction: interaction?.[INTERACT_MIME] as StoredInteraction,
      text: String(interaction?.['text/plain']),
      widget: widget?.[WIDGET_MIME] as StoredWidget,
    };
  };
  const run = async (cell: number): Promise<string> => {
    const code = page.locator('.jp-Notebook .jp-CodeCell').nth(cell);
    await code.locator('.cm-content').click();
    await page.keyboard.press('Control+Enter');
    await page.waitForTimeout(1500);
    await expect.poll(() => kernelStatus(page)).toBe('idle');
    return (await code.locator('.jp-OutputArea-output').allTextContents()).join('\n').trim();
  };

  it('answers every control in place, follows a fast slider to its end, and lives on', async () => {
    await open(page, `${lab.url}/lab/tree/interact.ipynb?reset`);
    await menu(page, 'Run', 'Run All Cells');
    await figure().locator('.main-svg').first().waitFor({ state: 'attached', timeout: 90_000 });
    await says('150 false a 0');
    await expect.poll(() => field('z').isEnabled(), { timeout: 30_000 }).toBe(true);
    await field('z').scrollIntoViewIfNeeded();
    await picture(page, 'interact-light');

    // Each control, and what it does to the figure. The figure keeps its node and its box.
    await figure().evaluate((node) => {
      node.dataset.mark = 'the same';
    });
    const before = await box(figure());
    let drawn = await line();
    const moved = async (words: string, changes = true): Promise<void> => {
      await says(words);
      if (changes) await expect.poll(line).not.toBe(drawn);
      drawn = await line();
      const after = await box(figure());
      expect(Math.abs(after.height - before.height)).toBeLessThan(before.height * 0.02);
      expect(Math.abs(after.width - before.width)).toBeLessThan(before.width * 0.02);
      expect(await figure().getAttribute('data-mark')).toBe('the same');
    };
    await field('z').focus();
    await page.keyboard.press('ArrowRight');
    await moved('151 false a 0');
    await field('round').click();
    await moved('151 true a 0');
    await field('name').fill('b');
    await page.keyboard.press('Enter');
    await moved('151 true b 0', false);
    await field('more').click();
    await field('more').focus();
    await page.keyboard.press('Enter');
    await moved('151 true b 2', false);
    await field('kind').selectOption('text');
    await expect.poll(() => answer().locator('b.own').textContent()).toBe('151 true b 2');
    expect(await figure().count()).toBe(0);
    await field('kind').selectOption('error');
    await expect.poll(() => answer().textContent()).toMatch(/RangeError: no such thing[\s\S]*Cell \[1\]:11/);
    await field('kind').selectOption('figure');
    await figure().locator('.main-svg').first().waitFor({ state: 'attached' });

    // 200 moves of a mouse, as fast as it can.
    const slider = await box(field('z'));
    await page.mouse.move(slider.x + slider.width / 2, slider.y + slider.height / 2);
    await page.mouse.down();
    const heights: number[] = [];
    for (let step = 0; step <= 200; step++) {
      await page.mouse.move(slider.x + 10 + (slider.width - 20) * (step / 200), slider.y + 5);
      if (step % 20 === 0) heights.push((await box(figure())).height);
    }
    await page.mouse.up();
    const last = await field('z').evaluate((node: HTMLInputElement) => node.nextElementSibling!.textContent);
    expect(Number(last)).toBeGreaterThan(280);
    await says(`${last} true b 2`);
    expect(await answer().getAttribute('aria-busy')).toBe('false');
    for (const height of heights) expect(Math.abs(height - before.height)).toBeLessThan(before.height * 0.02);
    expect(await run(2)).toBe(`[${last},true,1,0]`);

    // An interrupt ends an answer that never comes.
    await field('kind').selectOption('slow');
    await expect.poll(() => answer().getAttribute('aria-busy')).toBe('true');
    await page.waitForTimeout(500);
    await menu(page, 'Kernel', 'Interrupt Kernel');
    await expect.poll(() => answer().textContent(), { timeout: 20_000 }).toContain('Interrupted');
    await field('kind').selectOption('figure');
    await says(`${last} true b 2`);

    // The widget.
    await button().click();
    await button().click();
    expect(await button().textContent()).toBe('count 2 of 10');
    expect(await run(2)).toBe(`[${last},true,1,2]`);
    await run(3);
    await expect.poll(() => button().textContent()).toBe('count 2 of 12');
    await expect
      .poll(async () => (await saved()).interaction.values.z, { timeout: 20_000 })
      .toBe(Number(last));
    expect((await saved()).widget.state).toEqual({ count: 2, pixels: null });

    // A reloaded page, then a second one beside it.
    await page.goto(`${lab.url}/lab/tree/interact.ipynb`);
    await expect.poll(() => field('z').isEnabled(), { timeout: 90_000 }).toBe(true);
    await says(`${last} true b 2`);
    await field('z').focus();
    await page.keyboard.press('Home');
    await page.keyboard.press('ArrowRight');
    await says('1 true b 2');
    await expect.poll(() => button().textContent()).toBe('count 2 of 12');
    await button().click();
    const second = await browser.context.newPage();
    await open(second, `${lab.url}/lab/workspaces/second/tree/interact.ipynb?reset`);
    await expect.poll(() => field('z', second).isEnabled(), { timeout: 90_000 }).toBe(true);
    await field('z').focus();
    await page.keyboard.press('ArrowRight');
    await says('2 true b 2', second);
    await field('round', second).click();
    await says('2 false b 2');
    await expect.poll(() => field('round').isChecked()).toBe(false);
    await expect.poll(() => button(second).textContent()).toBe('count 3 of 12');
    await button(second).click();
    await expect.poll(() => button().textContent()).toBe('count 4 of 12');
    await second.close();

    // Nothing but this page tells the notebook now, for the display was made before it was loaded.
    await page.waitForTimeout(4000);
    const stored = await saved();
    expect(stored.interaction.values).toMatchObject({ z: 2, round: false });
    expect(stored.text).toContain('z = 2');
    expect(stored.widget.state).toMatchObject({ count: 4 });
  }, 400_000);

  it('can be read in the dark, and is still without its kernel', async () => {
    await page.evaluate(() => (document.activeElement as HTMLElement | null)?.blur());
    expect(await contrasts(page, '.patchwise-controls')).toEqual([]);
    await takeTheme(page, 'JupyterLab Dark');
    await page.waitForTimeout(1500);
    await field('z').scrollIntoViewIfNeeded();
    await picture(page, 'interact-dark');
    expect(await answer().locator('svg text').count()).toBeGreaterThan(5);
    await expect.poll(() => contrasts(page, '.patchwise-controls, .patchwise-answer')).toEqual([]);
    await field('z').focus();
    await page.keyboard.press('ArrowRight');
    await says('3 false b 2');
    await page.keyboard.press('ArrowLeft');
    await says('2 false b 2');
    expect(await contrasts(page, '.patchwise-answer')).toEqual([]);
    await takeTheme(page, 'JupyterLab Light');

    await menu(page, 'Kernel', 'Restart Kernel…');
    await page.locator('.jp-Dialog .jp-mod-accept').click();
    await expect
      .poll(() => page.locator('.patchwise-interact-note').textContent(), { timeout: 60_000 })
      .toContain('run the cell again');
    expect(await field('z').isDisabled()).toBe(true);
    expect(await field('z').inputValue()).toBe('2');
    await says('2 false b 2');
    await picture(page, 'interact-still');
    await run(0);
    await says('150 false a 0');
    expect(await field('z').isEnabled()).toBe(true);
  }, 240_000);

  it('holds no more memory after 200 moves than before, in the page and in the kernel, also with volumes', async () => {
    await open(page, `${lab.url}/lab/tree/volumes.ipynb?reset`);
    await menu(page, 'Run', 'Run All Cells');
    const devtools = await page.context().newCDPSession(page);
    const heaps = async (): Promise<{ page: number; kernel: number }> => {
      const [kernel] = /\d+/.exec(await run(1))!;
      await devtools.send('HeapProfiler.collectGarbage');
      const { usedSize } = await devtools.send('Runtime.getHeapUsage');
      return { page: usedSize, kernel: Number(kernel) };
    };
    await expect.poll(() => field('seed').isEnabled(), { timeout: 60_000 }).toBe(true);
    for (const kind of ['figure', 'volume']) {
      await field('kind').selectOption(kind);
      const move = async (moves: number): Promise<void> => {
        await field('seed').focus();
        for (let at = 0; at < moves; at++) await page.keyboard.press(at % 2 ? 'ArrowRight' : 'ArrowLeft');
        await expect.poll(() => answer().getAttribute('aria-busy'), { timeout: 60_000 }).toBe('false');
        await page.waitForTimeout(1000);
      };
      await move(40);
      const before = await heaps();
      await move(200);
      const after = await heaps();
      expect(after.kernel - before.kernel, `${kind} in the kernel`).toBeLessThan(6e6);
      expect(after.page - before.page, `${kind} on the page`).toBeLessThan(6e6);
    }
  }, 400_000);
});
