import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { planGrid } from '../../src/patch/grid';
import { comparisonFigure } from '../../src/plot/comparison/figure';
import { seamFigure } from '../../src/plot/comparison/seams';
import type { Figure } from '../../src/plot/figure/figure';
import { runFigure } from '../../src/plot/run/figure';
import { figureToSvg } from '../../src/plot/svg/figure';
import { volumeFigure } from '../../src/plot/volume/figure';
import { gridFigure } from '../../src/plot/volume/grid';
import { hasChromium, openBrowser } from '../chromium';
import { body, comparisonOf, recordsOf } from './samples';

const comparison = comparisonOf(body, ['linear', 'gaussian']);
const status = { state: 'running', step: 60, steps: 100 };
const figures: [string, Figure, { images: number; lines: number }][] = [
  ['volume', volumeFigure(body), { images: 3, lines: 0 }],
  ['comparison', comparisonFigure(comparison, { slices: [3, 6, 9] }), { images: 5, lines: 9 }],
  ['seams', seamFigure(comparison), { images: 0, lines: 9 }],
  ['run', runFigure(recordsOf(60), status), { images: 0, lines: 12 }],
  ['short run', runFigure(recordsOf(3), status), { images: 0, lines: 8 }],
  ['empty run', runFigure([], status), { images: 0, lines: 0 }],
  [
    'grid',
    gridFigure(planGrid([64, 64, 76], { patch: [32, 32, 16], stride: [24, 24, 12] })),
    { images: 0, lines: 0 },
  ],
];

describe.skipIf(!hasChromium('drawing figures with the real Plotly'))('the real Plotly', () => {
  let browser: Awaited<ReturnType<typeof openBrowser>>;
  beforeAll(async () => {
    browser = await openBrowser();
    await browser.page.setContent('<div id="figure" style="width: 900px"></div><img id="still">');
    await browser.page.addScriptTag({ path: require.resolve('plotly.js-dist-min/plotly.min.js') });
  });
  afterAll(() => browser?.close());

  const draw = (figure: Figure) =>
    browser.page.evaluate(async (json) => {
      const { data, layout } = JSON.parse(json);
      const node = document.getElementById('figure')!;
      const { Plotly } = window as unknown as {
        Plotly: {
          purge(n: Element): void;
          newPlot(n: Element, d: unknown, l: unknown): Promise<unknown>;
          validate(d: unknown, l: unknown): { msg: string; code: string }[] | undefined;
        };
      };
      Plotly.purge(node);
      // Of `validate` only the keys it does not know: it takes base64 and colour axes for errors.
      const unknown = data.flatMap((trace: unknown) => Plotly.validate([trace], {}) ?? []);
      const problems = unknown.filter(({ code }: { code: string }) => code === 'schema');
      await Plotly.newPlot(node, data, layout);
      const paths = [...node.querySelectorAll('.scatterlayer .js-line')].filter(
        (path) => (path.getAttribute('d') ?? '').length > 5,
      );
      return {
        images: node.querySelectorAll('.heatmaplayer image').length,
        lines: paths.length,
        problems: problems.map(({ msg }: { msg: string }) => msg),
      };
    }, JSON.stringify(figure));

  it.each(figures)('draws the %s without complaint', async (_, figure, expected) => {
    const { problems, ...drawn } = await draw(figure);
    expect(drawn).toEqual(expected);
    expect(problems).toEqual([]);
    expect(browser.errors).toEqual([]);
  });

  it('turns to another slice by the slider', async () => {
    const figure = comparisonFigure(comparison, { slices: [3, 6, 9] });
    await draw(figure);
    const stops = browser.page.locator('#figure .slider-rail-touch-rect');
    const box = (await stops.boundingBox())!;
    await browser.page.mouse.click(box.x + box.width - 2, box.y + box.height / 2);
    await browser.page.waitForFunction(() => {
      const { data } = document.getElementById('figure') as unknown as {
        data: { type: string; visible: boolean }[];
      };
      const shown = data.filter(({ type }) => type === 'heatmap').map(({ visible }, i) => (visible ? i : -1));
      return shown.filter((i) => i >= 0).join() === '10,11,12,13,14';
    });
  });

  it.each(figures)('shows the still picture of the %s', async (_, figure) => {
    const source = `data:image/svg+xml;base64,${Buffer.from(figureToSvg(figure)).toString('base64')}`;
    const size = await browser.page.evaluate(async (src) => {
      const image = document.getElementById('still') as HTMLImageElement;
      image.src = src;
      await image.decode();
      return [image.naturalWidth, image.naturalHeight];
    }, source);
    expect(size).toEqual([900, figure.layout.height]);
  });
});
