import { finiteRange } from '../../volume/intensity';
import { decodePicture, isEncoded } from '../base/encode';
import type { Layout, Span, Trace } from '../base/layout';
import { viridis } from '../base/theme';
import type { AxisPair, Box } from './axes';
import { element, plainText, text } from './elements';
import { encodePng } from './png';
import { linearTicks } from './ticks';

type Scale = readonly (readonly [number, string])[];
type Rgb = readonly [number, number, number];

/** How fine the embedded pictures are. */
export interface Fineness {
  /** Most pixels a side; a larger picture shows every second voxel, and so on. */
  readonly most: number;
  /** Pixels that a voxel gets for each pixel of the panel, if it covers two and more: its edges stay sharp in every viewer. */
  readonly sharp: number;
  /** Steps of a colour bar. */
  readonly shades: number;
}

/** A heatmap as an embedded PNG that fills its panel. */
export function heatmapSvg(trace: Trace, pair: AxisPair, layout: Layout, { most, sharp }: Fineness): string {
  const { values, rows, columns } = valuesOf(trace.z);
  if (rows === 0 || columns === 0) return '';
  const shared = layout[String(trace.coloraxis)] as Layout | undefined;
  const scale = scaleOf(shared?.colorscale ?? trace.colorscale);
  const [low, high] = limits(values, shared?.cmin ?? trace.zmin, shared?.cmax ?? trace.zmax);
  const step = Math.max(1, Math.ceil(Math.max(rows, columns) / most));
  const covered = Math.max(pair.box.width / columns, pair.box.height / rows);
  const times = covered < 2 ? 1 : Math.max(1, Math.ceil(covered * sharp));
  const [height, width] = [times * Math.ceil(rows / step), times * Math.ceil(columns / step)];
  const lookup = Array.from({ length: 256 }, (_, i) => colorAt(scale, i / 255));
  const gray = lookup.every(([r, g, b]) => r === g && g === b);
  const isWhole = values.every((value) => !Number.isNaN(value));
  const channels = !isWhole ? 4 : gray ? 1 : 3;
  const pixels = new Uint8Array(height * width * channels);
  for (let y = 0; y < height; y++) {
    const down = Math.floor((pair.yReversed ? y : height - 1 - y) / times);
    const row = Math.min(rows - 1, down * step);
    for (let x = 0; x < width; x++) {
      const across = Math.floor((pair.xReversed ? width - 1 - x : x) / times);
      const column = Math.min(columns - 1, across * step);
      const value = values[row * columns + column]!;
      if (Number.isNaN(value)) continue; // nothing is there, so the paper is seen
      const level = Math.round((255 * (value - low)) / (high - low));
      const color = lookup[Math.max(0, Math.min(255, level))]!;
      for (let c = 0; c < channels; c++) pixels[(y * width + x) * channels + c] = color[c] ?? 255;
    }
  }
  const png = Buffer.from(encodePng(width, height, pixels, channels)).toString('base64');
  const { left: x, top: y, ...size } = pair.box;
  const look = { preserveAspectRatio: 'none', style: 'image-rendering:pixelated' };
  const image = element('image', { x, y, ...size, ...look, href: `data:image/png;base64,${png}` });
  const colorOf = (value: number): Rgb => colorAt(scale, (value - low) / (high - low));
  return image + wordsSvg(trace, pair, (row, column) => colorOf(values[row * columns + column]!));
}

/** The words in the cells of a heatmap, in their own colour or dark on light cells and light on dark ones. */
function wordsSvg(trace: Trace, pair: AxisPair, colorOf: (row: number, column: number) => Rgb): string {
  if (trace.texttemplate !== '%{text}') return '';
  const { size, color } = (trace.textfont ?? {}) as { size?: number; color?: string };
  const words = (trace.text as readonly (readonly string[])[]).flatMap((row, down) =>
    row.map((word, across) => {
      const [red, green, blue] = colorOf(down, across);
      const fill = color ?? (0.3 * red + 0.59 * green + 0.11 * blue < 140 ? '#ffffff' : '#222222');
      const [x, y] = [pair.px(indexed(trace.x, across)), pair.py(indexed(trace.y, down)) + 4];
      return word && text(word, x, y, { 'text-anchor': 'middle', 'font-size': size, fill });
    }),
  );
  return words.join('');
}

/** Where a row or a column is: its name, its value, or its number. */
function indexed(names: unknown, at: number): unknown {
  return Array.isArray(names) ? names[at] : at;
}

/** The colour bar of a heatmap that has its own scale; none where it shares one or shows none. */
export function ownColorbarSvg(trace: Trace, paper: Box, shades: number): string {
  if (trace.type !== 'heatmap' || trace.coloraxis || !trace.colorbar) return '';
  const [cmin, cmax] = limits(valuesOf(trace.z).values, trace.zmin, trace.zmax);
  return colorbarSvg({ cmin, cmax, colorscale: trace.colorscale, colorbar: trace.colorbar }, paper, shades);
}

