import { isEncoded } from '../base/encode';
import type { Layout, Trace } from '../base/figure';
import { element, plainText, text } from './elements';
import { linearTicks, logTicks, type Tick } from './ticks';

/** A rectangle in pixels. */
export interface Box {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** Two axes and the panel between them. */
export interface AxisPair {
  readonly x: string;
  readonly y: string;
  readonly box: Box;
  readonly px: (value: unknown) => number;
  readonly py: (value: unknown) => number;
  readonly xReversed: boolean;
  readonly yReversed: boolean;
  readonly grid: string;
  readonly labels: string;
}

interface Axis {
  readonly id: string;
  readonly letter: 'x' | 'y';
  readonly options: Layout;
  readonly log: boolean;
  readonly categories: readonly string[];
  /** In the axis' own coordinate: exponents on a log axis, indices on a category axis. */
  readonly range: readonly [number, number];
}

/** The panels of a layout: every y axis with the x axis it is anchored to, or that a trace pairs it with. */
export function axisPairs(layout: Layout, traces: readonly Trace[], paper: Box): AxisPair[] {
  const used = new Set(
    traces.filter(({ type }) => type !== 'table').map((t) => `${t.xaxis ?? 'x'} ${t.yaxis ?? 'y'}`),
  );
  for (const [key, value] of Object.entries(layout)) {
    const match = /^yaxis(\d*)$/.exec(key);
    if (match) used.add(`${(value as Layout).anchor ?? `x${match[1]}`} y${match[1]}`);
  }
  return [...used].map((pair) => {
    const [x, y] = pair.split(' ') as [string, string];
    return makePair(axisOf(layout, traces, x), axisOf(layout, traces, y), layout, paper);
  });
}

function makePair(x: Axis, y: Axis, layout: Layout, paper: Box): AxisPair {
  const box = keepAspect(domainBox(x, y, paper), x, y, layout);
  const px = (value: unknown): number => box.left + fraction(x, value) * box.width;
  const py = (value: unknown): number => box.top + (1 - fraction(y, value)) * box.height;
  const drawn = (axis: Axis): readonly Tick[] => (axis.options.showticklabels === false ? [] : ticksOf(axis));
  return {
    x: x.id,
    y: y.id,
    box,
    px,
    py,
    xReversed: x.range[0] > x.range[1],
    yReversed: y.range[0] > y.range[1],
    grid: gridSvg(x, y, box, px, py),
    labels: labelsSvg(x, y, box, drawn(x), drawn(y), px, py),
  };
}

function axisOf(layout: Layout, traces: readonly Trace[], id: string): Axis {
  const letter = id[0] as 'x' | 'y';
  const options = (layout[`${letter}axis${id.slice(1)}`] ?? {}) as Layout;
  const leader = typeof options.matches === 'string' ? options.matches : id;
  const group = traces.filter((trace) => {
    const own = String(trace[`${letter}axis`] ?? letter);
    const follows = ((layout[`${letter}axis${own.slice(1)}`] ?? {}) as Layout).matches ?? own;
    return trace.type !== 'table' && (own === id || own === leader || follows === leader);
  });
  const values = group.flatMap((trace) => coordinates(trace, letter));
  const categories = values.some((value) => typeof value === 'string')
    ? [...new Set(values.map(String))]
    : [];
  const log = options.type === 'log';
  const range =
    (options.range as [number, number] | undefined) ?? autoRange(values, categories, log, options);
  return { id, letter, options, log, categories, range };
}

/** The coordinates that a trace needs room for; a picture reaches half a voxel beyond its outermost centres. */
function coordinates(trace: Trace, letter: 'x' | 'y'): unknown[] {
  const given = trace[letter];
  if (trace.type !== 'heatmap')
    return Array.isArray(given) ? [...given, ...(trace.type === 'bar' && letter === 'y' ? [0] : [])] : [];
  if (Array.isArray(given) && typeof given[0] === 'string') return given;
  const [rows, columns] = pictureSize(trace.z);
  const count = letter === 'x' ? columns : rows;
  const list = Array.isArray(given) ? (given as number[]) : Array.from({ length: count }, (_, i) => i);
  const half = list.length > 1 ? Math.abs(list[1]! - list[0]!) / 2 : 0.5;
  return [list[0]! - half, list.at(-1)! + half];
}

/** Rows and columns of a heatmap's `z`. */
export function pictureSize(z: unknown): [number, number] {
  if (isEncoded(z)) {
    const [rows = 0, columns = 0] = (z.shape ?? '').split(',').map(Number);
    return [rows, columns];
  }
  const rows = z as readonly (readonly unknown[])[];
  return [rows?.length ?? 0, rows?.[0]?.length ?? 0];
}

function autoRange(
  values: readonly unknown[],
  categories: readonly string[],
  log: boolean,
  options: Layout,
): [number, number] {
  if (categories.length > 0) return [-0.5, categories.length - 0.5];
  const numbers = values
    .filter(
      (value): value is number => typeof value === 'number' && Number.isFinite(value) && !(log && value <= 0),
    )
    .map((value) => (log ? Math.log10(value) : value));
  if (numbers.length === 0) return log ? [-1, 1] : [0, 1];
  let [low, high] = [numbers[0]!, numbers[0]!];
  for (const value of numbers) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  if (options.rangemode === 'tozero') [low, high] = [Math.min(0, low), Math.max(0, high)];
  const room = high > low ? (high - low) * 0.05 : Math.abs(high) * 0.1 || 1;
  return [low === 0 ? 0 : low - room, high === 0 ? 0 : high + room];
}

function domainBox(x: Axis, y: Axis, paper: Box): Box {
  const [x0, x1] = (x.options.domain as [number, number] | undefined) ?? [0, 1];
  const [y0, y1] = (y.options.domain as [number, number] | undefined) ?? [0, 1];
  return {
    left: paper.left + x0 * paper.width,
    top: paper.top + (1 - y1) * paper.height,
    width: (x1 - x0) * paper.width,
    height: (y1 - y0) * paper.height,
  };
}

/** Shrinks a panel whose axes are tied by `scaleanchor`, itself or through the axis it matches, to its proportions. */
function keepAspect(box: Box, x: Axis, y: Axis, layout: Layout): Box {
  const leader = typeof y.options.matches === 'string' ? y.options.matches : y.id;
  const tied = (layout[`yaxis${leader.slice(1)}`] ?? {}) as Layout;
  if (!tied.scaleanchor) return box;
  const ratio = typeof tied.scaleratio === 'number' ? tied.scaleratio : 1;
  const across = Math.abs(x.range[1] - x.range[0]);
  const up = Math.abs(y.range[1] - y.range[0]);
  const scale = Math.min(box.width / across, box.height / (up * ratio));
  const [width, height] = [across * scale, up * ratio * scale];
  const toTop = y.options.constraintoward === 'top';
  return {
    left: box.left + (box.width - width) / 2,
    top: toTop ? box.top : box.top + (box.height - height) / 2,
    width,
    height,
  };
}

function fraction(axis: Axis, value: unknown): number {
  const [from, to] = axis.range;
  const at =
    axis.categories.length > 0 && typeof value === 'string' ? axis.categories.indexOf(value) : Number(value);
  return ((axis.log ? Math.log10(at) : at) - from) / (to - from);
}

function ticksOf(axis: Axis): readonly Tick[] {
  if (axis.categories.length > 0) return axis.categories.map((label) => ({ value: label, label }));
  const count = typeof axis.options.nticks === 'number' ? axis.options.nticks : 6;
  return axis.log ? logTicks(axis.range) : linearTicks(axis.range, count);
}

function gridSvg(x: Axis, y: Axis, box: Box, px: (v: unknown) => number, py: (v: unknown) => number): string {
  const look = (axis: Axis) => ({
    stroke: axis.options.gridcolor ?? 'rgba(128,136,148,0.28)',
    'stroke-width': 1,
  });
  const [right, bottom] = [box.left + box.width, box.top + box.height];
  const shown = (axis: Axis): readonly Tick[] => (axis.options.showgrid === false ? [] : ticksOf(axis));
  return [
    ...shown(x).map(({ value }) =>
      element('line', { x1: px(value), x2: px(value), y1: box.top, y2: bottom, ...look(x) }),
    ),
    ...shown(y).map(({ value }) =>
      element('line', { x1: box.left, x2: right, y1: py(value), y2: py(value), ...look(y) }),
    ),
  ].join('');
}

function labelsSvg(
  x: Axis,
  y: Axis,
  box: Box,
  xTicks: readonly Tick[],
  yTicks: readonly Tick[],
  px: (v: unknown) => number,
  py: (v: unknown) => number,
): string {
  const bottom = box.top + box.height;
  const name = (axis: Axis): string => plainText((axis.options.title as { text?: string } | undefined)?.text);
  const middle = { x: box.left + box.width / 2, y: box.top + box.height / 2 };
  const small = { 'font-size': 11 };
  const side = box.left - 40;
  return [
    ...xTicks.map(({ value, label }) =>
      text(label, px(value), bottom + 14, { 'text-anchor': 'middle', ...small }),
    ),
    ...yTicks.map(({ value, label }) =>
      text(label, box.left - 5, py(value) + 4, { 'text-anchor': 'end', ...small }),
    ),
    name(x) && text(name(x), middle.x, bottom + 29, { 'text-anchor': 'middle', ...small }),
    name(y) &&
      text(name(y), side, middle.y, {
        'text-anchor': 'middle',
        transform: `rotate(-90 ${side} ${middle.y})`,
        ...small,
      }),
  ].join('');
}
