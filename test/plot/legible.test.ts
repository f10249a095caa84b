import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sweepFigure } from '../../src/plot/comparison/sweep';
import type { Figure } from '../../src/plot/figure/figure';
import { runFigure, seriesFigure } from '../../src/plot/run/figure';
import { appendRecord, type Series } from '../../src/plot/run/series';
import { hasChromium, openBrowser } from '../chromium';
import { controlled, slices } from './controlled';
import { recordsOf } from './samples';

const status = { state: 'running', step: 60, steps: 100 };
const everything = recordsOf(60).map((record) => ({
  ...record,
  ...(record.split === 'train'
    ? { reconstruction: 0.1, commitment: 0.2, adversarial: 0.3, discriminator: 2, gpuByRank: [90, 80] }
    : { ssim: 0.8, reconstruction: 0.1 }),
}));
const lines = new Map<string, Series>();
for (const number of [0, 1, 2])
  for (const record of recordsOf(30))
    appendRecord(lines, record, { number, id: `2026-11-30-10253${number}-toy-abcd` });
const sweep = ['gaussian', 'hann'].flatMap((name, i) =>
  [0, 0.25].map((overlap) => ({ name, overlap, psnr: 24 + i + overlap, seamEnergy: 1 + overlap })),
);

const figures: readonly (readonly [string, Figure])[] = [
  ...controlled.map(([name, figure]) => [name, figure] as const),
  ['run with everything', runFigure(everything, status, { slices })],
  ['several runs', seriesFigure([...lines.values()], status, { title: 'three' })],
  ['sweep', sweepFigure(sweep)],
];
/** The colours of a page and of its words, as reports have them. */
const themes = { light: ['#ffffff', '#1c2126'], dark: ['#14171a', '#e4e7ea'] } as const;

