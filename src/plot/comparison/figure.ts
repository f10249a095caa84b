import { InvalidArgument } from '../../errors';
import { ORIGINAL } from '../../evaluate/compare';
import { choiceButtons } from '../base/controls';
import { type Layout, type Span, spans } from '../base/layout';
import {
  differenceScale,
  grayScale,
  orientationMarks,
  PLANNED_WIDTH,
  pictureAxes,
  windowButtons,
} from '../base/panels';
import { type Plane, type PlaneName, planeNames, planesOf } from '../base/planes';
import type { ShownComparison, ShownVolume } from '../base/shown';
import { heading, legendAbove, SMALL } from '../base/theme';
import { Drawing } from '../figure/drawing';
import type { Figure } from '../figure/figure';
import { type PageOptions, type PictureSize, pagesOf, seenWith, sliders } from './pages';
import { addSeams, comparisonTable, SEAMS_ABOVE } from './seams';

const COLUMN_GAP = 0.02;
const MOST_COLUMNS = 5; // more pictures go to further rows

export interface ComparisonFigureOptions extends PageOptions {
  readonly plane?: PlaneName;
}

/**
 * A comparison in one figure: the original and every candidate side by side under one zoom and one slider, the
 * differences (candidate − original, within the intensity window as the metrics have it) below them on one symmetric
 * scale, the seam profiles and the table of metrics.
 *
 * ```ts
 * const ct = await pw.readVolume('ct.nii.gz');
 * const smaller = pw.resampleVolume(ct, [32, 32, 24]);
 * const again = pw.resampleVolume(smaller, ct.shape);
 * pw.comparisonFigure(pw.compareVolumes(ct, { again }), { plane: 'coronal' });
 * ```
 * @throws InvalidArgument if there is no candidate, or the shape of one is not the reference's
 */
export function comparisonFigure(comparison: ShownComparison, options: ComparisonFigureOptions = {}): Figure {
  return comparisonPictures(comparison, options);
}

/** The figure with pictures of a chosen size, and buttons for the planes if `size` is for all of them. */
export function comparisonPictures(
  comparison: ShownComparison,
  options: ComparisonFigureOptions,
  size?: PictureSize & { readonly planes?: 'all' },
): Figure {
  checkComparison(comparison);
  const planes = planesOf(comparison.reference);
  const plane = planes[options.plane ?? 'axial'];
  const shown = size?.planes ? planeNames.map((name) => planes[name]) : [plane];
  const voxels = shown.reduce((sum, { rows, columns }) => sum + rows * columns, 0);
  const all = shown.map((one) => {
    const bytes = size && (size.bytes * one.rows * one.columns) / voxels;
    return pagesOf(comparison, one, options, size && { ...size, bytes: bytes! });
  });
  const pages = all[shown.indexOf(plane)]!;
  const seams = comparison.seamProfiles.length > 0;
  const count = comparison.candidates.length + 1;
  // One candidate has its difference beside it, several have a row of differences below them.
  const isSingle = count === 2;
  const columns = isSingle ? 3 : count > MOST_COLUMNS ? 4 : count;
  const hasSlider = all.some((one) => one.pages.length > 1);
  const rows = pixelRows(comparison, plane, { seams, slider: hasSlider }, columns);
  const { place } = rows;
  const across = spans(columns, COLUMN_GAP);
  const drawing = new Drawing();
  /** Picture number `cell` in reading order, and its difference in the row below it. */
  const panel = (number: number, cell: number, row: 'pictures' | 'differences', title: string): void => {
    const x = across[cell % columns]!;
    const y = place(`${row} ${Math.floor(cell / columns)}`);
    drawing.addAxes(pictureAxes(number, plane, { x, y }, 1));
    drawing.annotations.push(heading(title, x, y[1]));
    if (number === 1) drawing.annotations.push(...orientationMarks(1, plane));
  };

  panel(1, 0, 'pictures', ORIGINAL);
  comparison.candidates.forEach(({ name }, i) => {
    panel(i + 2, i + 1, 'pictures', name);
    const [cell, row] = isSingle ? ([2, 'pictures'] as const) : ([i + 1, 'differences'] as const);
    panel(count + i + 1, cell, row, `${name} − ${ORIGINAL}`);
  });
  if (!isSingle) drawing.annotations.push(differencesNote(comparison, across[0]!, place('differences 0')));
  const seen = seenWith(all, plane, pages.first);
  const traces = all.flatMap((one) => one.pages.flatMap((page) => page.traces));
  drawing.data.push(...traces.map((trace, at) => ({ ...trace, visible: seen[at]! })));
  if (seams)
    addSeams(drawing, comparison.seamProfiles, 2 * count, place('seams'), comparison.intensity.units);
  const table = comparisonTable(comparison);
  drawing.data.push(table.toTrace({ x: [0, 1], y: place('table') }));

  const bars = isSingle
    ? spans(2, 0.08 * rows.pictures, ...place('pictures 0')).reverse()
    : [place('pictures 0'), place('differences 0')];
  const [grayBar, differenceBar] = bars.map(barAt);
  const title = comparisonTitle(comparison);
  const toPlane = all.map((one) => {
    const { yaxis, xaxis } = pictureAxes(1, one.plane, { x: [0, 1], y: [0, 1] }) as Record<string, Layout>;
    const marks = orientationMarks(1, one.plane).map(({ text }, at) => [`annotations[${at + 1}].text`, text]);
    const layout = {
      ...{ 'xaxis.range': xaxis!.range, 'yaxis.range': yaxis!.range, 'yaxis.scaleratio': one.plane.aspect },
      ...{ ...Object.fromEntries(marks), sliders: sliders(one, all, place('slider')[1]) },
    };
    const visible = seenWith(all, one.plane, one.first);
    return { label: one.plane.name, layout, seen: { traces: [...visible.keys()], visible } };
  });
  const windows = windowButtons(pages.windows, { y: 1, yanchor: 'bottom', pad: { b: 24 } });
  const right = { ...{ x: 0.62, y: 1, yanchor: 'bottom' }, pad: { b: 24 } };
  const look = {
    margin: { l: 56, r: 72, t: rows.top, b: rows.bottom },
    legend: legendAbove(rows.inner, place('seams')[1]),
    coloraxis: grayScale(pages.windows[0]!, pages.units, grayBar!),
    coloraxis2: differenceScale(pages.limit, pages.units, differenceBar!),
    updatemenus: [
      ...windows,
      ...(all.length > 1 ? choiceButtons('plane', toPlane, right, windows.length) : []),
    ],
    sliders: sliders(pages, all, place('slider')[1]),
  };
  return drawing.figure(title, rows.total, look, `${title}\n${table.toText()}`);
}

