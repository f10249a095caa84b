import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { notebookToHtml } from '../../../kernels/report/report';
import type { Control, ControlValues } from '../../../src/controls/controls';
import {
  type AnswerOutput,
  INTERACT_MIME,
  interactionBundle,
  type StoredInteraction,
} from '../../../src/controls/interact-bundle';
import { WIDGET_MIME } from '../../../src/controls/widget-bundle';
import { phantom, volumeFigure } from '../../../src/index';
import { FIGURE_MIME, figureBundle } from '../../../src/internal';
import { baseLayout, graphAxis } from '../../../src/plot/base/theme';
import { hasChromium } from '../../chromium';
import { LabPage } from '../lab-page';
import { contrasts } from './contrast';

const controls: readonly Control[] = [
  { kind: 'slider', name: 'overlap', min: 0, max: 0.5, step: 0.005 },
  { kind: 'slider', name: 'z', min: 0, max: 603, step: 1 },
  { kind: 'choice', name: 'window', options: ['linear', 'gaussian'] },
  { kind: 'choice', name: 'size', options: [16, 32] },
  { kind: 'checkbox', name: 'sharp' },
  { kind: 'text', name: 'title "of" it' },
  { kind: 'button', name: 'more', label: 'Another <phantom>' },
];
const values: ControlValues = {
  overlap: 0.25,
  z: 302,
  window: 'linear',
  size: 16,
  sharp: false,
  'title "of" it': 'a "title"',
  more: 0,
};
const ROLES = {
  slider: 'slider',
  choice: 'combobox',
  checkbox: 'checkbox',
  text: 'textbox',
  button: 'button',
} as const;
const html = (text: string): AnswerOutput => ({
  output_type: 'display_data',
  data: { 'text/html': text, 'text/plain': text },
  metadata: {},
});
const stored = (
  outputs: readonly AnswerOutput[] = [html('<p style="height:200px">first</p>')],
): StoredInteraction => ({
  id: 'one',
  controls,
  values,
  answer: 1,
  outputs,
});
const figure = (seed: number): AnswerOutput => ({
  output_type: 'display_data',
  data: JSON.parse(JSON.stringify(figureBundle(volumeFigure(phantom({ shape: [24, 24, 24], seed }))))),
  metadata: {},
});

