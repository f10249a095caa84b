import { describe, expect, it } from 'vitest';
import { planGrid } from '../../src/patch/grid';
import { decodePicture, type EncodedArray } from '../../src/plot/base/encode';
import type { Layout, Trace } from '../../src/plot/base/layout';
import { planesOf, sliceOf } from '../../src/plot/base/planes';
import { comparisonFigure } from '../../src/plot/comparison/figure';
import { comparisonTable } from '../../src/plot/comparison/seams';
import type { Figure } from '../../src/plot/figure/figure';
import { volumeFigure } from '../../src/plot/volume/figure';
import { gridFigure } from '../../src/plot/volume/grid';
import { body, comparisonOf, volumeOf } from './samples';

const heatmaps = (figure: Figure): Trace[] => figure.data.filter(({ type }) => type === 'heatmap');
/** The pictures that are seen before a slider is moved. */
const shown = (figure: Figure): Trace[] => heatmaps(figure).filter(({ visible }) => visible !== false);
const valuesOf = (trace: Trace): Float32Array => decodePicture(trace.z as EncodedArray).values;

describe('a volume', () => {
  const figure = volumeFigure(body);

  it('is three slices through its middle, with the voxels of the volume', () => {
    const planes = planesOf(body);
    expect(shown(figure).map(({ name }) => name)).toEqual(['axial', 'coronal', 'sagittal']);
    const rounded = (values: Float32Array): number[] => [...values].map(Math.round);
    expect([...valuesOf(shown(figure)[0]!)]).toEqual(rounded(sliceOf(body, planes.axial, 6)));
    expect([...valuesOf(shown(figure)[2]!)]).toEqual(rounded(sliceOf(body, planes.sagittal, 12)));
  });

  it('keeps the proportions of its spacing and the side of the patient', () => {
    expect(figure.layout.yaxis).toMatchObject({ scaleanchor: 'x', scaleratio: 1 });
    expect(figure.layout.yaxis2).toMatchObject({ scaleanchor: 'x2', scaleratio: 2 });
    expect((figure.layout.xaxis as Layout).range).toEqual([23.5, -0.5]);
  });

  it('offers windows in HU where the values look like HU, else a range', () => {
    const labels = (of: Figure): string[] =>
      (of.layout.updatemenus as { buttons: { label: string }[] }[]).flatMap(({ buttons }) =>
        buttons.map(({ label }) => label),
      );
    expect(labels(figure)).toEqual(['ctpa', 'mediastinum', 'lung', 'bone', 'full range']);
    expect(figure.layout.coloraxis).toMatchObject({ cmin: -200, cmax: 500 });
    const levels = volumeFigure(volumeOf([24, 20, 12], (x, y) => (x + y === 0 ? 255 : x)));
    expect(labels(levels)).toEqual(['middle 99 %', 'full range']);
  });

  it('thins a large slice and still names its voxels', () => {
    const large = volumeFigure(volumeOf([850, 6, 4], (x) => x));
    const [axial] = shown(large);
    expect(axial).toMatchObject({ dx: 4, x0: 0 });
    expect([...valuesOf(axial!).subarray(0, 3)]).toEqual([0, 4, 8]);
    expect((axial!.z as EncodedArray).shape).toBe('2, 213');
  });

  it('turns to another slice by a slider, which moves its line in the other planes', () => {
    const sliders = figure.layout.sliders as {
      active: number;
      steps: { args: [Layout, Layout, number[]] }[];
    }[];
    expect(sliders).toHaveLength(3);
    const [axial, coronal] = sliders;
    expect(axial!.steps).toHaveLength(12); // every slice of a small volume
    expect(axial!.active).toBe(6);
    const [{ visible }, moved, traces] = axial!.steps[9]!.args;
    expect(traces.map((at) => figure.data[at]!.name)).toEqual(Array(12).fill('axial'));
    expect((visible as boolean[]).indexOf(true)).toBe(9);
    expect(moved['annotations[0].text']).toBe('axial · z = 9');
    // The axial slice is a level line in both others.
    const shapes = figure.layout.shapes as Layout[];
    for (const [at, panel] of [
      [0, 2],
      [1, 3],
    ] as const) {
      expect(shapes[at]).toMatchObject({ yref: `y${panel}`, y0: 6, y1: 6 });
      expect(moved[`shapes[${at}].y0`]).toBe(9);
    }
    // The coronal slice is a level line in the axial one and an upright in the sagittal one.
    expect(shapes[2]).toMatchObject({ yref: 'y', y0: 10 });
    expect(shapes[3]).toMatchObject({ xref: 'x3', x0: 10 });
    expect(Object.keys(coronal!.steps[0]!.args[1])).toContain('shapes[3].x0');
  });

  it('of a large one holds few slices, so that a report stays small', () => {
    const json = JSON.stringify(volumeFigure(volumeOf([300, 300, 40], (x, y, z) => x * y + z)));
    expect(json.length).toBeLessThan(3_500_000);
  });

  it('says in words what it is', () => {
    expect(figure.summary).toBe('sample.nii.gz · 24 × 20 × 12 voxels · 1 × 1 × 2 mm · -1000 to 311 HU');
    const empty = volumeFigure(volumeOf([4, 4, 4], () => Number.NaN));
    expect(empty.summary).toBe('sample.nii.gz · 4 × 4 × 4 voxels · 1 × 1 × 2 mm · no finite value');
  });
});

