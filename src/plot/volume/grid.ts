import type { Grid } from '../../patch/grid';
import { type Axis, axisNames } from '../../vec3';
import { axesOf, type Layout, lineTrace, type Span, spans } from '../base/layout';
import { PLANNED_WIDTH } from '../base/panels';
import { Table } from '../base/table';
import { color, hairline, heading, ink } from '../base/theme';
import { Drawing } from '../figure/drawing';
import type { Figure } from '../figure/figure';

const MOST_RECTANGLES = 400; // of one view; past that a field of blue: their starts say more
const VIEW_Y: Span = [0.06, 0.92];
/** The three views as [across, up]. */
const VIEWS: readonly (readonly [Axis, Axis])[] = [
  [0, 1],
  [0, 2],
  [1, 2],
];

/** A patch grid as its facts and three views of its patches; where patches overlap their colour deepens. */
export function gridFigure(grid: Grid): Figure {
  const drawing = new Drawing();
  const table = gridTable(grid);
  drawing.data.push(table.toTrace({ x: [0, 0.36], y: [0, 1] }));
  const shapes: Layout[] = [];
  const views = spans(3, 0.075, 0.42);
  views.forEach((x, i) => {
    const [across, up] = VIEWS[i]!;
    const [h, v] = [axisNames[across], axisNames[up]];
    drawing.annotations.push(heading(`${h}${v} · ${grid.counts[across]} × ${grid.counts[up]}`, x, 0.94));
    const ticks = { showgrid: false, zeroline: false, tickcolor: hairline, nticks: 4, constrain: 'domain' };
    const axes = drawing.addGraph(
      i + 1,
      '',
      { x, y: VIEW_Y },
      { ...ticks, title: h, range: rangeOf(grid, across) },
      {
        ...ticks,
        title: v,
        range: rangeOf(grid, up),
        scaleanchor: axesOf(i + 1).xaxis,
        constraintoward: 'top',
      },
    );
    const corners = grid.starts[up].flatMap((y0) => grid.starts[across].map((x0) => [x0, y0] as const));
    const hovertemplate = `patch starts at ${h} %{x}, ${v} %{y}<extra></extra>`;
    const marks = { ...axes, mode: 'markers', marker: { size: 4, color: color(1) }, hovertemplate };
    const [xs, ys] = [corners.map(([x0]) => x0), corners.map(([, y0]) => y0)];
    drawing.data.push(lineTrace('patch start', xs, ys, marks));
    const box = { type: 'rect', xref: axes.xaxis, yref: axes.yaxis };
    const patch = {
      ...box,
      fillcolor: color(0),
      opacity: 0.28,
      line: { color: color(0), width: 1 },
      layer: 'below',
    };
    for (const [x0, y0] of corners.length > MOST_RECTANGLES ? [] : corners)
      shapes.push({ ...patch, x0, y0, x1: x0 + grid.patch[across], y1: y0 + grid.patch[up] });
    const whole = { x0: 0, y0: 0, x1: grid.volume[across], y1: grid.volume[up] };
    shapes.push({ ...box, ...whole, line: { color: ink, width: 1.5 } });
  });
  const [counts, patch, volume] = [grid.counts, grid.patch, grid.volume].map((size) => size.join(' × '));
  const summary = `${grid.patches} patches (${counts}) of ${patch} over ${volume} voxels`;
  const look = { margin: { l: 10, r: 20, t: 48, b: 34 }, showlegend: false, shapes };
  const inner = Math.max(30 + 24 * table.rows.length, pixelsOfViews(grid, views[0]!));
  return drawing.figure(summary, Math.round(inner) + look.margin.t + look.margin.b, look);
}

/** How high the views are at the usual width, the tallest of them with its share of the figure. */
function pixelsOfViews(grid: Grid, [from, to]: Span): number {
  const extent = (axis: Axis): number => rangeOf(grid, axis)[1] - rangeOf(grid, axis)[0];
  const tallest = Math.max(...VIEWS.map(([across, up]) => extent(up) / extent(across)));
  return Math.min(240, ((to - from) * PLANNED_WIDTH * tallest) / (VIEW_Y[1] - VIEW_Y[0]));
}

/** From the first to the last voxel of the patches and the volume, with some room. */
function rangeOf({ starts, volume, patch }: Grid, axis: Axis): [number, number] {
  const low = Math.min(0, ...starts[axis]);
  const high = Math.max(volume[axis], starts[axis].at(-1)! + patch[axis]);
  return [low - 0.02 * (high - low), high + 0.02 * (high - low)];
}

/** What one wants to know of a grid before training on it. */
export function gridTable(grid: Grid): Table {
  const padding = grid.padding.before.map((before, axis) => before + grid.padding.after[axis]!);
  const row = (name: string, values: readonly (number | string)[]): string[] => [name, ...values.map(String)];
  return new Table({
    columns: ['voxels', ...axisNames],
    rows: [
      row('volume', grid.volume),
      row('patch', grid.patch),
      row('stride', grid.stride),
      row('patches', grid.counts),
      row('overlap', grid.overlap.map(rangeText)),
      ...(padding.some((voxels) => voxels > 0) ? [row('padding', padding)] : []),
    ],
  });
}

function rangeText(overlaps: readonly number[]): string {
  if (overlaps.length === 0) return '-';
  const [low, high] = [Math.min(...overlaps), Math.max(...overlaps)];
  return low === high ? String(low) : `${low} to ${high}`;
}
