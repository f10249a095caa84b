import { finiteRange } from '../../volume/intensity';
import { isEncoded, sizeOf } from '../base/encode';
import type { Layout, Place, Span, Trace } from '../base/layout';
import { hairline } from '../base/theme';
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
export type AxisPair = ReturnType<typeof makePair>;

interface Panel {
  readonly box: Box;
  readonly px: (value: unknown) => number;
  readonly py: (value: unknown) => number;
}

interface Axis {
  readonly id: string;
  readonly options: Layout;
  readonly log: boolean;
  readonly categories: readonly string[];
  /** In the axis' own coordinate: exponents on a log axis, indices on a category axis. */
  readonly range: Span;
}

/** The panels of a layout: every y axis with the x axis it is anchored to, or that a trace pairs it with. */
export function axisPairs(layout: Layout, traces: readonly Trace[], paper: Box): AxisPair[] {
  const used = new Set(
    traces.filter(({ type }) => type !== 'table').map((t) => `${t.xaxis ?? 'x'} ${t.yaxis ?? 'y'}`),
  );
  for (const [key, value] of Object.entries(layout)) {
    const match = /^yaxis(\d*)$/.exec(key);
    if (match && (value as Layout).visible !== false && !(value as Layout).overlaying)
      used.add(`${(value as Layout).anchor ?? `x${match[1]}`} y${match[1]}`);
  }
  return [...used].map((pair) => {
    const [x, y] = pair.split(' ') as [string, string];
    return makePair(axisOf(layout, traces, x), axisOf(layout, traces, y), layout, paper);
  });
}

function makePair(x: Axis, y: Axis, layout: Layout, paper: Box) {
  // An axis that lies over another has its place.
  const under = y.options.overlaying ? optionsOf(layout, String(y.options.overlaying)) : y.options;
  const place = { x: domainOf(x.options), y: domainOf(under) };
  const room = boxOf(place, paper);
  const box = keepAspect(room, x, y, layout);
  const panel: Panel = {
    box,
    px: (value) => box.left + fraction(x, value) * box.width,
    py: (value) => box.top + (1 - fraction(y, value)) * box.height,
  };
  return {
    ...panel,
    /** What the layout planned for the panel, which may be lower or narrower for its proportions. */
    room,
    x: x.id,
    y: y.id,
    xReversed: x.range[0] > x.range[1],
    yReversed: y.range[0] > y.range[1],
    grid: gridSvg(x, y, panel),
    labels: labelsSvg(x, y, panel),
  };
}

/** The options of the axis `x3`, which a layout has under `xaxis3`. */
function optionsOf(layout: Layout, id: string): Layout {
  return (layout[`${id[0]}axis${id.slice(1)}`] ?? {}) as Layout;
}

function axisOf(layout: Layout, traces: readonly Trace[], id: string): Axis {
  const letter = id[0] as 'x' | 'y';
  const options = optionsOf(layout, id);
  const leader = options.matches ?? id;
  const group = traces.filter((trace) => {
    const own = String(trace[`${letter}axis`] ?? letter);
    const follows = optionsOf(layout, own).matches ?? own;
    return trace.type !== 'table' && (own === id || own === leader || follows === leader);
  });
  const values = group.flatMap((trace) => coordinates(trace, letter));
  const categories = values.some((value) => typeof value === 'string')
    ? [...new Set(values.map(String))]
    : [];
  const log = options.type === 'log';
  const range = (options.range as Span | undefined) ?? autoRange(values, categories, log, options);
  return { id, options, log, categories, range };
}

/** The coordinates that a trace needs room for; a picture reaches half a voxel beyond its outermost centres. */
function coordinates(trace: Trace, letter: 'x' | 'y'): unknown[] {
  const given = trace[letter];
  if (trace.type === 'bar' && Array.isArray(given)) return [...given, ...barEnds(given, letter)];
  if (trace.type !== 'heatmap') return Array.isArray(given) ? given : [];
  if (Array.isArray(given) && typeof given[0] === 'string') return given;
  const [rows = 0, columns = 0] = pictureSize(trace.z);
  const count = letter === 'x' ? columns : rows;
  const list = Array.isArray(given) ? (given as number[]) : [0, count - 1];
  const half = Array.isArray(given) && given.length > 1 ? Math.abs(list[1]! - list[0]!) / 2 : 0.5;
  return [list[0]! - half, list.at(-1)! + half];
}

/** Bars stand on 0, and the outermost reach half a step beyond their values. */
function barEnds(given: readonly unknown[], letter: 'x' | 'y'): number[] {
  if (letter === 'y') return [0];
  const ends = finiteRange(Float32Array.from(given.filter((value) => typeof value === 'number')));
  return ends ? [ends[0] - 0.5, ends[1] + 0.5] : [];
}

/** Rows and columns of a heatmap's `z`. */
function pictureSize(z: unknown): number[] {
  if (isEncoded(z)) return sizeOf(z);
  const rows = z as readonly (readonly unknown[])[];
  return [rows?.length ?? 0, rows?.[0]?.length ?? 0];
}

