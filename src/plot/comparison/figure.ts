import { InvalidArgument } from '../../errors';
import { Figure, type Layout, type Trace } from '../base/figure';
import { barLook, grayScale, orientationMarks, pictureAxes, windowButtons } from '../base/panels';
import { type Plane, type PlaneName, planesOf } from '../base/planes';
import type { ShownComparison, ShownVolume } from '../base/shown';
import { baseLayout, diverging, heading } from '../base/theme';
import { type PageOptions, pagesOf, slider } from './pages';
import { comparisonTable, seamPanels } from './seams';

const WIDTH = 900; // what the heights are made for; the figure itself follows its cell
const COLUMN_GAP = 0.02;
const MOST_COLUMNS = 5; // more pictures go to further rows

export interface ComparisonFigureOptions extends PageOptions {
  readonly plane?: PlaneName;
}

/**
 * A comparison in one figure: the reference and every candidate side by side under one zoom and one slider, the
 * differences (candidate - reference, within the intensity window as the metrics have it) below them on one symmetric
 * scale, the seam profiles and the table of metrics.
 *
 * ```ts
 * const ct = await pw.readVolume('ct.nii.gz');
 * const smaller = pw.viewVolume(ct, { how: 'resample', shape: [32, 32, 24] });
 * const again = pw.resampleVolume(smaller, ct.shape);
 * pw.comparisonFigure(pw.compareVolumes(ct, { again }), { plane: 'coronal' });
 * ```
 * @throws InvalidArgument if there is no candidate, or the shape of one is not the reference's
 */
export function comparisonFigure(comparison: ShownComparison, options: ComparisonFigureOptions = {}): Figure {
  check(comparison);
  const plane = planesOf(comparison.reference)[options.plane ?? 'axial'];
  const pages = pagesOf(comparison, plane, options);
  const seams = comparison.seamProfiles.length > 0;
  const count = comparison.candidates.length + 1;
  // One candidate has its difference beside it, several have a row of differences below them.
  const isSingle = count === 2;
  const columns = isSingle ? 3 : count > MOST_COLUMNS ? 4 : count;
  const rows = pixelRows(comparison, plane, seams, columns);
  const place = rowPlacer(rows);

  const data: Trace[] = [];
  const layouts: Layout[] = [];
  const annotations: Layout[] = [];
  /** Picture number `cell` in reading order, and its difference in the row below it. */
  const panel = (number: number, cell: number, row: 'pictures' | 'differences', title: string): void => {
    const width = (1 - COLUMN_GAP * (columns - 1)) / columns;
    const left = (cell % columns) * (width + COLUMN_GAP);
    const y = place(`${row} ${Math.floor(cell / columns)}`);
    layouts.push(pictureAxes(number, plane, { x: [left, left + width], y }, 1));
    annotations.push(heading(title, left + width / 2, y[1]));
    if (number === 1) annotations.push(...orientationMarks(1, plane));
  };

  panel(1, 0, 'pictures', 'reference');
  comparison.candidates.forEach(({ name }, i) => {
    panel(i + 2, i + 1, 'pictures', name);
    const [cell, row] = isSingle ? ([2, 'pictures'] as const) : ([i + 1, 'differences'] as const);
    panel(count + i + 1, cell, row, `${name} - reference`);
  });
  for (const page of pages.pages) data.push(...page.traces);

  const pictures = data.length;
  if (seams) {
    const made = seamPanels(comparison.seamProfiles, 2 * count, place('seams'), comparison.intensity.units);
    data.push(...made.data);
    layouts.push(made.axes);
    annotations.push(...made.annotations);
  }
  data.push(comparisonTable(comparison).toTrace({ x: [0, 1], y: place('table') }));

  const bars = isSingle
    ? halves(place('pictures 0')).map(barAt)
    : [barAt(place('pictures 0')), barAt(place('differences 0'))];
  const title = `${comparison.candidates.map(({ name }) => name).join(', ')} against the reference`;
  const layout = Object.assign(baseLayout(title, rows.total), ...layouts, {
    margin: { l: 44, r: 72, t: rows.top, b: rows.bottom },
    annotations,
    legend: {
      orientation: 'h',
      x: 1,
      xanchor: 'right',
      y: place('seams')[1] + 22 / rows.inner,
      yanchor: 'bottom',
      font: { size: 11 },
    },
    coloraxis: grayScale(pages.windows[0]!, pages.units, bars[0]),
    coloraxis2: {
      colorscale: diverging,
      cmin: -pages.limit,
      cmax: pages.limit,
      colorbar: { ...barLook(pages.units ? `Δ ${pages.units}` : 'Δ'), ...bars[1] },
    },
    updatemenus: windowButtons(pages.windows, {
      x: 0,
      xanchor: 'left',
      y: 1,
      yanchor: 'bottom',
      pad: { b: 24 },
    }),
    sliders: pages.pages.length > 1 ? [slider(pages, plane, pictures, place('slider')[1])] : [],
  });
  return new Figure(data, layout, `${title}\n${comparisonTable(comparison).toText()}`);
}