/** The rows of the figure from the top, in pixels, and where each lies on the paper. */
function pixelRows(
  comparison: ShownComparison,
  plane: Plane,
  { seams, slider }: { readonly seams: boolean; readonly slider: boolean },
  columns: number,
) {
  const width = (PLANNED_WIDTH - 116) / columns - 16;
  const pictures = Math.min(380, Math.max(110, (width * plane.rows * plane.aspect) / plane.columns));
  const isSingle = comparison.candidates.length === 1;
  const bands = Math.ceil((comparison.candidates.length + 1) / columns);
  /** `gap` is what a row leaves above it for headings and axis labels. */
  const list: [name: string, gap: number, height: number][] = [];
  for (let band = 0; band < bands; band++) {
    list.push([`pictures ${band}`, band === 0 ? 0 : 28, pictures]);
    if (!isSingle) list.push([`differences ${band}`, 28, pictures]);
  }
  list.push(['slider', 0, slider ? 84 : 8], ['seams', seams ? SEAMS_ABOVE : 0, seams ? 190 : 0]);
  list.push(['table', seams ? 52 : 16, 62 + 24 * comparison.metrics.length]);
  const [top, bottom] = [100, 8];
  const inner = list.reduce((sum, [, gap, height]) => sum + gap + height, 0);
  let from = 0;
  const placed = new Map<string, Span>();
  for (const [name, gap, height] of list) {
    from += gap + height;
    placed.set(name, [1 - from / inner, 1 - (from - height) / inner]);
  }
  const place = (name: string): Span => placed.get(name)!;
  return { place, pictures: pictures / inner, inner, top, bottom, total: Math.round(inner + top + bottom) };
}

/** What the row of differences shows, where the original has none. */
function differencesNote({ intensity }: ShownComparison, [left]: Span, y: Span): Layout {
  const { low, high, units } = intensity;
  const window = `${low} to ${high}${units === 'HU' ? ' HU' : ''}`;
  const text = `differences within<br>${window}<br>red: brighter<br>blue: darker<br>than the ${ORIGINAL}`;
  const at = { x: left, y: (y[0] + y[1]) / 2, yanchor: 'middle', align: 'left', font: { size: SMALL } };
  return { ...heading(text, left, 1), ...at };
}

function barAt([bottom, top]: Span): Layout {
  return { x: 1.005, y: (bottom + top) / 2, len: top - bottom, lenmode: 'fraction' };
}

export function comparisonTitle({ candidates }: ShownComparison): string {
  return `${candidates.map(({ name }) => name).join(', ')} against the ${ORIGINAL}`;
}

/** @throws InvalidArgument if there is no candidate, or the shape of one is not the reference's */
export function checkComparison({ reference, candidates }: ShownComparison): void {
  if (candidates.length === 0)
    throw new InvalidArgument('candidates', 'at least one volume to compare', '[]');
  const size = (volume: ShownVolume): string => volume.shape.join(' x ');
  const shape = size(reference);
  const other = candidates.find(({ volume }) => size(volume) !== shape);
  if (other)
    throw new InvalidArgument(
      `candidates.${other.name}`,
      `the reference's shape ${shape}`,
      size(other.volume),
    );
}