function autoRange(
  values: readonly unknown[],
  categories: readonly string[],
  log: boolean,
  options: Layout,
): Span {
  if (categories.length > 0) return [-0.5, categories.length - 0.5];
  const numbers = values.filter((value) => typeof value === 'number' && !(log && value <= 0)) as number[];
  let [low, high] = finiteRange(log ? numbers.map(Math.log10) : numbers) ?? [];
  if (low === undefined || high === undefined) return log ? [-1, 1] : [0, 1];
  if (options.rangemode === 'tozero') [low, high] = [Math.min(0, low), Math.max(0, high)];
  const room = high > low ? (high - low) * 0.05 : Math.abs(high) * 0.1 || 1;
  return [low === 0 ? 0 : low - room, high === 0 ? 0 : high + room];
}

function domainOf({ domain }: Layout): Span {
  return (domain as Span | undefined) ?? [0, 1];
}

/** A part of the paper, in pixels. */
export function boxOf({ x: [left, right], y: [bottom, top] }: Place, paper: Box): Box {
  return {
    left: paper.left + left * paper.width,
    top: paper.top + (1 - top) * paper.height,
    width: (right - left) * paper.width,
    height: (top - bottom) * paper.height,
  };
}

/** Shrinks a panel whose axes are tied by `scaleanchor`, itself or through the axis it matches, to its proportions. */
function keepAspect(box: Box, x: Axis, y: Axis, layout: Layout): Box {
  const tied = optionsOf(layout, String(y.options.matches ?? y.id));
  if (!tied.scaleanchor) return box;
  const across = Math.abs(x.range[1] - x.range[0]);
  const up = Math.abs(y.range[1] - y.range[0]) * Number(tied.scaleratio ?? 1);
  const scale = Math.min(box.width / across, box.height / up);
  const [width, height] = [across * scale, up * scale];
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

function gridSvg(x: Axis, y: Axis, { box, px, py }: Panel): string {
  const look = ({ options }: Axis) => ({ stroke: options.gridcolor ?? hairline, 'stroke-width': 1 });
  const [right, bottom] = [box.left + box.width, box.top + box.height];
  const shown = (axis: Axis): readonly Tick[] => (axis.options.showgrid === false ? [] : ticksOf(axis));
  // The axis below another draws what both have.
  const upright = (y.options.overlaying ? [] : shown(x)).map(({ value }) => ({
    x1: px(value),
    x2: px(value),
    y1: box.top,
    y2: bottom,
  }));
  const level = shown(y).map(({ value }) => ({ x1: box.left, x2: right, y1: py(value), y2: py(value) }));
  return [
    ...upright.map((line) => element('line', { ...line, ...look(x) })),
    ...level.map((line) => element('line', { ...line, ...look(y) })),
  ].join('');
}

function labelsSvg(x: Axis, y: Axis, { box, px, py }: Panel): string {
  const bottom = box.top + box.height;
  const name = ({ options }: Axis): string =>
    plainText((options.title as { text?: string } | undefined)?.text);
  const shown = (axis: Axis): readonly Tick[] => (axis.options.showticklabels === false ? [] : ticksOf(axis));
  const middle = { x: box.left + box.width / 2, y: box.top + box.height / 2 };
  // Beside the numbers, however long they are; a letter is half as wide as it is high.
  const longest = Math.max(0, ...shown(y).map(({ label }) => label.length));
  const side = box.left - Math.min(40, 15 + 6 * longest);
  const centred = { 'text-anchor': 'middle', 'font-size': 11 };
  const size = x.categories.length > 1 ? fittingSize(x.categories, px) : 11;
  const isRight = y.options.side === 'right';
  const turned = { ...centred, transform: `rotate(-90 ${side} ${middle.y})` };
  return [
    ...(y.options.overlaying ? [] : shown(x)).map(({ value, label }) =>
      text(label, px(value), bottom + 14, { ...centred, 'font-size': size }),
    ),
    ...shown(y).map(({ value, label }) =>
      isRight
        ? text(label, box.left + box.width + 5, py(value) + 4, { ...centred, 'text-anchor': 'start' })
        : text(label, box.left - 5, py(value) + 4, { ...centred, 'text-anchor': 'end' }),
    ),
    y.options.overlaying ? '' : name(x) && text(name(x), middle.x, bottom + 29, centred),
    name(y) && text(name(y), side, middle.y, turned),
  ].join('');
}

/** Pixels of the letters of names in a row: smaller where neighbours would run into each other. */
function fittingSize(names: readonly string[], px: Panel['px']): number {
  const room = Math.abs(px(names[1]) - px(names[0]));
  const pairs = names.slice(1).map((name, i) => (name.length + names[i]!.length) / 2 + 1);
  return Math.max(8, Math.min(11, room / (0.54 * Math.max(...pairs))));
}
