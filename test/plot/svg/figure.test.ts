import { describe, expect, it } from 'vitest';
import { planGrid } from '../../../src/patch/grid';
import { comparisonFigure } from '../../../src/plot/comparison/figure';
import { Figure } from '../../../src/plot/figure/figure';
import { runFigure } from '../../../src/plot/run/figure';
import { figureToSvg } from '../../../src/plot/svg/figure';
import { linearTicks, logTicks } from '../../../src/plot/svg/ticks';
import { volumeFigure } from '../../../src/plot/volume/figure';
import { gridFigure } from '../../../src/plot/volume/grid';
import { body, comparisonOf, recordsOf } from '../samples';
import { checkXml } from '../xml';
import { readPng } from './read-png';

const figures: Record<string, Figure> = {
  volume: volumeFigure(body),
  comparison: comparisonFigure(comparisonOf(body, ['linear', 'gaussian & "co" <b>'])),
  run: runFigure(recordsOf(60), { state: 'running', step: 60, steps: 100 }),
  'empty run': runFigure([]),
  grid: gridFigure(planGrid([64, 64, 76], { patch: [32, 32, 16], stride: [24, 24, 12] })),
  bars: new Figure([{ type: 'bar', x: ['a', 'b <'], y: [1, 2] }], { title: { text: 'x < y' } }, 'bars'),
  sweep: new Figure(
    [
      {
        type: 'heatmap',
        x: ['.1', '.2'],
        z: [
          [1, null],
          [3, 4],
        ],
      },
    ],
    {},
    'sweep',
  ),
};

