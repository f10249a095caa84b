import type { Layout, Trace } from '../base/figure';
import type { AxisPair, Box } from './axes';
import { element, number, plainText, text } from './elements';

const DASHES: Record<string, string> = { dash: '6 4', dot: '2 3', dashdot: '6 3 2 3' };

/** A scatter trace: its line, broken at gaps, and its markers, each drawn as the mode says. */
export function linesSvg(trace: Trace, pair: AxisPair): string {
  const xs = (trace.x ?? []) as readonly unknown[];
  const ys = (trace.y ?? []) as readonly unknown[];
  const points = ys.map((y, i) =>
    y === null || y === undefined ? undefined : ([pair.px(xs[i] ?? i), pair.py(y)] as const),
  );
  const drawn = points.map((point) => (point?.every(Number.isFinite) ? point : undefined));
  const mode = String(trace.mode ?? 'lines');
  const line = (trace.line ?? {}) as { color?: string; width?: number; dash?: string };
  const marker = (trace.marker ?? {}) as { color?: string; size?: number };
  const color = line.color ?? marker.color ?? '#0072b2';
  const path = drawn
    .map((point, i) => (point ? `${drawn[i - 1] ? 'L' : 'M'}${number(point[0])} ${number(point[1])}` : ''))
    .join('');
  const look = {
    stroke: color,
    'stroke-width': line.width ?? 2,
    'stroke-dasharray': DASHES[line.dash ?? ''],
  };
  const stroke =
    mode.includes('lines') && path
      ? element('path', { d: path, fill: 'none', 'stroke-linejoin': 'round', ...look })
      : '';
  const dots = mode.includes('markers')
    ? drawn
        .map((point) =>
          point
            ? element('circle', {
                cx: point[0],
                cy: point[1],
                r: (marker.size ?? 6) / 2,
                fill: marker.color ?? color,
              })
            : '',
        )
        .join('')
    : '';
  return stroke + dots;
}

/** A bar trace, upright bars side by side at their categories or values. */
export function barsSvg(trace: Trace, pair: AxisPair): string {
  const xs = (trace.x ?? []) as readonly unknown[];
  const ys = (trace.y ?? []) as readonly unknown[];
  const fill = (trace.marker as { color?: string } | undefined)?.color ?? '#0072b2';
  const width = 0.8 * (xs.length > 1 ? Math.abs(pair.px(xs[1]) - pair.px(xs[0])) : pair.box.width / 2);
  const zero = pair.py(0);
  return xs
    .map((x, i) => {
      const y = pair.py(ys[i] ?? 0);
      if (!Number.isFinite(y)) return '';
      return element('rect', {
        x: pair.px(x) - width / 2,
        y: Math.min(y, zero),
        width,
        height: Math.abs(zero - y),
        fill,
      });
    })
    .join('');
}

const ROW = 18;

/** One entry for each legend group, in rows (`orientation: 'h'`) or a column; `bottom` is where it ends. */
export function legendSvg(
  traces: readonly Trace[],
  layout: Layout,
  paper: Box,
): { readonly svg: string; readonly bottom: number } {
  if (layout.showlegend === false) return { svg: '', bottom: 0 };
  const lines = traces.filter(
    ({ type, showlegend }) => (type === 'scatter' || type === 'bar') && showlegend !== false,
  );
  const entries = [
    ...new Map(lines.map((trace) => [String(trace.legendgroup ?? trace.name), trace])).values(),
  ].filter(({ name }) => name);
  if (entries.length < 2) return { svg: '', bottom: 0 };
  const legend = (layout.legend ?? {}) as {
    orientation?: string;
    x?: number;
    y?: number;
    xanchor?: string;
    yanchor?: string;
  };
  const across = legend.orientation === 'h';
  const sizes = entries.map(({ name }) => plainText(name).length * 6.4 + 40);
  const widest = Math.max(...sizes);
  const rows = across ? wrapped(sizes, paper.width) : sizes.map((_, i) => [i]);
  const start = paper.top + (1 - (legend.y ?? 1)) * paper.height;
  // Further rows go away from the point that the legend hangs on, or stands on.
  const first = legend.yanchor === 'bottom' ? start - 6 - ROW * (rows.length - 1) : start + 12;
  const parts = rows.flatMap((row, at) => {
    const width = across ? row.reduce((sum, i) => sum + sizes[i]!, 0) : widest;
    const x = paper.left + (legend.x ?? 1.02) * paper.width - (legend.xanchor === 'right' ? width : 0);
    const before = (i: number): number =>
      across ? row.slice(0, i).reduce((sum, j) => sum + sizes[j]!, 0) : 0;
    return row.map((entry, i) => entrySvg(entries[entry]!, x + before(i), first + ROW * at));
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
  const line = {
    color: (trace.marker as { color?: string } | undefined)?.color ?? '#0072b2',
    width: 2,
    ...(trace.line as object),
  } as { color: string; width: number; dash?: string };
  const swatch = element('line', {
    x1: x,
    x2: x + 22,
    y1: y - 4,
    y2: y - 4,
    stroke: line.color,
    'stroke-width': line.width,
    'stroke-dasharray': DASHES[line.dash ?? ''],
  });
  return swatch + text(plainText(trace.name), x + 27, y, { 'font-size': 11 });
}