interface Row {
  readonly name: string;
  /** Pixels above it, for headings and axis labels. */
  readonly gap: number;
  readonly height: number;
}

/** The rows of the figure from the top, in pixels. */
function pixelRows(comparison: ShownComparison, plane: Plane, seams: boolean, columns: number) {
  const width = (WIDTH - 116) / columns - 16;
  const height = Math.min(380, Math.max(110, (width * plane.rows * plane.aspect) / plane.columns));
  const isSingle = comparison.candidates.length === 1;
  const bands = Math.ceil((comparison.candidates.length + 1) / columns);
  const list: Row[] = [
    ...Array.from({ length: bands }, (_, band): Row[] => [
      { name: `pictures ${band}`, gap: band === 0 ? 0 : 28, height },
      ...(isSingle ? [] : [{ name: `differences ${band}`, gap: 28, height }]),
    ]).flat(),
    { name: 'slider', gap: 0, height: 84 },
    { name: 'seams', gap: seams ? 40 : 0, height: seams ? 190 : 0 },
    { name: 'table', gap: seams ? 52 : 16, height: 62 + 24 * comparison.metrics.length },
  ];
  const [top, bottom] = [100, 8];
  const inner = list.reduce((sum, row) => sum + row.gap + row.height, 0);
  return { list, inner, top, bottom, total: Math.round(inner + top + bottom) };
}

/** Where each row lies on the paper. */
function rowPlacer({
  list,
  inner,
}: ReturnType<typeof pixelRows>): (name: string) => readonly [number, number] {
  const placed = new Map<string, readonly [number, number]>();
  let from = 0;
  for (const { name, gap, height } of list) {
    from += gap;
    placed.set(name, [1 - (from + height) / inner, 1 - from / inner]);
    from += height;
  }
  return (name) => placed.get(name)!;
}

/** The upper and the lower half of a stretch of the paper, with room for a heading between them. */
function halves([bottom, top]: readonly [number, number]): (readonly [number, number])[] {
  const half = (top - bottom) * 0.46;
  return [
    [top - half, top],
    [bottom, bottom + half],
  ];
}

function barAt([bottom, top]: readonly [number, number]): Layout {
  return { x: 1.005, y: (bottom + top) / 2, len: top - bottom, lenmode: 'fraction' };
}

function check({ reference, candidates }: ShownComparison): void {
  if (candidates.length === 0)
    throw new InvalidArgument('candidates', 'at least one volume to compare', '[]');
  const size = (volume: ShownVolume): string => volume.shape.join(' x ');
  for (const { name, volume } of candidates) {
    if (size(volume) !== size(reference)) {
      throw new InvalidArgument(
        `candidates.${name}`,
        `the reference's shape ${size(reference)}`,
        size(volume),
      );
    }
  }
}
