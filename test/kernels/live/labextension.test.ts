import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { INTERACT_MIME } from '../../../src/controls/interact-bundle';
import { WIDGET_MIME } from '../../../src/controls/widget-bundle';
import { type Figure, gridFigure, planGrid, runFigure } from '../../../src/index';
import { FIGURE_MIME } from '../../../src/internal';
import { VOLUMES_MIME } from '../../../src/volumes-bundle';
import { hasChromium, openBrowser } from '../../chromium';
import { controlled } from '../../plot/controlled';
import { measure, useEveryControl } from '../../plot/controls';
import { recordsOf } from '../../plot/samples';
import { type Lab, STAND_IN } from '../lab-stand-in';

describe.skipIf(!hasChromium('the JupyterLab extension'))('the JupyterLab extension', () => {
  let folder = '';
  let browser: Awaited<ReturnType<typeof openBrowser>>;
  const status = { state: 'running', step: 20, steps: 100 };
  const run = { id: 'toy', dir: '/runs/toy' };
  const plain = (figure: Figure) => JSON.parse(JSON.stringify(figure));
  const bundle = (steps: number) => ({
    [FIGURE_MIME]: { figure: plain(runFigure(recordsOf(steps), status)), run },
  });

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'patchwise-lab-'));
    await cp('dist/kernels/browser', folder, { recursive: true });
    await cp(require.resolve('plotly.js-dist-min/plotly.min.js'), join(folder, 'plotly.min.js'));
    const page = `<body style="--jp-content-font-color1: rgb(1, 2, 3)"><script>${STAND_IN}</script><script src="remoteEntry.js"></script></body>`;
    await writeFile(join(folder, 'lab.html'), page);
    browser = await openBrowser();
  });
  afterAll(async () => {
    await browser?.close();
    await rm(folder, { recursive: true, force: true });
  });

  let started: unknown;
  beforeEach(async () => {
    browser.errors.length = 0;
    await browser.page.goto(`file://${join(folder, 'lab.html')}`);
    started = await inPage((lab) => lab.start());
  });

  /** Runs a function with the stand-in in the page. */
  function inPage<T, A = undefined>(
    work: (lab: Lab, argument: A) => T | Promise<T>,
    argument?: A,
  ): Promise<T> {
    const call = ([source, given]: readonly [string, unknown]) => {
      const { lab } = window as unknown as { lab: Lab };
      return new Function(`return (${source})`)()(lab, given) as Promise<unknown>;
    };
    return browser.page.evaluate(call, [String(work), argument] as const) as Promise<T>;
  }

  const render = (data: unknown) => inPage((lab, given) => lab.render(given), data);

  it('is a container that registers a renderer for our type', () => {
    expect(started).toEqual({
      id: 'patchwise:figures',
      requires: 2,
      mime: [FIGURE_MIME, INTERACT_MIME, VOLUMES_MIME, WIDGET_MIME],
    });
  });

  it('draws a still figure with its own Plotly, in the colours of the theme, and opens no comm', async () => {
    await inPage(() => Object.assign(window, { Plotly: 'of somebody else' }));
    await render({ [FIGURE_MIME]: { figure: plain(runFigure(recordsOf(20), status)) } });
    const drawn = await inPage((lab) => ({
      lines: lab.widget.node.querySelectorAll('.scatterlayer .js-line').length,
      color: lab.drawing._fullLayout.font.color,
      global: (window as unknown as { Plotly: unknown }).Plotly,
      comms: lab.kernel.comms.length,
    }));
    expect(drawn).toEqual({ lines: 12, color: 'rgb(1, 2, 3)', global: 'of somebody else', comms: 0 });
    await inPage(async (lab) => {
      document.body.style.setProperty('--jp-content-font-color1', 'rgb(9, 8, 7)');
      lab.themes.themeChanged.emit();
      await lab.frame();
    });
    expect(await inPage((lab) => lab.drawing._fullLayout.font.color)).toBe('rgb(9, 8, 7)');
    expect(browser.errors).toEqual([]);
  });

  it.each(controlled.filter(([name]) => ['volume', 'comparison with two'].includes(name)))(
    'draws the %s so that every control leaves it as large as it was, and does what it is for',
    async (_, figure, expected) => {
      await render({ [FIGURE_MIME]: { figure: plain(figure) } });
      const node = browser.page.locator('.patchwise-figure');
      expect((await measure(node)).node[1]).toBe(figure.layout.height);
      expect(await useEveryControl(node)).toMatchObject(expected);
      expect(browser.errors).toEqual([]);
    },
    180_000,
  );

  it.each(['content-visibility: auto', 'display: none'])(
    'keeps the words of a table where the theme changes while it is out of sight by %s',
    async (hidden) => {
      const figure = gridFigure(planGrid([64, 64, 76], { patch: [32, 32, 16], stride: [24, 24, 12] }));
      await render({ [FIGURE_MIME]: { figure: plain(figure) } });
      const words = () =>
        inPage((lab) => [...lab.widget.node.querySelectorAll('.cell-text')].map((cell) => cell.textContent));
      const before = await words();
      expect(before).toContain('8 to 24');
      await inPage(async (lab, style) => {
        const [spacer, cell] = [document.createElement('p'), document.createElement('div')];
        spacer.style.height = '9000px';
        cell.style.cssText = style!;
        document.body.append(spacer, cell);
        cell.append(lab.widget.node);
        await lab.frame();
        document.body.style.setProperty('--jp-content-font-color1', 'rgb(9, 8, 7)');
        lab.themes.themeChanged.emit();
        await lab.frame();
        cell.style.display = '';
        cell.scrollIntoView();
      }, hidden);
      await expect.poll(() => inPage((lab) => lab.drawing._fullLayout.font.color)).toBe('rgb(9, 8, 7)');
      expect(await words()).toEqual(before);
    },
  );

  it('keeps all rows of a table within reach in a cell of 600 pixels', async () => {
    const [, figure] = controlled.find(([name]) => name === 'comparison with two')!;
    await render({ [FIGURE_MIME]: { figure: plain(figure) } });
    const rows = () =>
      inPage((lab) => {
        const { node } = lab.widget;
        const [table, drawing] = [node.querySelector('.table')!, node.querySelector('.main-svg')!];
        const box = drawing.getBoundingClientRect();
        const cells = [...table.querySelectorAll('.cell-text')].filter((cell) => cell.textContent);
        return {
          words: cells.map((cell) => cell.textContent).sort(),
          outside: cells.filter((cell) => {
            const { left, right, top, bottom } = cell.getBoundingClientRect();
            return left < box.left || right > box.right + 1 || top < box.top || bottom > box.bottom;
          }).length,
          reach: node.scrollWidth >= box.width,
          page: document.documentElement.scrollWidth,
          height: [node.clientHeight, drawing.clientHeight],
        };
      });
    const wide = await rows();
    expect(wide.words.length).toBeGreaterThan(8);
    await browser.page.setViewportSize({ width: 600, height: 900 });
    try {
      await expect.poll(async () => (await rows()).page).toBe(600);
      await inPage((lab) => lab.frame());
      const narrow = await rows();
      expect(narrow).toEqual({ ...wide, outside: 0, reach: true, page: 600 });
      await inPage((lab) => {
        lab.widget.node.scrollLeft = 1e6;
      });
      expect(await inPage((lab) => lab.widget.node.scrollLeft)).toBeGreaterThan(150);
    } finally {
      await browser.page.setViewportSize({ width: 1100, height: 900 });
    }
  });

  it('keeps size, hidden lines and zoom of a live figure while points come in', async () => {
    await render(bundle(20));
    const whole = plain(runFigure(recordsOf(30), status));
    await inPage((lab, figure) => {
      lab.receive({ type: 'figure', figure });
      let step = 30;
      setInterval(() => {
        step++;
        lab.receive(
          step % 5 === 0
            ? { type: 'figure', figure: structuredClone(figure) }
            : { type: 'points', points: { 'patchesPerSecond-train': { x: [step], y: [step % 7] } } },
        );
      }, 150);
    }, whole);
    await inPage((lab) => lab.frame());
    const node = browser.page.locator('.patchwise-figure');
    expect(await useEveryControl(node)).toMatchObject({ button: 2, 'legend entry': 6 });
    expect(browser.errors).toEqual([]);
  }, 180_000);

  it('keeps all panels of a live figure in sight, whatever the kernel sends, until the reader wants four', async () => {
    await render(bundle(20));
    const whole = plain(runFigure(recordsOf(30), status));
    await inPage((lab, figure) => lab.receive({ type: 'figure', figure }), whole);
    await inPage((lab) => lab.frame());
    const node = browser.page.locator('.patchwise-figure');
    const few = (await measure(node)).node[1];
    const panels = () =>
      inPage((lab) => {
        const seen = lab.drawing._fullData.filter(
          ({ type, visible }) => type === 'scatter' && visible === true,
        );
        return new Set(seen.map(({ xaxis }) => xaxis)).size;
      });
    const before = await panels();
    await browser.page.locator('.updatemenu-button').last().click();
    await expect.poll(panels).toBeGreaterThan(before);
    const [many, all] = [await panels(), (await measure(node)).node[1]];
    expect(all).toBeGreaterThan(few + 150);

    // More records, new points with another layout, and a panel that is new.
    const more = recordsOf(40).map((record) => ({ ...record, reconstruction: 0.5 }));
    const later = [recordsOf(34), recordsOf(35), more].map((records) => plain(runFigure(records, status)));
    await inPage((lab, figure) => lab.receive({ type: 'figure', figure }), later[0]);
    await inPage((lab) => lab.frame());
    await inPage(
      (lab, layout) =>
        lab.receive({ type: 'points', points: { 'loss-train-mean': { x: [35], y: [0.2] } }, layout }),
      later[1].layout,
    );
    await inPage((lab) => lab.frame());
    expect([await panels(), (await measure(node)).node[1], (await measure(node)).drawing[1]]).toEqual([
      many,
      all,
      all,
    ]);
    await inPage((lab, figure) => lab.receive({ type: 'figure', figure }), later[2]);
    await expect.poll(panels).toBeGreaterThan(many);

    await browser.page.locator('.updatemenu-button').first().click();
    await expect.poll(async () => (await measure(node)).node[1]).toBe(few);
    await inPage((lab, figure) => lab.receive({ type: 'figure', figure }), later[2]);
    await inPage((lab) => lab.frame());
    expect([await panels(), (await measure(node)).drawing[1]]).toEqual([before, few]);
    expect(browser.errors).toEqual([]);
  }, 60_000);

  it('follows a run over a comm, and keeps the zoom meanwhile', async () => {
    await render(bundle(20));
    expect(await inPage((lab) => lab.kernel.comms.map(({ target, opened }) => ({ target, opened })))).toEqual(
      [{ target: 'patchwise.live', opened: run }],
    );
    await inPage(
      (lab, figure) => lab.receive({ type: 'figure', figure }),
      plain(runFigure(recordsOf(30), status)),
    );
    await inPage((lab) => lab.frame());

    const box = (await browser.page.locator('.nsewdrag').first().boundingBox())!;
    const [x, y] = [box.x + box.width * 0.2, box.y + box.height * 0.2];
    await browser.page.mouse.move(x, y);
    await browser.page.mouse.down();
    await browser.page.mouse.move(x + box.width * 0.2, y + box.height * 0.4, { steps: 4 });
    // What comes in during a drag must not end it.
    await inPage((lab) => lab.receive({ type: 'points', points: { 'loss-train': { x: [31], y: [0.2] } } }));
    await inPage((lab) => lab.frame());
    await browser.page.mouse.move(x + box.width * 0.4, y + box.height * 0.5, { steps: 4 });
    await browser.page.mouse.up();
    await browser.page.waitForTimeout(300);
    const zoomed = await inPage((lab) => lab.drawing._fullLayout.xaxis.range);
    expect(zoomed[1]! - zoomed[0]!).toBeLessThan(20);

    const layout = plain(runFigure(recordsOf(32), { ...status, step: 32 })).layout;
    await inPage((lab) => lab.receive({ type: 'points', points: { 'loss-train': { x: [32], y: [0.2] } } }));
    await inPage((lab, given) => lab.receive({ type: 'points', points: {}, layout: given }), layout);
    await inPage((lab) => lab.frame());
    const after = await inPage((lab) => ({
      range: lab.drawing._fullLayout.xaxis.range,
      steps: lab.drawing.data.find(({ uid }) => uid === 'loss-train')!.x.slice(-3),
      title: lab.widget.node.textContent!.includes('step 32 of 100'),
    }));
    expect(after).toEqual({ range: zoomed, steps: [30, 31, 32], title: true });
    expect(browser.errors).toEqual([]);
  });

  it('opens a comm again after a restart of the kernel, and after the kernel gave it up', async () => {
    await render(bundle(5));
    await inPage(
      (lab, figure) => lab.receive({ type: 'figure', figure }),
      plain(runFigure(recordsOf(5), status)),
    );
    await inPage((lab) => {
      for (const state of ['restarting', 'starting', 'idle']) {
        lab.kernel.status = state;
        lab.session.statusChanged.emit();
      }
    });
    await browser.page.waitForFunction(
      () => (window as unknown as { lab: Lab }).lab.kernel.comms.length === 2,
    );
    await inPage(
      (lab, figure) => lab.receive({ type: 'figure', figure }),
      plain(runFigure(recordsOf(5), status)),
    );
    await inPage((lab) => lab.kernel.comms.at(-1)!.onClose());
    await browser.page.waitForFunction(
      () => (window as unknown as { lab: Lab }).lab.kernel.comms.length === 3,
    );
  });

  it('asks a kernel without live figures only once', async () => {
    await render(bundle(5));
    await inPage((lab) => lab.kernel.comms[0]!.onClose());
    await browser.page.waitForTimeout(200);
    expect(await inPage((lab) => lab.kernel.comms.length)).toBe(1);
  });

  it('stores the last picture when the run ends, and lets go', async () => {
    await render(bundle(5));
    const figure = plain(runFigure(recordsOf(50), { ...status, state: 'done', step: 50 }));
    await inPage((lab, given) => lab.receive({ type: 'figure', figure: given }), figure);
    await inPage((lab) => lab.receive({ type: 'ended' }));
    expect(await inPage((lab) => lab.kernel.comms[0]!.closed)).toBe(true);
    expect(await inPage((lab) => lab.model.stored.length)).toBe(1);
    expect(await inPage((lab, mime) => lab.model.data[mime!]!.figure, FIGURE_MIME)).toEqual(figure);
    await inPage((lab) => lab.widget.dispose());
    expect(browser.errors).toEqual([]);
  });

  it('says why it cannot draw', async () => {
    await rm(join(folder, 'plotly.min.js'));
    await render(bundle(5));
    expect(await inPage((lab) => lab.widget.node.textContent)).toContain('patchwise kernel install');
  });
});
