import type { Locator } from 'playwright-core';
import { expect } from 'vitest';

/** What a reader can do to a figure, and what each kind of control must change. */
const kinds = [
  { name: 'button', selector: '.updatemenu-button', changes: 'choice' },
  { name: 'slider', selector: '.slider-rail-touch-rect', changes: 'traces' },
  { name: 'legend entry', selector: 'rect[class^="legend"][class$="toggle"]', changes: 'traces' },
  { name: 'mode bar', selector: '.modebar-btn:is([data-val="in"], [data-val="out"])', changes: 'axes' },
] as const;

export type Kind = (typeof kinds)[number]['name'];

/** What can be measured of a drawn figure. */
interface Measures {
  /** Pixels of the node, and of the drawing in it. */
  readonly node: readonly [width: number, height: number];
  readonly drawing: readonly [width: number, height: number];
  /** Pixels of the smallest panel of the figure. */
  readonly panel: readonly [width: number, height: number];
  /** What the controls change, as JSON. */
  readonly choice: string;
  readonly traces: string;
  readonly axes: string;
}

/**
 * Clicks every control of a figure, one after the other. After each click the figure must have the size that it had
 * before, or the height that the button sets; the control must have changed what it is for, and the picture must be a picture. Returns how many controls
 * of each kind there were.
 *
 * @param most how many of each kind are clicked, the last ones
 */
export async function useEveryControl(
  figure: Locator,
  most = Number.POSITIVE_INFINITY,
): Promise<Record<Kind, number>> {
  const page = figure.page();
  await figure.scrollIntoViewIfNeeded();
  const before = await measure(figure);
  const count: Record<Kind, number> = { button: 0, slider: 0, 'legend entry': 0, 'mode bar': 0 };
  let seen = 0;
  let height = before.node[1];
  const check = async (what: string): Promise<void> => {
    await page.waitForTimeout(250); // Plotly resizes 100 ms after it has seen that its node changed
    const { node, drawing, panel } = await measure(figure);
    const size = [before.node[0], height];
    expect({ node, drawing }, what).toEqual({ node: size, drawing: [before.drawing[0], height] });
    // The numbers on an axis take room from a panel, a few pixels more or less.
    expect(Math.min(panel[0] / before.panel[0], panel[1] / before.panel[1]), what).toBeGreaterThan(0.9);
    const { pixels, colours } = await look(figure);
    expect(colours, `${what}: colours within the panels`).toBeGreaterThan(8);
    expect(pixels, `${what}: pixels`).not.toBe(seen);
    seen = pixels;
  };
  /** Uses a control and waits until it has changed what it is for. */
  const change = async (
    what: string,
    changes: (typeof kinds)[number]['changes'],
    use: () => Promise<void>,
  ): Promise<void> => {
    const old = (await measure(figure))[changes];
    await use();
    await expect
      .poll(async () => (await measure(figure))[changes], { message: what, timeout: 15_000 })
      .not.toBe(old);
    await check(what);
  };
  await check('as drawn');

  for (const { name, selector, changes } of kinds) {
    const controls = figure.locator(selector);
    count[name] = await controls.count();
    // From the last to the first, because the first button is the one that holds already.
    for (let at = count[name] - 1; at >= Math.max(0, count[name] - most); at--) {
      for (const place of placesOf(name)) {
        if (name === 'button') height = (await heightOf(controls.nth(at))) ?? height;
        if (name === 'legend entry') await page.waitForTimeout(350); // two within 300 ms are a double click
        await change(`${name} ${at} at ${place}`, changes, () => clickAt(controls.nth(at), place));
      }
    }
  }

  const panel = figure.locator('.nsewdrag').first();
  if ((await panel.count()) > 0) {
    await change('zoom', 'axes', () => drag(panel));
    await change('double click', 'axes', () => panel.dblclick());
  }
  return count;
}

/** Where a control is clicked, as a part of its width: a slider at both ends, a legend entry off and on again. */
function placesOf(kind: Kind): readonly number[] {
  if (kind === 'slider') return [0.95, 0.05];
  return kind === 'legend entry' ? [0.5, 0.4] : [0.5];
}

/** The height that a button gives its figure, if any. */
function heightOf(button: Locator): Promise<number | undefined> {
  return button.evaluate((element) => {
    const { args } = (element as unknown as { __data__: { args: readonly { height?: number }[] } }).__data__;
    return args.find((changes) => changes.height !== undefined)?.height;
  });
}