describe.skipIf(!hasChromium('using controls'))('the controls of an interaction', () => {
  let lab: LabPage;

  beforeAll(async () => {
    const theme = (paper: string, ink: string, quiet: string, mark: string) =>
      `--jp-layout-color1: ${paper}; --jp-content-font-color1: ${ink}; --jp-content-font-color2: ${quiet}; --jp-brand-color1: ${mark};`;
    const css = `body { ${theme('#fff', 'rgba(0, 0, 0, 0.87)', 'rgba(0, 0, 0, 0.54)', '#1976d2')} background: var(--jp-layout-color1); color: var(--jp-content-font-color1); margin: 20px; }
      body[data-jp-theme-light=false] { ${theme('#111', 'rgba(255, 255, 255, 1)', 'rgba(255, 255, 255, 0.7)', '#2196f3')} }`;
    lab = await LabPage.open({ css });
  }, 60_000);
  afterAll(() => lab?.close());
  beforeEach(() => lab.start());

  const render = (one: StoredInteraction, trusted = true) => lab.render(interactionBundle(one), trusted);
  /** The kernel says something. */
  const tell = (news: object) =>
    lab.run(
      async (lab, given) => {
        lab.receive({ type: 'state', running: false, seen: 0, answer: 1, ...given });
        await lab.frame();
      },
      { values, ...news },
    );
  const sent = () => lab.run((lab) => lab.kernel.comms.flatMap((comm) => comm.sent));
  const field = (name: string) => lab.page.locator(`[data-control="${name.replaceAll('"', '\\"')}"]`);
  const answer = () => lab.page.locator('.patchwise-answer');

  it('are labelled, and still until the kernel knows them', async () => {
    await render(stored());
    const { page } = lab;
    expect(await page.getByLabel('overlap').isDisabled()).toBe(true);
    expect(
      await lab.run((lab) => lab.kernel.comms.map(({ target, opened }) => ({ target, opened }))),
    ).toEqual([{ target: 'patchwise.interact', opened: { id: 'one' } }]);
    await tell({});
    for (const { name, kind } of controls) {
      expect(await field(name).isEnabled(), name).toBe(true);
      const label = kind === 'button' ? 'Another <phantom>' : name;
      expect(await page.getByRole(ROLES[kind], { name: label, exact: true }).count(), name).toBe(1);
    }
    expect(await page.getByLabel('overlap').getAttribute('aria-valuetext')).toBe('0.250');
    expect(await answer().textContent()).toBe('first');
    expect(lab.errors).toEqual([]);
  });

  it('tell the kernel of every move, by mouse and by keys', async () => {
    const { page } = lab;
    await render(stored());
    await tell({});
    const slider = (await field('overlap').boundingBox())!;
    await page.mouse.click(slider.x + slider.width - 3, slider.y + slider.height / 2);
    await field('z').focus();
    await page.keyboard.press('ArrowRight');
    await page.keyboard.press('Home');
    await page.keyboard.press('Tab');
    await page.keyboard.press('ArrowDown');
    await field('size').selectOption('32');
    await field('sharp').focus();
    await page.keyboard.press('Space');
    await field('title "of" it').fill('other');
    await page.keyboard.press('Enter');
    await field('more').focus();
    await page.keyboard.press('Enter');
    await field('more').click();
    expect(await sent()).toEqual([
      { type: 'set', values: { overlap: 0.5 } },
      { type: 'set', values: { z: 303 } },
      { type: 'set', values: { z: 0 } },
      { type: 'set', values: { window: 'gaussian' } },
      { type: 'set', values: { size: 32 } },
      { type: 'set', values: { sharp: true } },
      { type: 'set', values: { 'title "of" it': 'other' } },
      { type: 'press', name: 'more' },
      { type: 'press', name: 'more' },
    ]);
    expect(await field('overlap').locator('xpath=following-sibling::span').textContent()).toBe('0.500');
    expect(await field('z').locator('xpath=following-sibling::span').textContent()).toBe('0');
  });

  it('follow the kernel, but for what the reader is moving', async () => {
    await render(stored());
    await tell({});
    await tell({
      values: { ...values, z: 7, window: 'gaussian', sharp: true, 'title "of" it': 'of another page' },
    });
    expect(await field('z').inputValue()).toBe('7');
    expect(await field('window').inputValue()).toBe('1');
    expect(await field('sharp').isChecked()).toBe(true);
    expect(await field('title "of" it').inputValue()).toBe('of another page');
    await field('z').focus();
    for (let i = 0; i < 3; i++) await lab.page.keyboard.press('ArrowRight');
    await tell({ seen: 1, values: { ...values, z: 8 } });
    expect(await field('z').inputValue()).toBe('10');
    await tell({ seen: 3, values: { ...values, z: 10 } });
    await tell({ seen: 3, values: { ...values, z: 4 } });
    expect(await field('z').inputValue()).toBe('4');
    await field('title "of" it').press('End');
    await field('title "of" it').pressSequentially(' and mo');
    await tell({ seen: 3 });
    expect(await field('title "of" it').inputValue()).toBe('a "title" and mo');
  });

  it('stay where the reader moves them while the kernel has heard of none of the moves', async () => {
    await render(stored());
    await tell({});
    await field('z').focus();
    for (let i = 0; i < 3; i++) await lab.page.keyboard.press('ArrowRight');
    await tell({ answer: 2, running: true }); // an answer that began before the first move
    expect(await field('z').inputValue()).toBe('305');
    await tell({ seen: 1, values: { ...values, z: 303 }, running: true });
    expect(await field('z').inputValue()).toBe('305');
    await tell({ seen: 3, values: { ...values, z: 305 } });
    await tell({ seen: 3, values: { ...values, z: 4 } });
    expect(await field('z').inputValue()).toBe('4');
  });

  it('show the next answer also where the one before is never drawn', async () => {
    const esm = 'export default { async render() { await new Promise(() => {}); } }';
    const widget = { id: 'w', esm, css: '', state: {}, buffers: [] };
    const outputs: AnswerOutput[] = [
      { output_type: 'display_data', data: { [WIDGET_MIME]: widget, 'text/plain': 'w' }, metadata: {} },
    ];
    await render(stored());
    await tell({});
    await tell({ answer: 2, outputs });
    // The widget has a comm of its own by now.
    await lab.run(
      (lab, data) => {
        const comm = lab.kernel.comms[0] as unknown as { onMsg(message: object): void };
        comm.onMsg({ content: { data } });
      },
      { type: 'state', running: false, seen: 0, values, answer: 3, outputs: [html('<b>third</b>')] },
    );
    await expect.poll(() => answer().textContent(), { timeout: 10_000 }).toBe('third');
    expect(lab.errors).toEqual([]);
  }, 30_000);

  it('may have any name, and as many options as a reader can bear', async () => {
    const names = ['__proto__', 'constructor', `a "b" 'c' <i>`, '😀', '', 'a\\b'];
    const options = Array.from({ length: 1000 }, (_, at) => `entry ${at} <b>&amp;`);
    const odd: readonly Control[] = [
      ...names.map((name) => ({ kind: 'slider', name, min: 0, max: 9, step: 1 }) as const),
      { kind: 'choice', name: 'toString', options },
    ];
    const own = Object.fromEntries([...names.map((name) => [name, 5]), ['toString', options[7]]]);
    // As JSON: Playwright's own way to the page loses `__proto__`.
    const texts = [
      JSON.stringify(interactionBundle({ ...stored(), controls: odd, values: own })),
      JSON.stringify(own),
    ];
    await lab.run(async (lab, [bundle, given]) => {
      await lab.render(JSON.parse(bundle!));
      await lab.frame();
      lab.receive({ type: 'state', running: false, seen: 0, answer: 1, values: JSON.parse(given!) });
      await lab.frame();
    }, texts);
    const fields = lab.page.locator('.patchwise-controls [data-control]');
    expect(await fields.count()).toBe(7);
    for (let at = 0; at < 6; at++) {
      expect(await fields.nth(at).inputValue(), names[at]).toBe('5');
      await fields.nth(at).focus();
      await lab.page.keyboard.press('ArrowRight');
    }
    const chosen = fields.nth(6).evaluate((node: HTMLSelectElement) => node.selectedOptions[0]!.text);
    expect(await chosen).toBe(options[7]);
    await fields.nth(6).selectOption({ index: 999 });
    const told = await lab.run((lab) => JSON.stringify(lab.kernel.comms[0]!.sent));
    const moves = (JSON.parse(told) as { values: object }[]).map(
      ({ values: moved }) => Object.entries(moved)[0],
    );
    expect(moves).toEqual([...names.map((name) => [name, 6]), ['toString', options[999]]]);
    expect(await lab.page.locator('.patchwise-controls :is(i, b)').count()).toBe(0);
    expect(lab.errors).toEqual([]);
  });

  it('replace the result in place: a figure is drawn by the same node, and nothing below jumps', async () => {
    const { page } = lab;
    await render(stored([figure(1)]));
    await tell({});
    await page.locator('.main-svg').first().waitFor({ state: 'attached' });
    await lab.run((lab) => {
      const watched = window as unknown as { heights: number[] };
      watched.heights = [];
      const { node } = lab.widget;
      const watch = (): void => {
        watched.heights.push(node.offsetHeight);
        requestAnimationFrame(watch);
      };
      lab.drawing.dataset.mark = 'the same';
      watch();
    });
    const picture = () => page.locator('.hm image').first().getAttribute('href');
    const before = await picture();
    for (let n = 2; n < 8; n++) await tell({ answer: n, outputs: [figure(n)] });
    await expect.poll(picture).not.toBe(before);
    expect(await lab.run((lab) => lab.drawing.dataset.mark)).toBe('the same');
    await tell({
      answer: 9,
      outputs: [
        html('<p style="height:900px">text</p>'),
        { output_type: 'stream', name: 'stderr', text: 'printed' },
      ],
    });
    await tell({ answer: 10, outputs: [figure(1)] });
    await page.locator('.main-svg').first().waitFor({ state: 'attached' });
    const heights = await page.evaluate(() => (window as unknown as { heights: number[] }).heights);
    expect(Math.min(...heights)).toBeGreaterThan(400);
    expect(await page.locator('.plain').count()).toBe(0);
    expect(lab.errors).toEqual([]);
  }, 60_000);

  const line = (y: readonly number[], title = 'y'): AnswerOutput => {
    const layout = {
      ...baseLayout('a line', 300),
      xaxis: graphAxis('x'),
      yaxis: graphAxis(title),
      showlegend: true,
    };
    const drawn = { data: [{ type: 'scatter', x: [0, 1, 2, 3], y, name: 'line' }], layout };
    return { output_type: 'display_data', data: { [FIGURE_MIME]: { figure: drawn } }, metadata: {} };
  };

  it('have words that can be read in an answer that stands while the theme changes, and in the next', async () => {
    const { page } = lab;
    await render(stored([line([1, 3, 2, 4])]));
    await tell({});
    await answer().locator('.xtick text').first().waitFor({ state: 'attached' });
    const bad = () => contrasts(page, '.patchwise-answer');
    const ink = () => lab.run((jupyter) => jupyter.drawing._fullLayout.font.color);
    expect(await answer().locator('svg text').count()).toBeGreaterThan(8);
    expect(await bad()).toEqual([]);
    await lab.run((jupyter) => jupyter.switchTheme(true));
    expect(await ink()).toBe('rgba(255, 255, 255, 1)');
    expect(await bad()).toEqual([]);
    await tell({ answer: 2, outputs: [line([4, 3, 2, 1])] });
    expect(await bad()).toEqual([]);
    await lab.run((jupyter) => jupyter.switchTheme(false));
    expect(await ink()).toBe('rgba(0, 0, 0, 0.87)');
    expect(await bad()).toEqual([]);
    // The test itself sees words that cannot be read.
    await page.evaluate(() => document.body.setAttribute('data-jp-theme-light', 'false'));
    expect((await bad()).length).toBeGreaterThan(8);
  });

  it('keep the zoom of a figure from answer to answer, where its axes mean the same', async () => {
    const { page } = lab;
    await render(stored([line([1, 3, 2, 4])]));
    await tell({});
    await answer().locator('.nsewdrag').first().waitFor({ state: 'attached' });
    const range = () =>
      lab.run((jupyter) => jupyter.drawing._fullLayout.xaxis.range.map((one) => one.toFixed(3)).join());
    const whole = await range();
    const box = (await answer().locator('.nsewdrag').first().boundingBox())!;
    await page.mouse.move(box.x + 0.3 * box.width, box.y + 0.3 * box.height);
    await page.mouse.down();
    await page.mouse.move(box.x + 0.6 * box.width, box.y + 0.7 * box.height, { steps: 4 });
    await page.mouse.up();
    await expect.poll(range).not.toBe(whole);
    const zoomed = await range();
    await page.waitForTimeout(200);
    for (let n = 2; n < 6; n++) await tell({ answer: n, outputs: [line([n, 3, 2, 4])] });
    expect(await range()).toBe(zoomed);
    await lab.run((jupyter) => jupyter.switchTheme(true));
    await tell({ answer: 6, outputs: [line([9, 3, 2, 4])] });
    expect(await range()).toBe(zoomed);
    const yRange = () => lab.run((jupyter) => jupyter.drawing._fullLayout.yaxis.range[1]!);
    await tell({ answer: 7, outputs: [line([900, 300, 200, 400], 'another quantity')] });
    expect(await yRange()).toBeGreaterThan(850);
  });

  it('draw of 50 answers that come at once only some, and the last', async () => {
    await render(stored());
    await tell({});
    await lab.run(async (lab, given) => {
      for (let n = 2; n <= 51; n++)
        lab.receive({
          type: 'state',
          running: n < 51,
          seen: 0,
          values: given,
          answer: n,
          outputs: [{ output_type: 'display_data', data: { 'text/html': `<b>${n}</b>` }, metadata: {} }],
        });
      await lab.frame();
    }, values);
    expect(await answer().textContent()).toBe('51');
    expect(await lab.run((lab) => lab.widget.node.querySelectorAll('.plain').length)).toBe(1);
  });

  it('show what is printed and errors, and that an answer is made', async () => {
    await render(stored());
    await tell({ running: true });
    expect(await answer().getAttribute('aria-busy')).toBe('true');
    const error = {
      output_type: 'error',
      ename: 'RangeError',
      evalue: 'x',
      traceback: ['RangeError: x', 'Cell [3]:2:1'],
    };
    await tell({ answer: 2, outputs: [{ output_type: 'stream', name: 'stdout', text: 'printed' }, error] });
    expect(await answer().getAttribute('aria-busy')).toBe('false');
    const parts = await lab.run((lab) =>
      [...lab.widget.node.querySelectorAll<HTMLElement>('.plain')].map((node) => [
        node.dataset.type,
        node.textContent,
      ]),
    );
    expect(parts).toEqual([
      ['application/vnd.jupyter.stdout', 'printed'],
      ['application/vnd.jupyter.stderr', 'RangeError: x\nCell [3]:2:1'],
    ]);
  });

  it('let the answer show another run in the place of the first', async () => {
    await render(stored());
    const showRun = (answer: number, id: string) =>
      lab.run(
        (lab, [number, run, state]) => {
          const data = { 'application/vnd.patchwise.figure+json': { figure: { data: [], layout: {} }, run } };
          const outputs = [{ output_type: 'display_data', data, metadata: {} }];
          const comm = lab.kernel.comms[0] as unknown as { onMsg(message: object): void };
          const news = { type: 'state', running: false, seen: 0, values: state, answer: number, outputs };
          comm.onMsg({ content: { data: news } });
        },
        [answer, { id, dir: `/runs/${id}` }, values] as const,
      );
    const followed = () =>
      lab.run((lab) =>
        lab.kernel.comms
          .slice(1)
          .map(({ opened, closed = false }) => [(opened as { id: string }).id, closed]),
      );
    await showRun(2, 'a');
    await expect.poll(followed, { timeout: 20_000 }).toEqual([['a', false]]);
    await showRun(3, 'b');
    await expect.poll(followed, { timeout: 20_000 }).toEqual([
      ['a', true],
      ['b', false],
    ]);
  });

  it('keep the notebook up to date where the kernel does not', async () => {
    await render(stored());
    const news = { seen: 0, values: { ...values, z: 5 }, answer: 4, outputs: [html('<i>fourth</i>')] };
    await tell(news);
    await expect.poll(() => lab.run((lab) => lab.model.stored.length), { timeout: 10_000 }).toBe(1);
    const kept = (await lab.run((lab) => lab.model.stored[0]))!;
    expect(kept).toEqual(
      interactionBundle({ ...stored([html('<i>fourth</i>')]), values: news.values, answer: 4 }),
    );
    await tell({ ...news, outputs: undefined });
    await lab.page.waitForTimeout(3000);
    expect(await lab.run((lab) => lab.model.stored.length)).toBe(1);
  }, 30_000);

  it('are still, and say so, once the kernel is gone', async () => {
    await render(stored());
    await tell({});
    await lab.run((lab) => lab.receive({ type: 'gone' }));
    expect(await field('z').isDisabled()).toBe(true);
    expect(await lab.page.getByRole('status').textContent()).toContain('run the cell again');
    expect(await answer().textContent()).toBe('first');
    expect(await lab.run((lab) => lab.kernel.comms[0]!.closed)).toBe(true);
    await lab.run((lab) => lab.widget.dispose());
    expect(lab.errors).toEqual([]);
  });

  it('draw the answer of an untrusted notebook by its safe forms only', async () => {
    await render(
      stored([
        { ...html('<b>x</b>'), data: { 'application/x-script': 'x', 'text/plain': 'plain' } } as AnswerOutput,
      ]),
      false,
    );
    expect(await answer().textContent()).toBe('plain');
  });

  it.each(['light', 'dark'] as const)('can be read in JupyterLab and in a report, %s', async (theme) => {
    const { page } = lab;
    await render(stored([html('<p>The answer.</p>')]));
    await tell({});
    await page.evaluate(
      (dark) => document.body.setAttribute('data-jp-theme-light', String(!dark)),
      theme === 'dark',
    );
    await picture(`interact-lab-${theme}`);
    expect(await contrasts(page, '.patchwise-interact')).toEqual([]);
    await lab.run((lab) => lab.receive({ type: 'gone' }));
    await picture(`interact-gone-${theme}`);
    expect(await contrasts(page, '.patchwise-interact')).toEqual([]);

    await page.emulateMedia({ colorScheme: theme });
    await report([figure(3)]);
    await picture(`interact-report-${theme}`);
    expect(await contrasts(page, '.patchwise-controls, .note')).toEqual([]);
  });

  it('are still in a report, with the answer below them', async () => {
    const { page } = lab;
    await report([{ output_type: 'stream', name: 'stdout', text: 'printed' }, figure(3)]);
    for (const { name } of controls) expect(await field(name).isDisabled(), name).toBe(true);
    expect(await field('overlap').inputValue()).toBe('50');
    expect(await field('title "of" it').inputValue()).toBe('a "title"');
    expect(await field('window').evaluate((node: HTMLSelectElement) => node.selectedOptions[0]!.text)).toBe(
      'linear',
    );
    await page.locator('.interaction .figure .main-svg').first().waitFor({ state: 'attached' });
    expect(await page.locator('.interaction pre').first().textContent()).toBe('printed');
    expect(lab.errors).toEqual([]);
  });

  it('of a damaged or hostile notebook do no harm to its report', async () => {
    const hostile = '<img src=x onerror="document.title=1">';
    const odd: unknown[] = [
      null,
      { ...stored(), controls: [null] },
      { ...stored(), outputs: [7] },
      {
        ...stored(),
        controls: [
          { kind: 'choice', name: hostile, options: [hostile] },
          { kind: 'button', name: hostile, label: hostile },
        ],
      },
      {
        ...stored(),
        controls: [{ kind: 'text', name: `"${hostile}` }],
        values: { [`"${hostile}`]: `"${hostile}` },
        outputs: [html(hostile)],
      },
      { ...stored(), controls: [{ kind: 'slider', name: 'a', min: 0, max: 1, step: 0 }], values: {} },
      { ...stored(), controls: [{ kind: 'choice', name: 'a', options: [{ toString: 1 }] }], values: {} },
      { ...stored(), controls: [{ kind: 'text', name: 'a' }], values: { a: { toString: 1, valueOf: 1 } } },
    ];
    await reportOf(odd.map((one) => ({ [INTERACT_MIME]: one, 'text/plain': 'plain' })));
    expect(await lab.page.title()).toBe('Notebook');
    expect(await lab.page.locator('[onerror]').count()).toBe(0);
    expect(await lab.page.locator('pre.output', { hasText: 'plain' }).count()).toBe(5);
  });

  function report(outputs: readonly AnswerOutput[]): Promise<void> {
    return reportOf([interactionBundle(stored(outputs))]);
  }

  async function reportOf(bundles: readonly Record<string, unknown>[]): Promise<void> {
    const outputs = bundles.map((data) => ({ output_type: 'display_data' as const, data, metadata: {} }));
    const cell = { cell_type: 'code' as const, source: 'pw.interact(…)', metadata: {}, outputs };
    const text = await notebookToHtml({ cells: [cell], metadata: {}, nbformat: 4, nbformat_minor: 5 });
    await writeFile(join(lab.folder, 'report.html'), text);
    await lab.goTo('report.html');
  }

  async function picture(name: string): Promise<void> {
    const into = process.env.PATCHWISE_SCREENSHOTS;
    if (!into) return;
    await mkdir(into, { recursive: true });
    await lab.page.screenshot({ path: join(into, `${name}.png`) });
  }
});
