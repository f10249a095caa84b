import { afterEach, describe, expect, it, vi } from 'vitest';
import { planGrid } from '../../src/patch/grid';
import { Table } from '../../src/plot/base/table';
import { display } from '../../src/plot/display';
import { Figure } from '../../src/plot/figure/figure';
import { FIGURE_MIME, kinds, PLOTLY_MIME, toBundle } from '../../src/plot/show';
import { view } from '../../src/plot/volume/view';
import { LiveView, Run } from '../../src/train/run';
import { phantom } from '../../src/volume/phantom/phantom';
import { VOLUMES_MIME } from '../../src/volumes-bundle';
import { body, comparisonOf } from './samples';

describe('toBundle', () => {
  const volumes: [string, unknown][] = [
    ['a volume', phantom({ shape: [16, 16, 16] })],
    ['a view of one', view(phantom({ shape: [16, 16, 16] }))],
    ['a comparison', comparisonOf(body, ['linear'])],
  ];
  const figureLike: [string, unknown][] = [
    ['a grid', planGrid([64, 64, 76], { patch: [32, 32, 16] })],
    ['a figure', new Figure([{ type: 'scatter', y: [1, 2] }], {}, 'two points')],
    ['a run', new Run('/runs/toy')],
    ['a live view', new LiveView([new Run('/runs/toy')])],
  ];

  it.each(figureLike)('shows %s in every form', (_, value) => {
    const bundle = toBundle(value)!;
    expect(Object.keys(bundle)).toEqual([FIGURE_MIME, PLOTLY_MIME, 'image/svg+xml', 'text/plain']);
    const { figure } = bundle[FIGURE_MIME] as { figure: { data: unknown[]; layout: object } };
    const plotly = bundle[PLOTLY_MIME] as { data: unknown[]; layout: object };
    expect(plotly.data).toEqual(figure.data);
    expect(figure.data.length).toBeGreaterThan(0);
    expect(bundle['image/svg+xml']).toMatch(
      /^<svg .*A still picture\. JupyterLab with Patchwise, VS Code and reports draw it/s,
    );
    expect((bundle['text/plain'] as string).length).toBeGreaterThan(2);
    expect(JSON.parse(JSON.stringify(bundle))).toEqual(bundle); // plain data, as the wire needs it
  });

  it.each(volumes)('shows %s to our viewer, and to others as slices', (_, value) => {
    const bundle = toBundle(value)!;
    expect(Object.keys(bundle)[0]).toBe(VOLUMES_MIME);
    expect(bundle).toHaveProperty([PLOTLY_MIME, 'data', 0]);
    expect(bundle['image/svg+xml']).toMatch(/^<svg /);
    expect((bundle['text/plain'] as string).length).toBeGreaterThan(2);
    expect(JSON.parse(JSON.stringify(bundle))).toEqual(bundle);
  });

  it('finds one kind for each value, whatever the order of the kinds', () => {
    const table = new Table({ columns: ['a'], rows: [[1]] });
    for (const value of [...[...volumes, ...figureLike].map(([, value]) => value), table]) {
      const found = Object.values(kinds).filter(({ is }) => is(value as object));
      expect(found).toHaveLength(1);
    }
  });

  it('names the run of a live figure, so that a front end can follow it', () => {
    const bundle = toBundle(new LiveView([new Run('/runs/toy')]))!;
    expect((bundle[FIGURE_MIME] as { run: unknown }).run).toEqual({ id: 'toy', dir: '/runs/toy' });
  });

  it('shows a table as HTML and as text', () => {
    const bundle = toBundle(new Table({ columns: ['a'], rows: [[1]] }))!;
    expect(Object.keys(bundle)).toEqual(['text/html', 'text/plain']);
  });

  it('shows subclasses of figures and tables too', () => {
    class Histogram extends Figure {}
    class Ranking extends Table {}
    expect(toBundle(new Histogram([], {}, 'bars'))).toHaveProperty(['image/svg+xml']);
    expect(toBundle(new Ranking({ columns: ['a'], rows: [[1]] }))).toHaveProperty(['text/html']);
  });

  it('leaves an object alone that only has the keys of a comparison', () => {
    const foreign = { reference: 'a paper', candidates: [], metrics: [], seamProfiles: [] };
    expect(toBundle(foreign)).toBeUndefined();
  });

  it('leaves everything else alone', () => {
    for (const value of [undefined, null, 5, 'text', [], {}, { data: [] }, new Map(), () => 1]) {
      expect(toBundle(value)).toBeUndefined();
    }
  });

  it('never lets a front end upload a figure', () => {
    const bundle = toBundle(phantom({ shape: [16, 16, 16] }))!;
    const { layout, config } = bundle[PLOTLY_MIME] as {
      layout: { modebar: { remove: string[] } };
      config: object;
    };
    expect(layout.modebar.remove).toContain('sendChartToCloud');
    expect(config).toMatchObject({ showSendToCloud: false });
  });
});

describe('display', () => {
  const hookName = Symbol.for('patchwise.display');
  afterEach(() => {
    delete (globalThis as Record<symbol, unknown>)[hookName];
    vi.restoreAllMocks();
  });

  it('hands the value to the kernel', () => {
    const hook = vi.fn();
    Object.assign(globalThis, { [hookName]: hook });
    const value = { any: 'thing' };
    display(value, { id: 'one' });
    expect(hook).toHaveBeenCalledWith(value, { id: 'one' });
  });

  it('prints the text outside of a kernel', () => {
    const write = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
    display(new Table({ columns: ['a'], rows: [[1]] }));
    display([1, 2]);
    expect(write.mock.calls.map(([text]) => text)).toEqual(['a\n-\n1\n', '[ 1, 2 ]\n']);
  });
});