describe('figureToSvg', () => {
  it.each([
    ['top', -0.2],
    ['bottom', 1.02],
  ])('has every entry of a long legend within the picture, hung by its %s', (yanchor, y) => {
    const data = Array.from({ length: 14 }, (_, i) => ({
      type: 'scatter',
      name: `a line, number ${i}`,
      x: [1, 2],
      y: [3, 4],
    }));
    const legend = { orientation: 'h', x: 0, y, yanchor };
    const svg = figureToSvg(new Figure(data, { height: 300, legend, margin: { t: 90, b: 60 } }, 'long'));
    const height = Number(/height="(\d+)"/.exec(svg)![1]);
    const entries = [...svg.matchAll(/<text x="([\d.]+)" y="([\d.]+)"[^>]*>a line, number \d+</g)];
    expect(entries).toHaveLength(14);
    for (const [, left, bottom] of entries) {
      expect(Number(left) + 110).toBeLessThan(900);
      expect(Number(bottom)).toBeGreaterThan(8);
      expect(Number(bottom)).toBeLessThan(height);
    }
    expect(new Set(entries.map(([, left, bottom]) => `${left} ${bottom}`)).size).toBe(14);
  });

  it.each(Object.entries(figures))('%s is well-formed and holds no NaN', (_, figure) => {
    const svg = figureToSvg(figure);
    expect(() => checkXml(svg)).not.toThrow();
    expect(svg).not.toMatch(/NaN|undefined|Infinity/);
  });

  it('draws what is visible and nothing that starts hidden', () => {
    const count = (text: string): number =>
      (figureToSvg(figures.comparison!).match(new RegExp(text, 'g')) ?? []).length;
    expect(count('<image ')).toBe(5);
    expect(count('data:image/png;base64,')).toBe(5);
  });

  it('writes the numbers of a heat map into its cells, dark on light and light on dark', () => {
    const trace = {
      type: 'heatmap',
      ...{ x: ['a', 'b'], y: ['one'], z: [[0, 10]], text: [['nil', 'ten']], texttemplate: '%{text}' },
      colorscale: [
        [0, '#000000'],
        [1, '#ffffff'],
      ],
      colorbar: { title: { text: 'of ten' } },
    };
    const svg = figureToSvg(new Figure([trace], { margin: { l: 0, r: 100, t: 0, b: 0 } }, ''));
    expect(svg).toMatch(/<text x="200" y="\d+" text-anchor="middle" fill="#ffffff">nil</);
    expect(svg).toMatch(/<text x="600" y="\d+" text-anchor="middle" fill="#222222">ten</);
    expect(svg).toContain('>of ten<');
  });

  it('has all of its bars between its axes', () => {
    const trace = { type: 'bar', x: [0, 1, 2, 3], y: [1, 2, 3, 4] };
    const svg = figureToSvg(new Figure([trace], { margin: { l: 100, r: 100, t: 0, b: 50 } }, ''));
    const bars = [...svg.matchAll(/<rect x="([\d.-]+)" y="[\d.]+" width="([\d.]+)"/g)];
    expect(bars).toHaveLength(4);
    for (const [, left, width] of bars) {
      expect(Number(left)).toBeGreaterThanOrEqual(100);
      expect(Number(left) + Number(width)).toBeLessThanOrEqual(800);
    }
  });

  it('shows the paper where a heat map has no value', () => {
    const trace = { type: 'heatmap', z: [[0, null]], zmin: 0, zmax: 1 };
    const [, data] = /base64,([^"]*)/.exec(figureToSvg(new Figure([trace], {}, '')))!;
    const png = readPng(Buffer.from(data!, 'base64'));
    expect(png.channels).toBe(4);
    expect(png.at(0, 0)).toEqual([0x44, 0x01, 0x54, 255]);
    expect(png.at(1, 0)[3]).toBe(0);
  });

  it('has colour bars as long as the pictures beside them, also on narrow paper', () => {
    const bottoms = [900, 450].map((width) => {
      const look = { width, fineness: { most: 512, sharp: 0, shades: 48 } };
      const svg = figureToSvg(figures.volume!, look);
      const ends = (pattern: RegExp) =>
        [...svg.matchAll(pattern)].map(([, top, height]) => Number(top) + Number(height));
      return {
        pictures: Math.max(...ends(/<image [^>]*y="([\d.]+)" [^>]*height="([\d.]+)"/g)),
        bar: Math.max(...ends(/<rect [^>]*y="([\d.]+)" [^>]*height="([\d.]+)" fill="rgb/g)),
      };
    });
    for (const { bar, pictures } of bottoms) expect(Math.abs(bar - pictures)).toBeLessThan(3);
    expect(bottoms[1]!.pictures).toBeLessThan(bottoms[0]!.pictures - 50);
  });

  it('keeps the proportions of a picture', () => {
    const sizes = [
      ...figureToSvg(figures.volume!).matchAll(/<image [^>]*width="([\d.]+)" height="([\d.]+)"/g),
    ];
    const [axial, coronal] = sizes.map(([, width, height]) => Number(width) / Number(height));
    expect(axial).toBeCloseTo(24 / 20, 2);
    expect(coronal).toBeCloseTo(24 / (12 * 2), 2);
  });

  it('puts points where the axes say', () => {
    const layout = {
      height: 300,
      margin: { l: 100, r: 100, t: 50, b: 50 },
      xaxis: { range: [0, 10] },
      yaxis: { range: [-1, 1], type: 'log' },
    };
    const svg = figureToSvg(
      new Figure([{ type: 'scatter', x: [0, 5, 6, 10], y: [0.1, 1, null, 10] }], layout, ''),
    );
    expect(svg).toContain('d="M100 250L450 150M800 50"');
    expect(svg).not.toContain('<circle');
  });
});

describe('ticks', () => {
  it('are round and within the range', () => {
    expect(linearTicks([0, 100], 5).map(({ label }) => label)).toEqual(['0', '20', '40', '60', '80', '100']);
    expect(linearTicks([9.5, -0.5], 5).map(({ value }) => value)).toEqual([0, 2, 4, 6, 8]);
    expect(linearTicks([1, 1], 5)).toEqual([]);
    expect(logTicks([-1.2, 0.4]).map(({ label }) => label)).toEqual(['0.1', '0.2', '0.5', '1', '2']);
  });
});
