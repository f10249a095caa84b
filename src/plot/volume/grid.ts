import type { Grid } from '../../patch/grid';
import { Figure, type Layout, type Trace } from '../base/figure';
import { axisId, axisKey, type Domain } from '../base/panels';
import { Table } from '../base/table';
import { baseLayout, color, graphAxis, hairline, heading, ink } from '../base/theme';

const AXES = ['x', 'y', 'z'] as const;
type Axis = 0 | 1 | 2;
const VIEW_GAP = 0.075;
const MOST_RECTANGLES = 400; // of one view; past that a field of blue: their starts say more
/** The three views as [across, up]. */
const VIEWS: readonly (readonly [Axis, Axis])[] = [
  [0, 1],
  [0, 2],
  [1, 2],
];

/** A patch grid as its facts and three views of its patches; where patches overlap their colour deepens. */
export function gridFigure(grid: Grid): Figure {
  const facts = gridTable(grid);
  const data: Trace[] = [facts.toTrace({ x: [0, 0.36], y: [0, 1] })];
  const layouts: Layout[] = [];
  const shapes: Layout[] = [];
  const annotations: Layout[] = [];
  const left = 0.42;
  const width = (1 - left - 2 * VIEW_GAP) / 3;
  VIEWS.forEach(([across, up], i) => {
    const x = [left + i * (width + VIEW_GAP), left + i * (width + VIEW_GAP) + width] as const;
    const view = viewOf(grid, across, up, i + 1, { x, y: [0.06, 0.92] });
    data.push(view.corners);
    layouts.push(view.axes);
    shapes.push(...view.shapes);
    annotations.push(
      heading(
        `${AXES[across]}${AXES[up]} · ${grid.counts[across]} × ${grid.counts[up]}`,
        (x[0] + x[1]) / 2,
        0.94,
      ),
    );
  });
  const summary = `${grid.patches} patches (${grid.counts.join(' × ')}) of ${grid.patch.join(' × ')} over ${grid.volume.join(' × ')} voxels`;
  const layout = Object.assign(baseLayout(summary, 320), ...layouts, {
    margin: { l: 10, r: 20, t: 48, b: 34 },
    showlegend: false,
    shapes,
    annotations,
  });
  return new Figure(data, layout, summary);
}

/** What one wants to know of a grid before training on it. */
export function gridTable(grid: Grid): Table {
  const padding = grid.padding.before.map((before, axis) => before + grid.padding.after[axis]!);
  const row = (name: string, values: readonly (number | string)[]): string[] => [name, ...values.map(String)];
  return new Table({
    columns: ['voxels', ...AXES],
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

function viewOf(
  grid: Grid,
  across: Axis,
  up: Axis,
  panel: number,
  domain: Domain,
): { corners: Trace; axes: Layout; shapes: Layout[] } {
  const [xref, yref] = [axisId('x', panel), axisId('y', panel)];
  const rectangles = grid.starts[up].flatMap((y0) => grid.starts[across].map((x0) => [x0, y0] as const));
  const shapes = (rectangles.length > MOST_RECTANGLES ? [] : rectangles).map(([x0, y0]) => ({
    type: 'rect',
    xref,
    yref,
    x0,
    y0,
    x1: x0 + grid.patch[across],
    y1: y0 + grid.patch[up],
    fillcolor: color(0),
    opacity: 0.28,
    line: { color: color(0), width: 1 },
    layer: 'below',
  }));
  const outline = {
    type: 'rect',
    xref,
    yref,
    x0: 0,
    y0: 0,
    x1: grid.volume[across],
    y1: grid.volume[up],
    line: { color: ink, width: 1.5 },
  };
  const corners: Trace = {
    type: 'scatter',
    mode: 'markers',
    name: 'patch start',
    x: rectangles.map(([x]) => x),
    y: rectangles.map(([, y]) => y),
    xaxis: xref,
    yaxis: yref,
    marker: { size: 4, color: color(1) },
    hovertemplate: `patch starts at ${AXES[across]} %{x}, ${AXES[up]} %{y}<extra></extra>`,
  };
  const ticks = { showgrid: false, zeroline: false, tickcolor: hairline, nticks: 4 };
  const range = (axis: Axis): [number, number] => {
    const low = Math.min(0, ...grid.starts[axis]);
    const high = Math.max(grid.volume[axis], grid.starts[axis].at(-1)! + grid.patch[axis]);
    return [low - 0.02 * (high - low), high + 0.02 * (high - low)];
  };
  const axes = {
    [axisKey('x', panel)]: {
      ...graphAxis(AXES[across], ticks),
      domain: domain.x,
      anchor: yref,
      range: range(across),
      constrain: 'domain',
    },
    [axisKey('y', panel)]: {
      ...graphAxis(AXES[up], ticks),
      domain: domain.y,
      anchor: xref,
      range: range(up),
      scaleanchor: xref,
      constrain: 'domain',
      constraintoward: 'top',
    },
  };
  return { corners, axes, shapes: [...shapes, outline] };
}

function rangeText(overlaps: readonly number[]): string {
  if (overlaps.length === 0) return '-';
  const [low, high] = [Math.min(...overlaps), Math.max(...overlaps)];
  return low === high ? String(low) : `${low} to ${high}`;
}
