import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { notebookToHtml } from '../../../kernels/report/report';
import { type StoredWidget, WIDGET_MIME } from '../../../src/controls/widget-bundle';
import { hasChromium } from '../../chromium';
import { LabPage } from '../lab-page';

/** A counter: the shape of a first widget. */
const counter = `
let alive = 0;
export default {
  initialize({ model }) {
    globalThis.log = globalThis.log ?? [];
    log.push('initialize');
    return () => log.push('end');
  },
  render({ model, el }) {
    const button = document.createElement('button');
    const show = () => { button.textContent = 'count is ' + model.get('count'); };
    button.addEventListener('click', () => { model.set('count', model.get('count') + 1); model.save_changes(); });
    model.on('change:count', show);
    model.on('change:count', (_, value) => { globalThis.last = value; });
    model.on('msg:custom', (content, buffers) => {
      log.push(content, buffers.map((one) => one.getUint8(0)));
      model.send({ echo: content }, undefined, [new Uint8Array([buffers[0].getUint8(0) + 1])]);
    });
    show();
    el.append(button);
    return () => { model.off('change:count', show); log.push('left'); };
  },
};`;

/** A drawing: its picture is bytes, both ways; the default export is a function. */
const drawing = `
export default async () => ({
  render({ model, el }) {
    el.classList.add('drawing');
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [64, 64];
    const context = canvas.getContext('2d');
    const paint = () => {
      const pixels = model.get('pixels');
      const image = context.createImageData(64, 64);
      for (let at = 0; at < 4096; at++) {
        const value = pixels.getUint8(at);
        image.data.set([value, value, value, 255], 4 * at);
      }
      context.putImageData(image, 0, 0);
    };
    canvas.addEventListener('pointerdown', ({ offsetX, offsetY }) => {
      const bytes = new Uint8Array(model.get('pixels').buffer.slice(0));
      bytes[Math.floor(offsetY) * 64 + Math.floor(offsetX)] = 255;
      model.set('pixels', new DataView(bytes.buffer));
      model.save_changes();
    });
    model.on('change:pixels', paint);
    paint();
    el.append(canvas);
  },
});`;

const picture = new Uint8Array(4096).fill(40);
const stored = (
  esm: string,
  state: object = { count: 3 },
  buffers: StoredWidget['buffers'] = [],
): StoredWidget => ({
  id: 'one',
  esm,
  css: '.drawing { border: 3px solid rgb(200, 0, 0); } button { color: rgb(0, 0, 200); }',
  state: state as StoredWidget['state'],
  buffers,
});
const drawn = stored(drawing, { pixels: null }, [
  { path: ['pixels'], data: Buffer.from(picture).toString('base64') },
]);
const bundle = (one: unknown) => ({ [WIDGET_MIME]: one, 'text/plain': 'a widget' });

type Logged = { log: unknown[]; last: number };

