import type { Layout, Trace } from '../base/layout';
import type { Box } from './axes';
import { element, plainText, text } from './elements';
import { looksOf, strokeOf, UNNAMED } from './lines';

/** Pixels between the rows of a legend. */
const ROW = 18;

/** All legends of a layout; `bottom` is where the lowest of them ends. */
export function legendsSvg(
  traces: readonly Trace[],
  layout: Layout,
  paper: Box,
): { readonly svg: string; readonly bottom: number } {
  if (layout.showlegend === false) return { svg: '', bottom: 0 };
  const named = traces.filter(({ type, name, showlegend }) => {
    return (type === 'scatter' || type === 'bar') && name && showlegend !== false;
  });
  const keys = [...new Set(named.map(keyOf))];
  // Plotly leaves out a legend of a single line, unless it has several legends.
  if (keys.length === 1 && entriesOf(named).length < 2) return { svg: '', bottom: 0 };
  const legends = keys.map((key) =>
    legendSvg(entriesOf(named.filter((trace) => keyOf(trace) === key)), (layout[key] ?? {}) as Layout, paper),
  );
  return {
    svg: legends.map(({ svg }) => svg).join(''),
    bottom: Math.max(0, ...legends.map(({ bottom }) => bottom)),
  };
}

function keyOf({ legend }: Trace): string {
  return String(legend ?? 'legend');
}

/** One trace for each legend group. */
function entriesOf(traces: readonly Trace[]): readonly Trace[] {
  return [...new Map(traces.map((trace) => [String(trace.legendgroup ?? trace.name), trace])).values()];
}

/** Entries in rows (`orientation: 'h'`) or in a column. */
function legendSvg(
  entries: readonly Trace[],
  look: Layout,
  paper: Box,
): { readonly svg: string; readonly bottom: number } {
  const defaults = { orientation: 'v', x: 1.02, y: 1, xanchor: 'left', yanchor: 'top' };
  const legend = { ...defaults, ...look };
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
