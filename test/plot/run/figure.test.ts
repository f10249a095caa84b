import { describe, expect, it } from 'vitest';
import { decodePicture, type EncodedArray } from '../../../src/plot/base/encode';
import type { Layout, Trace } from '../../../src/plot/base/layout';
import type { Figure } from '../../../src/plot/figure/figure';
import { runFigure, seriesFigure } from '../../../src/plot/run/figure';
import { appendRecord, type Series } from '../../../src/plot/run/series';
import { figureToSvg } from '../../../src/plot/svg/figure';
import { middleSlices } from '../../../src/train/record/latest-slices';
import { recordsOf } from '../samples';

const status = { state: 'running', step: 40, steps: 100, backend: 'wasm' };
const slices = middleSlices(7, [3, 2, 1], Float32Array.of(-1, 0, 1, -2, 2, 0), new Float32Array(6));

const lineOf = (figure: Figure, key: string): Trace => figure.data.find(({ uid }) => uid === key)!;
const domainOf = (figure: Figure, key: string) => (figure.layout[key] as { domain: [number, number] }).domain;
const headingsOf = (figure: Figure): Layout[] => figure.layout.annotations as Layout[];

interface Button {
  readonly label: string;
  readonly args: readonly [{ visible: boolean[] }, Record<string, unknown>, number[]];
}
const buttonsOf = ({ layout }: Figure): Button[] =>
  ((layout.updatemenus ?? []) as { buttons: Button[] }[]).flatMap(({ buttons }) => buttons);