interface Box {
  readonly what: string;
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

describe.skipIf(!hasChromium('reading figures'))('figures in a browser', () => {
  let browser: Awaited<ReturnType<typeof openBrowser>>;
  beforeAll(async () => {
    browser = await openBrowser();
    await browser.page.setViewportSize({ width: 1280, height: 900 });
    await browser.page.setContent('<div id="figure" style="width: 952px"></div>');
    await browser.page.addScriptTag({ path: require.resolve('plotly.js-dist-min/plotly.min.js') });
  });
  afterAll(() => browser?.close());

  const draw = async (figure: Figure, [paper, ink]: readonly [string, string]): Promise<void> => {
    await browser.page.evaluate(
      async ([json, background, color]) => {
        const { data, layout } = JSON.parse(json!);
        const { Plotly } = window as unknown as {
          Plotly: { purge(n: string): void; newPlot(n: string, d: unknown, l: unknown): Promise<unknown> };
        };
        document.body.style.background = background!;
        Plotly.purge('figure');
        await Plotly.newPlot('figure', data, { ...layout, font: { ...layout.font, color } });
      },
      [JSON.stringify(figure), paper, ink] as const,
    );
  };

  /** Every word that is seen: its size, and its contrast to what lies behind it, where that is known. */
  const words = () =>
    browser.page.evaluate(() => {
      const parts = (color: string): number[] => (color.match(/[\d.]+/g) ?? []).map(Number);
      const light = (color: string): number => {
        const [r = 0, g = 0, b = 0] = parts(color).map((part) => {
          const share = part / 255;
          return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
      };
      const paper = getComputedStyle(document.body).backgroundColor;
      return [...document.querySelectorAll('#figure text')].flatMap((text) => {
        const style = getComputedStyle(text);
        const { width } = text.getBoundingClientRect();
        if (!text.textContent?.trim() || width === 0 || style.visibility === 'hidden') return [];
        const parent = text.parentElement!;
        const face = parent.classList.contains('updatemenu-button')
          ? getComputedStyle(parent.querySelector('rect')!).fill
          : parent.querySelector(':scope > rect.bg') || text.closest('.heatmap-label, .annotation, .hm')
            ? ''
            : paper;
        const [a, b] = [light(style.fill), light(face || paper)].sort((x, y) => y - x) as [number, number];
        return [
          {
            word: text.textContent,
            size: Number.parseFloat(style.fontSize),
            contrast: face ? (a + 0.05) / (b + 0.05) : Number.POSITIVE_INFINITY,
          },
        ];
      });
    });

  it.each(figures)(
    'the %s has no word under 11 px, and none that is hard to tell from what is behind it',
    async (_, figure) => {
      for (const theme of Object.values(themes)) {
        await draw(figure, theme);
        const found = await words();
        expect(found.length).toBeGreaterThan(5);
        expect(found.filter(({ size }) => size < 11)).toEqual([]);
        expect(found.filter(({ contrast }) => contrast < 4.5)).toEqual([]);
      }
    },
  );

  it('a button has legible words also where it was pressed and under the pointer', async () => {
    const [, volume] = controlled.find(([name]) => name === 'volume')!;
    for (const theme of Object.values(themes)) {
      await draw(volume, theme);
      await browser.page.mouse.move(5, 5);
      const buttons = browser.page.locator('.updatemenu-button');
      const faces = () =>
        buttons.evaluateAll((all) => all.map((one) => getComputedStyle(one.querySelector('rect')!).fill));
      const before = await faces();
      expect(before[0]).not.toBe(before[1]); // the pressed one has a face of its own
      await buttons.nth(1).click();
      await expect.poll(async () => (await words()).filter(({ contrast }) => contrast < 4.5)).toEqual([]);
      await browser.page.mouse.move(5, 5);
      await expect.poll(faces).toEqual([before[1], before[0], ...before.slice(2)]);
      await buttons.nth(2).hover();
      expect((await words()).filter(({ contrast }) => contrast < 4.5)).toEqual([]);
    }
  });

  /** The boxes of legends, headings and panels. */
  const boxes = () =>
    browser.page.evaluate(() => {
      const boxOf = (what: string, element: Element): Box => {
        const { left, top, right, bottom } = element.getBoundingClientRect();
        return { what, left, top, right, bottom };
      };
      const node = document.getElementById('figure') as unknown as {
        _fullLayout: Record<string, { visible?: boolean; anchor?: string } | undefined>;
      };
      const seen = (panel: Element): boolean => {
        const [, x, y] = /^(x\d*)(y\d*)$/.exec(panel.getAttribute('data-subplot') ?? '') ?? [];
        return node._fullLayout[`xaxis${x?.slice(1)}`]?.visible !== false && Boolean(y);
      };
      return {
        legends: [...document.querySelectorAll('g')]
          .filter((group) => /^legend\d*$/.test(group.getAttribute('class') ?? ''))
          .flatMap((group) =>
            [...group.querySelectorAll('.legendtext')].map((text) => boxOf(text.textContent!, text)),
          ),
        headings: [...document.querySelectorAll('.annotation-text, .gtitle')].map((text) =>
          boxOf(text.textContent!, text),
        ),
        panels: [...document.querySelectorAll('.nsewdrag')]
          .filter(seen)
          .map((panel) => boxOf(panel.getAttribute('data-subplot')!, panel)),
      };
    });
  const overlap = (a: Box, b: Box): boolean =>
    a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1;

  it.each(figures.filter(([name]) => /run|seams|codes|sweep/.test(name)))(
    'the words of legends of the %s lie over no curve, no heading and no other legend',
    async (_, figure) => {
      await draw(figure, themes.light);
      for (const button of [
        'as drawn',
        ...(figure.layout.updatemenus ? ['all panels', 'four panels'] : []),
      ]) {
        if (button !== 'as drawn') {
          await browser.page.locator('.updatemenu-button', { hasText: button }).click();
          await browser.page.waitForTimeout(400);
        }
        const { legends, headings, panels } = await boxes();
        expect(panels.length).toBeGreaterThan(1);
        const clashes = legends.flatMap((legend, i) =>
          [...headings, ...panels, ...legends.slice(i + 1)]
            .filter((other) => overlap(legend, other))
            .map((other) => `${button}: ${legend.what} over ${other.what}`),
        );
        expect(clashes).toEqual([]);
      }
    },
    60_000,
  );
});