describe.skipIf(!hasChromium('widgets'))('a widget on a page', () => {
  let lab: LabPage;

  beforeAll(async () => {
    lab = await LabPage.open();
  }, 60_000);
  afterAll(() => lab?.close());
  beforeEach(() => lab.start());

  const render = (one: StoredWidget) => lab.render(bundle(one));
  const logged = () => lab.page.evaluate(() => (window as unknown as Logged).log);
  const button = () => lab.page.locator('.patchwise-widget button').first();

  it('runs its module: values, events, messages with bytes, style and the end', async () => {
    await render(stored(counter));
    expect(await button().textContent()).toBe('count is 3');
    expect(await button().evaluate((node) => getComputedStyle(node).color)).toBe('rgb(0, 0, 200)');
    expect(
      await lab.run((lab) => lab.kernel.comms.map(({ target, opened }) => ({ target, opened }))),
    ).toEqual([{ target: 'patchwise.widget', opened: { id: 'one' } }]);
    await lab.run((lab) => lab.receive({ type: 'update', state: { count: 7 }, buffer_paths: [] }));
    expect(await button().textContent()).toBe('count is 7');
    await button().click();
    expect(await button().textContent()).toBe('count is 8');
    expect(await lab.page.evaluate(() => (window as unknown as Logged).last)).toBe(8);
    await lab.run((lab) =>
      lab.receive({ type: 'custom', content: { hi: 1 } }, [new Uint8Array([41]).buffer]),
    );
    expect(await lab.run((lab) => lab.kernel.comms[0]!.sent)).toEqual([
      { type: 'update', state: { count: 8 }, buffer_paths: [] },
      { type: 'custom', content: { echo: { hi: 1 } } },
    ]);
    await lab.run((lab) => lab.widget.dispose());
    expect(await logged()).toEqual(['initialize', { hi: 1 }, [41], 'left', 'end']);
    expect(await lab.run((lab) => lab.kernel.comms[0]!.closed)).toBe(true);
    expect(lab.errors).toEqual([]);
  });

  it('is initialised once for two outputs, which share its values', async () => {
    await render(stored(counter));
    await render(stored(counter));
    await button().click();
    expect(await lab.page.locator('.patchwise-widget button').allTextContents()).toEqual([
      'count is 4',
      'count is 4',
    ]);
    expect((await logged()).filter((one) => one === 'initialize')).toHaveLength(1);
    expect(await lab.run((lab) => lab.kernel.comms.length)).toBe(1);
    await lab.run((lab) => lab.widget.dispose());
    expect(await logged()).not.toContain('end');
    await button().click();
    expect(await button().textContent()).toBe('count is 5');
  });

  it('draws and sends bytes, and stores the last picture where the kernel does not', async () => {
    await render(drawn);
    const canvas = lab.page.locator('canvas');
    const pixel = (x: number, y: number) =>
      canvas.evaluate(
        (node: HTMLCanvasElement, at) => node.getContext('2d')!.getImageData(at[0]!, at[1]!, 1, 1).data[0],
        [x, y],
      );
    expect(await pixel(10, 20)).toBe(40);
    await lab.run((lab) => {
      const bytes = new Uint8Array(4096).fill(90);
      lab.receive({ type: 'update', state: { pixels: null }, buffer_paths: [['pixels']] }, [bytes.buffer]);
    });
    expect(await pixel(10, 20)).toBe(90);
    await canvas.click({ position: { x: 10.5, y: 20.5 } });
    expect(await pixel(10, 20)).toBe(255);
    expect(await pixel(11, 20)).toBe(90);
    expect(await lab.run((lab) => lab.kernel.comms[0]!.sent)).toEqual([
      { type: 'update', state: { pixels: null }, buffer_paths: [['pixels']] },
    ]);
    await expect.poll(() => lab.run((lab) => lab.model.stored.length), { timeout: 10_000 }).toBe(1);
    const kept = (await lab.run((lab) => lab.model.stored[0]))![WIDGET_MIME] as StoredWidget;
    const bytes = Buffer.from(kept.buffers[0]!.data, 'base64');
    expect([bytes.length, bytes[20 * 64 + 10], bytes[20 * 64 + 11]]).toEqual([4096, 255, 90]);
  }, 30_000);

  it.each([
    ['throw new Error("broken module")', 'broken module'],
    ['export const render = 1', 'default export'],
    ['export default { render() { throw new Error("broken render") } }', 'broken render'],
    ['not javascript', 'This widget cannot be drawn'],
  ])('says why it cannot be drawn: %s', async (esm, why) => {
    await render(stored(esm));
    expect(await lab.run((lab) => lab.widget.node.textContent)).toContain(why);
  });

  it('may speak before the kernel hears it, and its newest values win', async () => {
    const eager = `export default {
      initialize({ model }) {
        model.set('count', 10);
        model.set('bytes', new DataView(new Uint8Array([1, 2]).buffer));
        model.save_changes();
        model.send({ ready: 1 }, undefined, [new Uint8Array([9])]);
      },
      render({ model, el }) { el.textContent = model.get('count') + ' ' + model.get('other'); model.on('change:count change:other', () => {
        el.textContent = model.get('count') + ' ' + model.get('other'); }); },
    }`;
    await render(stored(eager, { count: 3, other: 1, bytes: null }));
    const sent = () => lab.run((lab) => lab.kernel.comms[0]!.sent);
    expect(await sent()).toEqual([]);
    const all = { type: 'update', state: { count: 3, other: 2, bytes: null }, buffer_paths: [] };
    await lab.run((lab, given) => lab.receive(given), all);
    expect(await sent()).toEqual([
      { type: 'update', state: { count: 10, bytes: null }, buffer_paths: [['bytes']] },
      { type: 'custom', content: { ready: 1 } },
    ]);
    expect(await lab.page.locator('.patchwise-widget').textContent()).toContain('10 2');
    await lab.run((lab) => lab.receive({ type: 'update', state: { count: 4 }, buffer_paths: [] }));
    expect(await lab.page.locator('.patchwise-widget').textContent()).toContain('4 2');
    expect(await sent()).toHaveLength(2);
  });

  it('calls a command of the cell while it is drawn, and hears its response, its error, or nothing', async () => {
    const caller = `export default {
      async render({ el, signal, experimental }) {
        signal.addEventListener('abort', () => { globalThis.left = true; });
        const said = (promise) => promise.then(([response, [bytes]]) => response + ' ' + bytes.getUint8(0), (error) => error.message);
        el.textContent = await said(experimental.invoke('shout', 'hi', { buffers: [new Uint8Array([5])] }));
        el.textContent += ' | ' + await said(experimental.invoke('fail'));
        el.textContent += ' | ' + await said(experimental.invoke('never', null, { signal: AbortSignal.timeout(50) }));
      },
    }`;
    const drawn = render(stored(caller, {}));
    const calls = () =>
      lab.run((lab) =>
        (lab.kernel.comms[0]?.sent ?? []).map(
          ({ content }) => content as { id: string; name: string; msg: unknown },
        ),
      );
    await expect.poll(() => lab.run((lab) => lab.kernel.comms.length)).toBe(1);
    await lab.run((lab) => lab.receive({ type: 'update', state: {}, buffer_paths: [] }));
    const answer = async (at: number, content: object): Promise<void> => {
      await expect.poll(async () => (await calls()).length).toBe(at + 1);
      const { id } = (await calls())[at]!;
      await lab.run(
        (lab, given) => lab.receive({ type: 'custom', content: given }, [new Uint8Array([7]).buffer]),
        { id, kind: 'anywidget-command-response', ...content },
      );
    };
    await answer(0, { id: 'of another page', response: 'not mine' });
    await answer(0, { response: 'HI' });
    expect((await calls())[0]).toMatchObject({ kind: 'anywidget-command', name: 'shout', msg: 'hi' });
    await answer(1, { error: 'no such slice' });
    await drawn;
    expect(await lab.page.locator('.patchwise-widget').textContent()).toMatch(
      /HI 7 \| no such slice \| .*timed? ?out/i,
    );
    await lab.run((lab) => lab.widget.dispose());
    expect(await lab.page.evaluate(() => (window as unknown as { left: boolean }).left)).toBe(true);
  });

  it('does not run in a notebook that its reader does not trust', async () => {
    await lab.render(bundle(stored(counter)), false);
    expect(await lab.run((lab) => lab.widget.node.textContent)).toBe('a widget');
    expect(await logged()).toBeUndefined();
  });

  describe('in a report', () => {
    async function report(...widgets: unknown[]): Promise<void> {
      const outputs = widgets.map((one) => ({
        output_type: 'display_data' as const,
        data: bundle(one),
        metadata: {},
      }));
      const cell = { cell_type: 'code' as const, source: 'pw.widget(…)', metadata: {}, outputs };
      const html = await notebookToHtml({ cells: [cell], metadata: {}, nbformat: 4, nbformat_minor: 5 });
      await writeFile(join(lab.folder, 'report.html'), html);
      lab.requests.length = 0;
      await lab.goTo('report.html');
    }
    const frame = (at = 0) => lab.page.frameLocator('.widget-frame').nth(at);

    it('is drawn with its last values, works on its own, and takes the height it needs', async () => {
      const tall = `export default { render({ el }) { el.style.height = '432px'; el.textContent = 'tall'; } }`;
      await report(stored(counter), drawn, stored(tall));
      expect(await frame(0).locator('button').textContent()).toBe('count is 3');
      await frame(0).locator('button').click();
      expect(await frame(0).locator('button').textContent()).toBe('count is 4');
      await frame(1).locator('canvas').waitFor();
      const height = (at: number) =>
        lab.page
          .locator('.widget-frame')
          .nth(at)
          .evaluate((node) => node.clientHeight);
      await expect.poll(() => height(2)).toBe(432);
      await expect.poll(() => height(0)).toBeLessThan(60);
      expect(lab.errors).toEqual([]);
      const into = process.env.PATCHWISE_SCREENSHOTS;
      if (into) await mkdir(into, { recursive: true });
      if (into) await lab.page.screenshot({ path: join(into, 'widget-report.png') });
    });

    it('reaches neither the page around it nor the network', async () => {
      const spy = `export default { async render({ el }) {
        const tries = {
          page: () => parent.document.title,
          top: () => { top.location = 'about:blank#taken'; },
          storage: () => localStorage.length,
          fetch: () => fetch('http://127.0.0.1:9/secret'),
          image: () => new Promise((done, fail) => { const i = new Image(); i.onload = done; i.onerror = () => fail(new Error('image')); i.src = 'http://127.0.0.1:9/x.png'; }),
          module: () => import('http://127.0.0.1:9/x.js'),
          frame: () => new Promise((done, fail) => { addEventListener('securitypolicyviolation', fail); const f = document.createElement('iframe'); f.src = 'http://127.0.0.1:9/'; f.onload = () => setTimeout(done, 300); document.body.append(f); }),
        };
        const done = [];
        for (const [name, one] of Object.entries(tries)) await Promise.resolve().then(one).then(() => done.push(name), () => {});
        el.textContent = 'reached: ' + done.join(', ');
      } }`;
      // Playwright also tells of requests that the page's policy stops before they are sent.
      const stopped = new Set<string>();
      lab.page.on('requestfailed', (request) => {
        if (request.failure()?.errorText === 'csp') stopped.add(request.url());
      });
      await report(stored(spy));
      const text = frame().locator('#widget');
      await expect.poll(() => text.textContent()).toContain('reached: ');
      expect(await text.evaluate((node) => node.lastElementChild!.textContent)).toBe('reached: ');
      const sent = lab.requests.filter((address) => !stopped.has(address));
      expect(sent.filter((address) => address.startsWith('http'))).toEqual([]);
      expect(lab.page.url()).toContain('report.html');
    });

    it('is left out where the notebook is damaged', async () => {
      await report(
        null,
        { ...drawn, buffers: [{ path: ['pixels'], data: '"><img src=x>' }] },
        { ...drawn, esm: 1 },
      );
      expect(await lab.page.locator('iframe').count()).toBe(0);
      expect(await lab.page.locator('pre.output').allTextContents()).toEqual([
        'a widget',
        'a widget',
        'a widget',
      ]);
    });

    it('allows modules only where there is a widget', async () => {
      const html = async (one: unknown) =>
        notebookToHtml({
          cells: [
            {
              cell_type: 'code',
              source: '',
              metadata: {},
              outputs: [{ output_type: 'display_data', data: bundle(one), metadata: {} }],
            },
          ],
          metadata: {},
          nbformat: 4,
          nbformat_minor: 5,
        });
      expect(await html(null)).not.toContain("'unsafe-inline' blob:; style");
      expect(await html(drawn)).toContain("'unsafe-inline' blob:; style");
    });
  });
});
