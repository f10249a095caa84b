import type { Layout, Trace } from '../base/layout';
import type { AxisPair, Box } from './axes';
import { element, number, plainText, text } from './elements';

const DASHES: Record<string, string> = { dash: '6 4', dot: '2 3', dashdot: '6 3 2 3' };
const UNNAMED = '#0072b2'; // the colour of a trace that names none

interface Look {
  readonly color?: string;
  readonly width?: number;
  readonly dash?: string;
  readonly size?: number;
}

function looksOf({ line, marker }: Trace): { line: Look; marker: Look } {
  return { line: (line ?? {}) as Look, marker: (marker ?? {}) as Look };
}

function strokeOf({ width = 2, dash = '' }: Look, color: string): Record<string, unknown> {
  return { stroke: color, 'stroke-width': width, 'stroke-dasharray': DASHES[dash] };
}

/** A scatter trace: its line, broken at gaps, and its markers, each drawn as the mode says. */
export function linesSvg(trace: Trace, pair: AxisPair): string {
  const xs = (trace.x ?? []) as readonly unknown[];
  const ys = (trace.y ?? []) as readonly unknown[];
  const points = ys.map((y, i) => (y === null || y === undefined ? [] : [pair.px(xs[i] ?? i), pair.py(y)]));
  const drawn = points.map(([x, y]) =>
    Number.isFinite(x) && Number.isFinite(y) ? ([x!, y!] as const) : undefined,
  );
  const mode = String(trace.mode ?? 'lines');
  const { line, marker } = looksOf(trace);
  const color = line.color ?? marker.color ?? UNNAMED;
  const d = drawn
    .map((point, i) => point && `${drawn[i - 1] ? 'L' : 'M'}${number(point[0])} ${number(point[1])}`)
    .join('');
  const look = { d, fill: 'none', 'stroke-linejoin': 'round', ...strokeOf(line, color) };
  const [r, fill] = [(marker.size ?? 6) / 2, marker.color ?? color];
  const dots = mode.includes('markers')
    ? drawn.map((point) => point && element('circle', { cx: point[0], cy: point[1], r, fill }))
    : [];
  return [mode.includes('lines') && d ? element('path', look) : '', ...dots].join('');
}

/** A bar trace, upright bars side by side at their categories or values. */
export function barsSvg(trace: Trace, pair: AxisPair): string {
  const xs = (trace.x ?? []) as readonly unknown[];
  const ys = (trace.y ?? []) as readonly unknown[];
  const fill = looksOf(trace).marker.color ?? UNNAMED;
  const width = 0.8 * (xs.length > 1 ? Math.abs(pair.px(xs[1]) - pair.px(xs[0])) : pair.box.width / 2);
  const zero = pair.py(0);
  const bars = xs.map((x, i) => {
    const y = pair.py(ys[i] ?? 0);
    const box = { x: pair.px(x) - width / 2, y: Math.min(y, zero), width, height: Math.abs(zero - y) };
    return Number.isFinite(y) ? element('rect', { ...box, fill }) : '';
  });
  return bars.join('');
}

const ROW = 18;

/** One entry for each legend group, in rows (`orientation: 'h'`) or a column; `bottom` is where it ends. */
export function legendSvg(
  traces: readonly Trace[],
  layout: Layout,
  paper: Box,
): { readonly svg: string; readonly bottom: number } {
  const lines = traces.filter(
    ({ type, showlegend }) => (type === 'scatter' || type === 'bar') && showlegend !== false,
  );
  const groups = new Map(lines.map((trace) => [String(trace.legendgroup ?? trace.name), trace]));
  const entries = [...groups.values()].filter(({ name }) => name);
  if (layout.showlegend === false || entries.length < 2) return { svg: '', bottom: 0 };
  const legend = {
    orientation: 'v',
    x: 1.02,
    y: 1,
    xanchor: 'left',
    yanchor: 'top',
    ...(layout.legend as object),
  };
  const sizes = entries.map(({ name }) => plainText(name).length * 6.4 + 40);
  const rows = legend.orientation === 'h' ? wrapped(sizes, paper.width) : sizes.map((_, i) => [i]);
  const widthOf = (row: readonly number[]): number => row.reduce((sum, i) => sum + sizes[i]!, 0);
  const widest = legend.orientation === 'h' ? 0 : Math.max(...sizes);
  const start = paper.top + (1 - legend.y) * paper.height;
  // Further rows go away from the point that the legend hangs on, or stands on.
  const first = legend.yanchor === 'bottom' ? start - 6 - ROW * (rows.length - 1) : start + 12;
  const parts = rows.flatMap((row, at) => {
    const width = Math.max(widest, widthOf(row));
    const x = paper.left + legend.x * paper.width - (legend.xanchor === 'right' ? width : 0);
    return row.map((entry, i) => entrySvg(entries[entry]!, x + widthOf(row.slice(0, i)), first + ROW * at));
  });
  return { svg: parts.join(''), bottom: first + ROW * (rows.length - 1) };
}

/** The indices of entries in rows that are no wider than `room`. */
function wrapped(sizes: readonly number[], room: number): number[][] {
  const rows: number[][] = [[]];
  let used = 0;
  for (const [i, size] of sizes.entries()) {
    if (used > 0 && used + size > room) {
      rows.push([]);
      used = 0;
    }
    rows.at(-1)!.push(i);
    used += size;
  }
  return rows;
}

function entrySvg(trace: Trace, x: number, y: number): string {
  const { line, marker } = looksOf(trace);
  const look = strokeOf(line, line.color ?? marker.color ?? UNNAMED);
  const swatch = element('line', { x1: x, x2: x + 22, y1: y - 4, y2: y - 4, ...look });
  return swatch + text(plainText(trace.name), x + 27, y, { 'font-size': 11 });
}
