import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { INTERACT_MIME } from '../../../src/controls/interact-bundle';
import { WIDGET_MIME } from '../../../src/controls/widget-bundle';
import { type Figure, gridFigure, planGrid, runFigure } from '../../../src/index';
import { FIGURE_MIME } from '../../../src/internal';
import { VOLUMES_MIME } from '../../../src/volumes-bundle';
import { hasChromium } from '../../chromium';
import { controlled } from '../../plot/controlled';
import { measure, useEveryControl } from '../../plot/controls';
import { recordsOf } from '../../plot/samples';
import { LabPage } from '../lab-page';
import type { Lab } from '../lab-stand-in';

describe.skipIf(!hasChromium('the JupyterLab extension'))('the JupyterLab extension', () => {
  let lab: LabPage;
  const status = { state: 'running', step: 20, steps: 100 };
  const run = { id: 'toy', dir: '/runs/toy' };
  const plain = (figure: Figure) => JSON.parse(JSON.stringify(figure));
  const bundle = (steps: number) => ({
    [FIGURE_MIME]: { figure: plain(runFigure(recordsOf(steps), status)), run },
  });

  let started: unknown;
  beforeAll(async () => {
    lab = await LabPage.open({ css: 'body { --jp-content-font-color1: rgb(1, 2, 3) }' });
  });
  afterAll(() => lab?.close());
  beforeEach(async () => {
    started = await lab.start();
  });

  it('is a container that registers a renderer for our type', () => {
    expect(started).toEqual({
      id: 'patchwise:figures',
      requires: 2,
      mime: [FIGURE_MIME, INTERACT_MIME, VOLUMES_MIME, WIDGET_MIME],
    });
  });

  it('draws a still figure with its own Plotly, in the colours of the theme, and opens no comm', async () => {
    await lab.run(() => Object.assign(window, { Plotly: 'of somebody else' }));
    await lab.render({ [FIGURE_MIME]: { figure: plain(runFigure(recordsOf(20), status)) } });
    const drawn = await lab.run((lab) => ({
      lines: lab.widget.node.querySelectorAll('.scatterlayer .js-line').length,
      color: lab.drawing._fullLayout.font.color,
      global: (window as unknown as { Plotly: unknown }).Plotly,
      comms: lab.kernel.comms.length,
    }));
    expect(drawn).toEqual({ lines: 12, color: 'rgb(1, 2, 3)', global: 'of somebody else', comms: 0 });
    await lab.run(async (lab) => {
      document.body.style.setProperty('--jp-content-font-color1', 'rgb(9, 8, 7)');
      lab.themes.themeChanged.emit();
      await lab.frame();
    });
    expect(await lab.run((lab) => lab.drawing._fullLayout.font.color)).toBe('rgb(9, 8, 7)');
    expect(lab.errors).toEqual([]);
  });

  it.each(controlled.filter(([name]) => ['volume', 'comparison with two'].includes(name)))(
    'draws the %s so that every control leaves it as large as it was, and does what it is for',
    async (_, figure, expected) => {
      await lab.render({ [FIGURE_MIME]: { figure: plain(figure) } });
      const node = lab.page.locator('.patchwise-figure');
      expect((await measure(node)).node[1]).toBe(figure.layout.height);
      expect(await useEveryControl(node)).toMatchObject(expected);
      expect(lab.errors).toEqual([]);
    },
    180_000,
  );

  it.each(['content-visibility: auto', 'display: none'])(
    'keeps the words of a table where the theme changes while it is out of sight by %s',
    async (hidden) => {
      const figure = gridFigure(planGrid([64, 64, 76], { patch: [32, 32, 16], stride: [24, 24, 12] }));
      await lab.render({ [FIGURE_MIME]: { figure: plain(figure) } });
      const words = () =>
        lab.run((lab) => [...lab.widget.node.querySelectorAll('.cell-text')].map((cell) => cell.textContent));
      const before = await words();
      expect(before).toContain('8 to 24');
      await lab.run(async (lab, style) => {
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
      await expect.poll(() => lab.run((lab) => lab.drawing._fullLayout.font.color)).toBe('rgb(9, 8, 7)');
      expect(await words()).toEqual(before);
    },
  );

  it('keeps all rows of a table within reach in a cell of 600 pixels', async () => {
    const [, figure] = controlled.find(([name]) => name === 'comparison with two')!;
    await lab.render({ [FIGURE_MIME]: { figure: plain(figure) } });
    const rows = () =>
      lab.run((lab) => {
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
    await lab.page.setViewportSize({ width: 600, height: 900 });
    try {
      await expect.poll(async () => (await rows()).page).toBe(600);
      await lab.run((lab) => lab.frame());
      const narrow = await rows();
      expect(narrow).toEqual({ ...wide, outside: 0, reach: true, page: 600 });
      await lab.run((lab) => {
        lab.widget.node.scrollLeft = 1e6;
      });
      expect(await lab.run((lab) => lab.widget.node.scrollLeft)).toBeGreaterThan(150);
    } finally {
      await lab.page.setViewportSize({ width: 1100, height: 900 });
    }
  });

  it('keeps size, hidden lines and zoom of a live figure while points come in', async () => {
    await lab.render(bundle(20));
    const whole = plain(runFigure(recordsOf(30), status));
    await lab.run((lab, figure) => {
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
    await lab.run((lab) => lab.frame());
    const node = lab.page.locator('.patchwise-figure');
    expect(await useEveryControl(node)).toMatchObject({ button: 2, 'legend entry': 6 });
    expect(lab.errors).toEqual([]);
  }, 180_000);

  it('keeps all panels of a live figure in sight, whatever the kernel sends, until the reader wants four', async () => {
    await lab.render(bundle(20));
    const whole = plain(runFigure(recordsOf(30), status));
    await lab.run((lab, figure) => lab.receive({ type: 'figure', figure }), whole);
    await lab.run((lab) => lab.frame());
    const node = lab.page.locator('.patchwise-figure');
    const few = (await measure(node)).node[1];
    const panels = () =>
      lab.run((lab) => {
        const seen = lab.drawing._fullData.filter(
          ({ type, visible }) => type === 'scatter' && visible === true,
        );
        return new Set(seen.map(({ xaxis }) => xaxis)).size;
      });
    const before = await panels();
    await lab.page.locator('.updatemenu-button').last().click();
    await expect.poll(panels).toBeGreaterThan(before);
    const [many, all] = [await panels(), (await measure(node)).node[1]];
    expect(all).toBeGreaterThan(few + 150);

    // More records, new points with another layout, and a panel that is new.
    const more = recordsOf(40).map((record) => ({ ...record, reconstruction: 0.5 }));
    const later = [recordsOf(34), recordsOf(35), more].map((records) => plain(runFigure(records, status)));
    await lab.run((lab, figure) => lab.receive({ type: 'figure', figure }), later[0]);
    await lab.run((lab) => lab.frame());
    await lab.run(
      (lab, layout) =>
        lab.receive({ type: 'points', points: { 'loss-train-mean': { x: [35], y: [0.2] } }, layout }),
      later[1].layout,
    );
    await lab.run((lab) => lab.frame());
    expect([await panels(), (await measure(node)).node[1], (await measure(node)).drawing[1]]).toEqual([
      many,
      all,
      all,
    ]);
    await lab.run((lab, figure) => lab.receive({ type: 'figure', figure }), later[2]);
    await expect.poll(panels).toBeGreaterThan(many);

    await lab.page.locator('.updatemenu-button').first().click();
    await expect.poll(async () => (await measure(node)).node[1]).toBe(few);
    await lab.run((lab, figure) => lab.receive({ type: 'figure', figure }), later[2]);
    await lab.run((lab) => lab.frame());
    expect([await panels(), (await measure(node)).drawing[1]]).toEqual([before, few]);
    expect(lab.errors).toEqual([]);
  }, 60_000);

  it('follows a run over a comm, and keeps the zoom meanwhile', async () => {
    await lab.render(bundle(20));
    expect(
      await lab.run((lab) => lab.kernel.comms.map(({ target, opened }) => ({ target, opened }))),
    ).toEqual([{ target: 'patchwise.live', opened: run }]);
    await lab.run(
      (lab, figure) => lab.receive({ type: 'figure', figure }),
      plain(runFigure(recordsOf(30), status)),
    );
    await lab.run((lab) => lab.frame());

    const box = (await lab.page.locator('.nsewdrag').first().boundingBox())!;
    const [x, y] = [box.x + box.width * 0.2, box.y + box.height * 0.2];
    await lab.page.mouse.move(x, y);
    await lab.page.mouse.down();
    await lab.page.mouse.move(x + box.width * 0.2, y + box.height * 0.4, { steps: 4 });
    // What comes in during a drag must not end it.
    await lab.run((lab) => lab.receive({ type: 'points', points: { 'loss-train': { x: [31], y: [0.2] } } }));
    await lab.run((lab) => lab.frame());
    await lab.page.mouse.move(x + box.width * 0.4, y + box.height * 0.5, { steps: 4 });
    await lab.page.mouse.up();
    await lab.page.waitForTimeout(300);
    const zoomed = await lab.run((lab) => lab.drawing._fullLayout.xaxis.range);
    expect(zoomed[1]! - zoomed[0]!).toBeLessThan(20);

    const layout = plain(runFigure(recordsOf(32), { ...status, step: 32 })).layout;
    await lab.run((lab) => lab.receive({ type: 'points', points: { 'loss-train': { x: [32], y: [0.2] } } }));
    await lab.run((lab, given) => lab.receive({ type: 'points', points: {}, layout: given }), layout);
    await lab.run((lab) => lab.frame());
    const after = await lab.run((lab) => ({
      range: lab.drawing._fullLayout.xaxis.range,
      steps: lab.drawing.data.find(({ uid }) => uid === 'loss-train')!.x.slice(-3),
      title: lab.widget.node.textContent!.includes('step 32 of 100'),
    }));
    expect(after).toEqual({ range: zoomed, steps: [30, 31, 32], title: true });
    expect(lab.errors).toEqual([]);
  });

  it('opens a comm again after a restart of the kernel, and after the kernel gave it up', async () => {
    await lab.render(bundle(5));
    await lab.run(
      (lab, figure) => lab.receive({ type: 'figure', figure }),
      plain(runFigure(recordsOf(5), status)),
    );
    await lab.run((lab) => {
      for (const state of ['restarting', 'starting', 'idle']) {
        lab.kernel.status = state;
        lab.session.statusChanged.emit();
      }
    });
    await lab.page.waitForFunction(() => (window as unknown as { lab: Lab }).lab.kernel.comms.length === 2);
    await lab.run(
      (lab, figure) => lab.receive({ type: 'figure', figure }),
      plain(runFigure(recordsOf(5), status)),
    );
    await lab.run((lab) => lab.kernel.comms.at(-1)!.onClose());
    await lab.page.waitForFunction(() => (window as unknown as { lab: Lab }).lab.kernel.comms.length === 3);
  });

  it('asks a kernel without live figures only once', async () => {
    await lab.render(bundle(5));
    await lab.run((lab) => lab.kernel.comms[0]!.onClose());
    await lab.page.waitForTimeout(200);
    expect(await lab.run((lab) => lab.kernel.comms.length)).toBe(1);
  });

  it('stores the last picture when the run ends, and goes on if it is resumed', async () => {
    await lab.render(bundle(5));
    const figure = plain(runFigure(recordsOf(50), { ...status, state: 'done', step: 50 }));
    await lab.run((lab, given) => lab.receive({ type: 'figure', figure: given }), figure);
    await lab.run((lab) => lab.receive({ type: 'ended' }));
    expect(await lab.run((lab) => lab.model.stored.length)).toBe(1);
    expect(await lab.run((lab, mime) => lab.model.data[mime!]!.figure, FIGURE_MIME)).toEqual(figure);
    const title = () => lab.run((lab) => lab.drawing.querySelector('.gtitle')?.textContent);
    await expect.poll(title).toContain('done · step 50');
    const resumed = plain(runFigure(recordsOf(60), { ...status, state: 'running', step: 60 }));
    await lab.run((lab, given) => lab.receive({ type: 'figure', figure: given }), resumed);
    await expect.poll(title).toContain('running · step 60');
    await lab.run((lab) => lab.widget.dispose());
    expect(await lab.run((lab) => lab.kernel.comms[0]!.closed)).toBe(true);
    expect(lab.errors).toEqual([]);
  });

  it('says why it cannot draw', async () => {
    await rm(join(lab.folder, 'plotly.min.js'));
    await lab.render(bundle(5));
    expect(await lab.run((lab) => lab.widget.node.textContent)).toContain('patchwise kernel install');
  });
});
