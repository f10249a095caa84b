import { InvalidArgument } from '../errors';
import { type PageOptions, pagesOf, slider } from './comparison-pages';
import { comparisonTable, seamPanels } from './comparison-panels';
import { Figure, type Layout, type Trace } from './figure';
import { barLook, grayScale, orientationMarks, pictureAxes, windowButtons } from './panels';
import type { ShownComparison, ShownVolume } from './shown';
import { type Plane, type PlaneName, planesOf } from './slices';
import { baseLayout, diverging, heading } from './theme';

const WIDTH = 900; // what the heights are made for; the figure itself follows its cell
const COLUMN_GAP = 0.02;

export interface ComparisonFigureOptions extends PageOptions {
  readonly plane?: PlaneName;
}

/**
 * A comparison in one figure: the reference and every candidate side by side under one zoom and one slider, the
 * differences (candidate - reference, within the intensity window as the metrics have it) below them on one symmetric
 * scale, the seam profiles and the table of metrics.
 *
 * @throws InvalidArgument where there is no candidate or its shape is not the reference's
 */
export function comparisonFigure(comparison: ShownComparison, options: ComparisonFigureOptions = {}): Figure {
  check(comparison);
  const plane = planesOf(comparison.reference)[options.plane ?? 'axial'];
  const pages = pagesOf(comparison, plane, options);
  const seams = comparison.seamProfiles.length > 0;
  const rows = pixelRows(comparison, plane, seams);
  const place = rowPlacer(rows);

  const data: Trace[] = [];
  const layouts: Layout[] = [];
  const annotations: Layout[] = [];
  const columns = comparison.candidates.length + 1;
  const columnAt = (column: number): readonly [number, number] => {
    const width = (1 - COLUMN_GAP * (columns - 1)) / columns;
    return [column * (width + COLUMN_GAP), column * (width + COLUMN_GAP) + width];
  };
  const panel = (number: number, column: number, row: 'pictures' | 'differences', title: string): void => {
    const domain = { x: columnAt(column), y: place(row) };
    layouts.push(pictureAxes(number, plane, domain, 1));
    annotations.push(heading(title, (domain.x[0] + domain.x[1]) / 2, domain.y[1]));
    if (number === 1) annotations.push(...orientationMarks(1, plane));
  };

  panel(1, 0, 'pictures', 'reference');
  comparison.candidates.forEach(({ name }, i) => {
    panel(i + 2, i + 1, 'pictures', name);
    panel(columns + i + 1, i + 1, 'differences', `${name} - reference`);
  });
  for (const page of pages.pages) data.push(...page.traces);

  const pictures = data.length;
  if (seams) {
    const made = seamPanels(comparison.seamProfiles, 2 * columns, place('seams'));
    data.push(...made.data);
    layouts.push(made.axes);
    annotations.push(...made.annotations);
  }
  data.push(comparisonTable(comparison).toTrace({ x: [0, 1], y: place('table') }));

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
    coloraxis: grayScale(pages.windows[0]!, pages.units, barAt(place('pictures'))),
    coloraxis2: {
      colorscale: diverging,
      cmin: -pages.limit,
      cmax: pages.limit,
      colorbar: { ...barLook(pages.units ? `Δ ${pages.units}` : 'Δ'), ...barAt(place('differences')) },
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

/** Heights in pixels, from the top; empty rows take nothing. */
function pixelRows(comparison: ShownComparison, plane: Plane, seams: boolean) {
  const columns = comparison.candidates.length + 1;
  const width = (WIDTH - 116) / columns - 16;
  const pictures = Math.min(380, Math.max(110, (width * plane.rows * plane.aspect) / plane.columns));
  const heights = {
    pictures,
    differences: pictures,
    slider: 84,
    seams: seams ? 190 : 0,
    table: 40 + 24 * comparison.metrics.length,
  };
  const gaps = { pictures: 0, differences: 28, slider: 0, seams: seams ? 40 : 0, table: seams ? 52 : 16 };
  const [top, bottom] = [100, 8];
  const inner = Object.values(heights).reduce((a, b) => a + b) + Object.values(gaps).reduce((a, b) => a + b);
  return { heights, gaps, inner, top, bottom, total: Math.round(inner + top + bottom) };
}

type Rows = ReturnType<typeof pixelRows>;

/** Where each row lies on the paper. */
function rowPlacer(rows: Rows): (row: keyof Rows['heights']) => readonly [number, number] {
  const placed = new Map<string, readonly [number, number]>();
  let from = 0;
  for (const [name, height] of Object.entries(rows.heights)) {
    from += rows.gaps[name as keyof Rows['gaps']];
    placed.set(name, [1 - (from + height) / rows.inner, 1 - from / rows.inner]);
    from += height;
  }
  return (row) => placed.get(row)!;
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