interface Colorbar {
  readonly x?: number;
  readonly y?: number;
  readonly yanchor?: string;
  readonly len?: number;
  readonly title?: { readonly text?: string };
  readonly tickvals?: readonly number[];
  readonly ticktext?: readonly string[];
}

/** The colour bar of a shared colour axis, where its layout says, by default right of the paper. */
export function colorbarSvg(
  axis: Layout,
  paper: Box,
  shades: number,
  pairs: readonly AxisPair[] = [],
): string {
  const { cmin, cmax } = axis as { cmin?: number; cmax?: number };
  if (axis.showscale === false || cmin === undefined || cmax === undefined) return '';
  const bar = (axis.colorbar ?? {}) as Colorbar;
  const length = (bar.len ?? 1) * paper.height;
  const left = paper.left + (bar.x ?? 1.02) * paper.width + 4;
  const above = { top: 0, bottom: length }[bar.yanchor ?? 'middle'] ?? length / 2;
  const planned = paper.top + (1 - (bar.y ?? 0.5)) * paper.height - above;
  const [top, bottom] = besidePictures([planned, planned + length], pairs);
  const height = bottom - top;
  const scale = scaleOf(axis.colorscale);
  const cells = Array.from({ length: shades }, (_, i) => {
    const fill = `rgb(${colorAt(scale, 1 - (i + 0.5) / shades).join(',')})`;
    const box = { x: left, y: top + (i * height) / shades, width: 9, height: height / shades + 0.5 };
    return element('rect', { ...box, fill });
  });
  const own = bar.tickvals?.map((value, at) => ({ value, label: bar.ticktext?.[at] ?? String(value) }));
  const marks = (own ?? linearTicks([cmin, cmax], 5)).map(({ value, label }) => {
    const y = top + height * (1 - (Number(value) - cmin) / (cmax - cmin));
    return text(label, left + 13, y + 4, { 'font-size': 11 });
  });
  return [...cells, ...marks, text(plainText(bar.title?.text), left, top - 5, { 'font-size': 11 })].join('');
}

/** From where to where a bar reaches beside pictures that are lower than the row they are in, as on narrow paper. */
function besidePictures([top, bottom]: Span, pairs: readonly AxisPair[]): Span {
  const row = pairs.filter(({ room }) => room.top < bottom - 1 && room.top + room.height > top + 1);
  if (row.length === 0) return [top, bottom];
  const start = Math.min(...row.map(({ room }) => room.top));
  const shares = row.map(
    ({ box, room }) => (box.top + box.height - start) / (room.top + room.height - start),
  );
  const share = Math.min(1, Math.max(...shares));
  return [start + share * (top - start), start + share * (bottom - start)];
}

function valuesOf(z: unknown): { values: Float32Array; rows: number; columns: number } {
  if (isEncoded(z)) return decodePicture(z);
  const lists = (z ?? []) as readonly (readonly (number | null)[])[];
  const columns = lists[0]?.length ?? 0;
  const values = Float32Array.from(lists.flatMap((list) => list.map((value) => value ?? Number.NaN)));
  return { values, rows: lists.length, columns };
}

function limits(values: Float32Array, low: unknown, high: unknown): [number, number] {
  const [min, max] = finiteRange(values) ?? [0, 1];
  const from = typeof low === 'number' ? low : min;
  const to = typeof high === 'number' ? high : max;
  return [from, to > from ? to : from + 1];
}

function scaleOf(scale: unknown): Scale {
  return Array.isArray(scale) ? (scale as Scale) : viridis;
}

function colorAt(scale: Scale, fraction: number): Rgb {
  const above = scale.findIndex(([stop]) => stop >= fraction);
  if (above <= 0) return rgb(scale[above < 0 ? scale.length - 1 : 0]![1]);
  const [[from, a], [to, b]] = [scale[above - 1]!, scale[above]!];
  const mix = to > from ? (fraction - from) / (to - from) : 1;
  const [start, end] = [rgb(a), rgb(b)];
  return [0, 1, 2].map((c) => Math.round(start[c]! + mix * (end[c]! - start[c]!))) as unknown as Rgb;
}

/** Of `#rrggbb` or `rgb(r, g, b)`. */
function rgb(color: string): Rgb {
  const hex = /^#(..)(..)(..)$/.exec(color);
  const parts = hex ? hex.slice(1).map((part) => `0x${part}`) : color.match(/[\d.]+/g);
  const [r = 0, g = 0, b = 0] = (parts ?? []).map(Number);
  return [r, g, b];
}