describe('a run', () => {
  it('says of every value in its summary which step it is of', () => {
    const later = runFigure(recordsOf(47), { ...status, step: 48 }, { title: 'toy' }).summary;
    expect(later).toMatch(
      / · step 48 of 100 · wasm · training at step 47: loss .* · validation at step 40: /,
    );
    const early = runFigure(recordsOf(7), { ...status, step: 7 }).summary;
    expect(early).toMatch(/training at step 7: loss/);
    expect(early).not.toContain('validation');
    // A group that starts again stands at an earlier step than its records.
    const again = runFigure(recordsOf(40), { state: 'starting', step: 0, steps: 60 }).summary;
    expect(again).toMatch(/starting · step 0 of 60 · training at step 40: /);
    const idle = 'this host has 4 GPU(s), and the CPU computes: CUDA_VISIBLE_DEVICES="" hides them';
    const told = runFigure(recordsOf(40), { ...status, idle }).summary;
    expect(told).toContain('wasm · this host has 4 GPU(s), and the CPU computes · training');
  });

  it('has a line for every measure, split and rank, and gives values as the table of measures does', () => {
    const figure = runFigure(recordsOf(40), status, { title: 'toy' });
    const keys = figure.data.map(({ uid }) => uid);
    const some = ['loss-train', 'loss-validation', 'psnr-validation', 'usage-train', 'secondsByRank-rank-1'];
    expect(keys).toEqual(expect.arrayContaining(some));
    expect(new Set(keys).size).toBe(keys.length);
    expect(figure.summary).toMatch(
      /^toy · running · step 40 of 100 · wasm · training at step 40: loss 0\.1\d+, perplexity 50\.0, codes in use 50\.0 %, pace 12 patches\/s · validation at step 40: loss 0\.1\d+, PSNR 24\.00 dB, perplexity 9\.0, codes in use 40\.0 %$/,
    );
    const psnr = lineOf(figure, 'psnr-validation');
    expect([psnr.x, psnr.y]).toEqual([
      [10, 20, 30, 40],
      [21, 22, 23, 24],
    ]);
    expect(psnr).toMatchObject({
      name: 'PSNR, dB (left)',
      hovertemplate: expect.stringContaining('%{y:.2f}</b> dB'),
    });
  });

  it('shows four panels at first, and all when they are asked for', () => {
    const figure = runFigure(recordsOf(40), status, { slices });
    const seen = figure.data.filter(({ type, visible }) => type === 'scatter' && visible !== false);
    expect(new Set(seen.map(({ xaxis }) => xaxis))).toEqual(new Set(['x', 'x2', 'x3', 'x4']));
    const headings = headingsOf(figure).filter(({ visible }) => visible !== false);
    expect(headings.slice(0, 4).map(({ text }) => text)).toEqual([
      'loss',
      'PSNR and SSIM',
      'codes',
      'pace, patches/s',
    ]);
    expect(figure.layout.xaxis5).toMatchObject({ visible: false });

    const [few, all] = buttonsOf(figure);
    expect([few!.label, all!.label]).toEqual(['four panels', 'all panels']);
    const [{ visible }, changes, traces] = all!.args;
    expect(traces.every((at) => figure.data[at]!.visible === false)).toBe(true);
    expect(visible.every(Boolean)).toBe(true);
    expect(figure.data.filter((trace) => trace.visible === false)).toHaveLength(traces.length);
    expect(changes).toMatchObject({ 'xaxis5.visible': true, 'annotations[4].visible': true });
    // The others are where they are in pixels, and the figure has as much more below them as a row takes.
    const { height, margin } = figure.layout as { height: number; margin: { t: number; b: number } };
    const inner = (of: number): number => of - margin.t - margin.b;
    const taller = changes.height as number;
    expect(taller).toBe(height + 222);
    for (const panel of ['', '2', '3', '4']) {
      const [after, before] = [
        changes[`yaxis${panel}.domain`] as number[],
        domainOf(figure, `yaxis${panel}`),
      ];
      for (const end of [0, 1])
        expect((1 - after[end]!) * inner(taller)).toBeCloseTo((1 - before[end]!) * inner(height), 6);
    }
    // The first button puts everything back, whatever the second one changed.
    const [hidden, back] = few!.args;
    expect(Object.keys(back).sort()).toEqual(Object.keys(changes).sort());
    expect(hidden.visible.some(Boolean)).toBe(false);
    expect(back).toMatchObject({
      height,
      'yaxis.domain': domainOf(figure, 'yaxis'),
      'xaxis5.visible': false,
    });
  });

  it('draws what else a record holds: discriminators, parts of the loss, SSIM, GPUs', () => {
    const more = { adversarial: -0.2, discriminator: 1.9, reconstruction: 0.7, gpuByRank: [90, 80] };
    const records = recordsOf(20).map((record) => ({
      ...record,
      ...(record.split === 'train' ? more : { ssim: 0.8, reconstruction: 0.6 }),
    }));
    const figure = runFigure(records, status);
    const keys = ['discriminator-train', 'reconstruction-validation', 'ssim-validation', 'gpuByRank-rank-1'];
    expect(figure.data.map(({ uid }) => uid)).toEqual(expect.arrayContaining(keys));
    expect(headingsOf(figure).filter(({ visible }) => visible === false)).toHaveLength(4);
    // SSIM has an axis of its own, over that of PSNR.
    expect(lineOf(figure, 'ssim-validation')).toMatchObject({
      xaxis: 'x2',
      yaxis: 'y52',
      name: 'SSIM (right)',
    });
    expect(figure.layout.yaxis52).toMatchObject({ overlaying: 'y2', side: 'right' });
    for (const { yaxis } of figure.data)
      expect(figure.layout).toHaveProperty(String(yaxis).replace('y', 'yaxis'));
  });

  it('has a legend for each panel, and no colour for two of its lines', () => {
    const records = recordsOf(20).map((record) => ({ ...record, reconstruction: 0.7, commitment: 0.1 }));
    const figure = runFigure(records, status);
    for (const axis of new Set(figure.data.map(({ xaxis }) => String(xaxis)))) {
      const own = figure.data.filter(({ xaxis }) => xaxis === axis);
      expect(new Set(own.map(({ legend }) => legend))).toEqual(new Set([`legend${axis.slice(1)}`]));
      const named = own.filter(({ showlegend }) => showlegend !== false);
      expect(named.length).toBeGreaterThan(0);
      expect(new Set(named.map(({ line }) => (line as Layout).color)).size).toBe(named.length);
    }
    const colour = (key: string) => (lineOf(figure, key).line as Layout).color;
    const ofSplits = [colour('loss-train'), colour('loss-validation')];
    expect(ofSplits).not.toContain(colour('reconstruction-train'));
    expect(ofSplits).not.toContain(colour('commitment-train'));
  });

  it('shows the slices of the latest validation below the curves', () => {
    const figure = runFigure(recordsOf(5), status, { slices });
    const [original, , difference] = figure.data.filter(({ type }) => type === 'heatmap');
    expect([...decodePicture(original!.z as EncodedArray).values]).toEqual([0, 128, 255, 0, 255, 128]);
    expect([...decodePicture(difference!.z as EncodedArray).values]).toEqual([128, 0, -127, 128, -127, 0]);
    const svg = figureToSvg(figure);
    expect(svg).toContain('validation, step 7');
    expect(svg).toMatch(/>-1<.*>0<.*>1</); // the colour bar has the figure's own numbers
    expect(domainOf(figure, 'yaxis')[0]).toBeGreaterThan(domainOf(figure, 'yaxis6')[1]);
  });

  it('turns the loss axis logarithmic once it has fallen to an eighth', () => {
    expect((runFigure(recordsOf(5), status).layout.yaxis as Layout).type).toBe('linear');
    expect((runFigure(recordsOf(100), status).layout.yaxis as Layout).type).toBe('log');
  });

  it('draws the four panels before there is anything to draw', () => {
    const figure = runFigure([], { state: 'starting', step: 0, steps: 50 });
    expect(figure.data).toHaveLength(4);
    expect(buttonsOf(figure)).toEqual([]);
    expect((figure.layout.xaxis as Layout).range).toEqual([0, 50]);
  });

  it('names the reason of a failure', () => {
    expect(runFigure([], { state: 'failed', step: 3, error: 'rank 2 died' }).summary).toContain(
      'rank 2 died',
    );
  });

  it('thins long lines, and is small however long the run is', () => {
    const long = runFigure(recordsOf(20_000), status);
    for (const { x } of long.data) expect((x as unknown[]).length).toBeLessThanOrEqual(1000);
    expect(JSON.stringify(long).length).toBeLessThan(250_000);
  });
});