/** Clicks a control where it is seen. A page that is still loading moves it: the click waits until it lies at rest. */
async function clickAt(control: Locator, place: number): Promise<void> {
  const aim = async (): Promise<[x: number, y: number]> => (await pointsIn(control))(place, 0.5);
  let point = await aim();
  await expect
    .poll(
      async () => {
        const before = point;
        point = await aim();
        // The touch area of a slider lies under its handle.
        const isThere = await control.evaluate((node, [x, y]) => {
          const seen = document.elementFromPoint(x, y);
          return (node.tagName === 'rect' ? node.parentNode! : node).contains(seen);
        }, point);
        return isThere && before[0] === point[0] && before[1] === point[1];
      },
      { message: 'the control lies at rest, and nothing lies over it', timeout: 15_000 },
    )
    .toBe(true);
  await control.page().mouse.click(...point);
}

async function drag(panel: Locator): Promise<void> {
  const at = await pointsIn(panel);
  const { mouse } = panel.page();
  await mouse.move(...at(0.25, 0.25));
  await mouse.down();
  await mouse.move(...at(0.5, 0.5), { steps: 4 });
  await mouse.move(...at(0.75, 0.75), { steps: 4 });
  await mouse.up();
}

/** The page's coordinates of a place in an element, which is scrolled into view. */
async function pointsIn(element: Locator): Promise<(across: number, down: number) => [number, number]> {
  await element.scrollIntoViewIfNeeded();
  const box = (await element.boundingBox())!;
  return (across, down) => [box.x + box.width * across, box.y + box.height * down];
}

export function measure(figure: Locator): Promise<Measures> {
  return figure.evaluate((node) => {
    const plot = node as unknown as {
      _fullData: { visible: unknown }[];
      _fullLayout: Record<string, { cmin?: number; cmax?: number; range?: number[] } | undefined>;
    };
    const size = (element: Element): [number, number] => {
      const { width, height } = element.getBoundingClientRect();
      return [Math.round(width), Math.round(height)];
    };
    const layout = Object.entries(plot._fullLayout);
    const seen = plot._fullData.map(({ visible }) => visible);
    const panels = [...node.querySelectorAll('.nsewdrag')].map(size);
    panels.sort(([a, b], [c, d]) => a * b - c * d);
    return {
      node: size(node),
      drawing: size(node.querySelector('.main-svg')!),
      panel: panels[0] ?? [1, 1],
      choice: JSON.stringify([
        node.querySelector('.main-svg')!.getAttribute('height'),
        seen,
        layout.filter(([key]) => /^coloraxis\d*$/.test(key)).map(([, axis]) => [axis?.cmin, axis?.cmax]),
      ]),
      traces: JSON.stringify(seen),
      axes: JSON.stringify(
        layout
          .filter(([key]) => /^[xy]axis\d*$/.test(key))
          .map(([, axis]) => axis?.range?.map((end) => Number(end.toPrecision(6)))),
      ),
    };
  });
}

/** What the screen shows within the panels: a number for the pixels, and how many colours they have. */
export async function look(figure: Locator): Promise<{ pixels: number; colours: number }> {
  const shot = (await figure.screenshot()).toString('base64');
  return figure.evaluate(async (node, base64) => {
    const frame = node.getBoundingClientRect();
    const panels = [...node.querySelectorAll('.nsewdrag')].map((panel) => panel.getBoundingClientRect());
    const boxes = panels.length > 0 ? panels : [frame];
    const [left, top] = [Math.min(...boxes.map((box) => box.left)), Math.min(...boxes.map((box) => box.top))];
    const image = new Image();
    image.src = `data:image/png;base64,${base64}`;
    await image.decode();
    const canvas = document.createElement('canvas');
    canvas.width = Math.max(1, ...boxes.map((box) => box.right - left));
    canvas.height = Math.max(1, ...boxes.map((box) => box.bottom - top));
    const brush = canvas.getContext('2d')!;
    brush.drawImage(image, frame.left - left, frame.top - top);
    const pixels = new Uint32Array(brush.getImageData(0, 0, canvas.width, canvas.height).data.buffer);
    const hash = pixels.reduce((sum, pixel) => Math.imul(sum ^ pixel, 16777619) >>> 0, 2166136261);
    return { pixels: hash, colours: new Set(pixels).size };
  }, shot);
}