describe('a comparison', () => {
  const comparison = comparisonOf(body, ['linear', 'gaussian']);
  const figure = comparisonFigure(comparison, { slices: [2, 6, 9] });

  it('shows any number of candidates and their differences, one page visible', () => {
    expect(heatmaps(figure)).toHaveLength(3 * 5);
    const visible = heatmaps(figure).filter((trace) => trace.visible === true);
    expect(visible.map(({ name }) => name)).toEqual([
      'original',
      'linear',
      'linear − original',
      'gaussian',
      'gaussian − original',
    ]);
    expect(
      heatmaps(comparisonFigure(comparisonOf(body, ['a', 'b', 'c', 'd']), { slices: [3] })),
    ).toHaveLength(9);
  });

  it('subtracts within the intensity window, on one symmetric scale', () => {
    const difference = heatmaps(figure).find(({ name }) => name === 'gaussian − original')!;
    const values = valuesOf(difference);
    expect(values[0]).toBe(0); // air on both sides of the window's lower end
    expect(Math.max(...values)).toBe(7); // at % 7 + 1
    const { cmin, cmax } = figure.layout.coloraxis2 as { cmin: number; cmax: number };
    expect(cmin).toBe(-cmax);
    expect(cmax).toBeGreaterThan(5);
    expect(difference.coloraxis).toBe('coloraxis2');
  });

  it('puts many candidates in rows, each difference below its candidate', () => {
    const many = comparisonFigure(comparisonOf(body, ['a', 'b', 'c', 'd', 'e', 'f']), { slices: [3] });
    const domain = (axis: string) => (many.layout[axis] as { domain: [number, number] }).domain;
    // Panel 5 is the fourth candidate, the first of the second row; panel 11 is its difference.
    expect(domain('xaxis5')).toEqual(domain('xaxis'));
    expect(domain('xaxis11')).toEqual(domain('xaxis5'));
    expect(domain('yaxis11')[1]).toBeLessThan(domain('yaxis5')[0]);
    expect(domain('yaxis5')[1]).toBeLessThan(domain('yaxis8')[0]);
  });

  it('has the difference of a single candidate beside it, with both colour bars at the right', () => {
    const single = comparisonFigure(comparisonOf(body, ['a']), { slices: [3] });
    const domain = (axis: string) => (single.layout[axis] as { domain: [number, number] }).domain;
    expect(domain('yaxis3')).toEqual(domain('yaxis'));
    expect(domain('xaxis3')[0]).toBeGreaterThan(domain('xaxis2')[1]);
    const bar = (axis: string) => (single.layout[axis] as { colorbar: { y: number; len: number } }).colorbar;
    const [gray, difference] = [bar('coloraxis'), bar('coloraxis2')];
    expect(gray.y - gray.len / 2).toBeGreaterThan(difference.y + difference.len / 2);
  });

  it('zooms all panels as one', () => {
    for (const panel of [2, 3, 4, 5]) {
      expect(figure.layout[`xaxis${panel}`]).toMatchObject({ matches: 'x' });
      expect(figure.layout[`yaxis${panel}`]).toMatchObject({ matches: 'y' });
    }
  });

  it('has a slider whose stops each show one slice of every picture', () => {
    const [slider] = figure.layout.sliders as {
      steps: { label: string; args: [{ visible: boolean[] }, number[]] }[];
    }[];
    expect(slider!.steps.map(({ label }) => label)).toEqual(['2', '6', '9']);
    slider!.steps.forEach(({ args: [{ visible }, indices] }, page) => {
      expect(indices).toEqual(Array.from({ length: 15 }, (_, i) => i));
      expect(visible.map((shown, i) => (shown ? i : -1)).filter((i) => i >= 0)).toEqual(
        [0, 1, 2, 3, 4].map((i) => 5 * page + i),
      );
    });
  });

  it('takes as many slices as a few MB hold', () => {
    const small = comparisonFigure(comparison);
    expect((small.layout.sliders as { steps: unknown[] }[])[0]!.steps).toHaveLength(11); // of 12, an odd number
    const large = volumeOf([256, 256, 3], (x, y, z) => 40 + x * y + z);
    expect(JSON.stringify(comparisonFigure(comparisonOf(large, ['a', 'b', 'c', 'd']))).length).toBeLessThan(
      4e6,
    );
  });

  it('has the seam profiles, the original dashed, and the metrics in their units', () => {
    const lines = figure.data.filter(({ type }) => type === 'scatter');
    expect(lines).toHaveLength(9);
    expect((lines[0]!.line as Layout).dash).toBe('dash');
    expect(comparisonTable(comparison).columns).toEqual([
      'candidate',
      'PSNR, dB',
      'SSIM',
      'MAE, HU',
      'RMSE, HU',
    ]);
    expect(comparisonTable(comparison).rows[1]).toEqual(['gaussian', '31.00', '0.9000', '4.25', '4.00']);
    const stored = { ...comparison, metrics: [{ name: 'read from JSON', psnr: 31, ssim: null }] };
    const table = comparisonTable(stored as unknown as typeof comparison);
    expect([table.columns, ...table.rows]).toEqual([
      ['candidate', 'PSNR, dB'],
      ['read from JSON', '31.00'],
    ]);
    const named = Object.entries(figure.layout).filter(
      ([key, axis]) => /^yaxis/.test(key) && (axis as { title?: Layout }).title?.text === 'mean jump, HU',
    );
    expect(named).toHaveLength(3);
  });

  it('refuses what cannot be compared', () => {
    const other = volumeOf([24, 20, 11], () => 0);
    const wrong = { ...comparison, candidates: [{ name: 'short', volume: other }] };
    expect(() => comparisonFigure(wrong)).toThrow(
      /candidates.short: expected the reference's shape 24 x 20 x 12/,
    );
    expect(() => comparisonFigure({ ...comparison, candidates: [] })).toThrow(/at least one volume/);
  });
});

describe('a grid', () => {
  const figure = gridFigure(planGrid([512, 512, 604], { patch: [256, 256, 128], stride: [192, 192, 96] }));

  it('is its facts and three views with every patch in them', () => {
    expect(figure.summary).toContain('54 patches (3 × 3 × 6)');
    expect((figure.layout.shapes as unknown[]).length).toBe(9 + 18 + 18 + 3);
    const [table] = figure.data;
    const rows = (table!.cells as { values: string[][] }).values;
    expect(rows[0]).toEqual(['volume', 'patch', 'stride', 'patches', 'overlap']);
    expect(rows.map((column) => column[4])).toEqual(['overlap', '64 to 192', '64 to 192', '32 to 36']);
  });

  it('names the padding where the volume is smaller than the patch', () => {
    const padded = gridFigure(planGrid([20, 64, 64], { patch: [32, 32, 32], stride: [24, 24, 24] }));
    const rows = (padded.data[0]!.cells as { values: string[][] }).values;
    expect(rows.map((column) => column.at(-1))).toEqual(['padding', '12', '0', '0']);
  });
});