describe('the mean of a line', () => {
  const train = (losses: readonly number[]) =>
    losses.map((loss, i) => ({ step: i + 1, split: 'train' as const, loss }));

  it('is smooth, unbiased from the first step on, and follows what the values do', () => {
    const noisy = train(Array.from({ length: 400 }, (_, i) => 5 + (i % 2 === 0 ? 1 : -1)));
    const mean = lineOf(runFigure(noisy), 'loss-train-mean').y as number[];
    expect(mean[0]).toBe(6);
    for (const value of mean.slice(20)) expect(Math.abs(value - 5)).toBeLessThan(0.2);
    const fallen = train(Array.from({ length: 400 }, (_, i) => (i < 200 ? 8 : 2)));
    expect((lineOf(runFigure(fallen), 'loss-train-mean').y as number[]).at(-1)).toBeCloseTo(2, 2);
  });

  it('hides no gap', () => {
    const losses = Array.from({ length: 50 }, (_, i) => (i === 30 ? Number.NaN : 1 + i / 100));
    const figure = runFigure(train(losses));
    for (const key of ['loss-train', 'loss-train-mean']) {
      const y = lineOf(figure, key).y as (number | null)[];
      expect(y.map((value, at) => (value === null ? at : -1)).filter((at) => at >= 0)).toEqual([30]);
      expect(figureToSvg(figure)).not.toContain('NaN');
    }
  });

  it('is the same point by point as in one go', () => {
    const records = recordsOf(300);
    const lines = new Map<string, Series>();
    const added = new Map<string, (number | null)[]>();
    for (const record of records)
      for (const { key, y } of appendRecord(lines, record)) added.set(key, [...(added.get(key) ?? []), y]);
    for (const { uid, y } of runFigure(records).data) expect(added.get(String(uid)), String(uid)).toEqual(y);
  });
});

describe('several runs', () => {
  const lines = new Map<string, Series>();
  for (const number of [0, 1])
    for (const record of recordsOf(30)) appendRecord(lines, record, { number, id: `run-${number}` });
  const figure = seriesFigure([...lines.values()], status, { title: 'two' });

  it('have a colour each, one legend, and no panel that only one run could fill', () => {
    const named = figure.data.filter(({ showlegend }) => showlegend !== false);
    expect(named.map(({ name, legend }) => [name, legend])).toEqual([
      ['run-0', 'legend'],
      ['run-1', 'legend'],
    ]);
    expect(new Set(figure.data.map(({ xaxis }) => xaxis))).toEqual(new Set(['x', 'x2', 'x3', 'x4']));
    const colours = [0, 1].map(
      (number) =>
        new Set(
          figure.data
            .filter(({ uid }) => String(uid).startsWith(`run${number}-`))
            .map(({ line }) => (line as Layout).color),
        ),
    );
    expect(colours.map(({ size }) => size)).toEqual([1, 1]);
    expect(colours[0]).not.toEqual(colours[1]);
  });
});
