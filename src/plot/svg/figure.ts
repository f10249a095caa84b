import type { Layout, Place, PlainFigure, Trace } from '../base/layout';
import { hairline, SMALL, wash } from '../base/theme';
import { annotationsSvg } from './annotations';
import { type AxisPair, axisPairs, type Box, boxOf } from './axes';
import { element, plainText, text } from './elements';
import { colorbarSvg, type Fineness, heatmapSvg, ownColorbarSvg } from './heatmap';
import { legendsSvg } from './legend';
import { barsSvg, linesSvg } from './lines';

interface SvgLook {
  readonly width: number;
  readonly fineness: Fineness;
  /** A line below the figure. */
  readonly note?: string;
}

/** For a screen: 512 voxels a side are more than its panels show. */
const SCREEN: SvgLook = { width: 900, fineness: { most: 512, sharp: 0, shades: 48 } };
/** Pixels below the panels of a still picture. */
const BELOW = 10;
/** Pixels of the line below a figure. */
const NOTE = 22;

/** The picture that a front end without Plotly shows in place of a figure. It says that it is one. */
export function stillSvg(figure: PlainFigure): string {
  const controls = figure.layout.sliders || figure.layout.updatemenus ? 'zoom, buttons and sliders' : 'zoom';
  const note = `A still picture. JupyterLab with Patchwise, VS Code and reports draw it with ${controls}.`;
  return figureToSvg(withoutControlsBelow(figure), { ...SCREEN, note });
}

/** A figure without the room that its sliders and buttons take below its panels. */
function withoutControlsBelow({ data, layout }: PlainFigure): PlainFigure {
  const controls = [layout.sliders, layout.updatemenus].flat() as readonly (Layout | undefined)[];
  if (!controls.some((control) => control?.y === 0 && control.yanchor === 'top')) return { data, layout };
  const margin = layout.margin as { readonly b: number };
  const height = asNumber(layout.height, 450) - margin.b + BELOW;
  return { data, layout: { ...layout, height, margin: { ...margin, b: BELOW } } };
}

/**
 * A figure as a static SVG, for front ends without Plotly and for paper: scatter, bar, heatmap and table traces,
 * linear, log and category axes, rectangles and lines among the shapes, annotations, legend and colour bars. What
 * only a pointer can use (buttons, sliders, hover) is left out, and so is a trace that starts hidden.
 *
 * @param look its width in pixels, how fine its embedded pictures are, and what is written below it
 */
export function figureToSvg(
  { data, layout }: PlainFigure,
  { width, fineness, note }: SvgLook = SCREEN,
): string {
  const planned = asNumber(layout.height, 450);
  const margin = { l: 60, r: 30, t: 50, b: 50, ...(layout.margin as object) };
  const paper: Box = {
    left: margin.l,
    top: margin.t,
    width: Math.max(1, width - margin.l - margin.r),
    height: Math.max(1, planned - margin.t - margin.b),
  };
  const traces = data.filter((trace) => trace.visible !== false && trace.visible !== 'legendonly');
  const pairs = axisPairs(layout, traces, paper);
  const font = { family: 'sans-serif', size: 12, color: '#767f8c', ...(layout.font as object) };

  const legend = legendsSvg(traces, layout, paper);
  const drawn = Math.max(planned, Math.ceil(legend.bottom + 8)); // Plotly, too, makes room for a long legend
  const height = drawn + (note ? NOTE : 0);
  const parts = [
    ...pairs.map((pair) => pair.grid),
    ...shapes(layout, pairs, true),
    ...traces.map((trace) => traceSvg(trace, pairs, layout, paper, fineness)),
    ...shapes(layout, pairs, false),
    ...pairs.map((pair) => pair.labels),
    ...annotationsSvg(layout, pairs, paper),
    legend.svg,
    ...Object.keys(layout)
      .filter((key) => /^coloraxis\d*$/.test(key))
      .map((key) => colorbarSvg(layout[key] as Layout, paper, fineness.shades, pairs)),
    ...traces.map((trace) => ownColorbarSvg(trace, paper, fineness.shades)),
    title(layout, paper),
    note ? text(note, 10, drawn + NOTE - 8, { 'font-size': SMALL }) : '',
  ];
  const root = {
    xmlns: 'http://www.w3.org/2000/svg',
    width,
    height,
    viewBox: `0 0 ${width} ${height}`,
    'font-family': font.family,
    'font-size': font.size,
    fill: font.color,
    role: 'img',
  };
  return element('svg', root, parts.join(''));
}

/** The types of traces that `figureToSvg` draws. */
export const drawnTypes: readonly string[] = ['scatter', 'scattergl', 'bar', 'heatmap', 'table'];

function traceSvg(
  trace: Trace,
  pairs: readonly AxisPair[],
  layout: Layout,
  paper: Box,
  fineness: Fineness,
): string {
  if (trace.type === 'table') return tableSvg(trace, paper);
  const pair = pairs.find(({ x, y }) => x === (trace.xaxis ?? 'x') && y === (trace.yaxis ?? 'y'));
  if (!pair) return '';
  if (trace.type === 'heatmap') return heatmapSvg(trace, pair, layout, fineness);
  if (trace.type === 'bar') return barsSvg(trace, pair);
  if (trace.type === 'scatter' || trace.type === 'scattergl') return linesSvg(trace, pair);
  return '';
}

/** The shapes that lie below the traces, or those above them. */
function shapes(layout: Layout, pairs: readonly AxisPair[], below: boolean): string[] {
  const all = (layout.shapes ?? []) as readonly Layout[];
  return all
    .filter((shape) => (shape.layer === 'below') === below)
    .map((shape) => {
      const pair = pairs.find(({ x, y }) => x === (shape.xref ?? 'x') && y === (shape.yref ?? 'y'));
      if (!pair) return '';
      const [x0, x1] = [pair.px(shape.x0), pair.px(shape.x1)];
      const [y0, y1] = [pair.py(shape.y0), pair.py(shape.y1)];
      const line = { color: '#767f8c', width: 1, ...(shape.line as object) };
      const look = { stroke: line.color, 'stroke-width': line.width, opacity: asNumber(shape.opacity, 1) };
      if (shape.type === 'line') return element('line', { x1: x0, y1: y0, x2: x1, y2: y1, ...look });
      const corner = { x: Math.min(x0, x1), y: Math.min(y0, y1) };
      const size = { width: Math.abs(x1 - x0), height: Math.abs(y1 - y0) };
      return element('rect', { ...corner, ...size, fill: shape.fillcolor ?? 'none', ...look });
    });
}

function title(layout: Layout, paper: Box): string {
  const { text: label, font } = (layout.title ?? {}) as { text?: string; font?: { size?: number } };
  const size = font?.size ?? 15;
  const look = { 'font-size': size, 'font-weight': 600 };
  return label ? text(plainText(label), paper.left, 14 + size * 0.8, look) : '';
}

function asNumber(value: unknown, otherwise: number): number {
  return typeof value === 'number' ? value : otherwise;
}

interface Part {
  readonly values?: readonly unknown[];
  readonly align?: string | readonly string[];
  readonly height?: number;
}

/** A table trace; rows that do not fit its domain are cut off, as Plotly scrolls them. */
function tableSvg(trace: Trace, paper: Box): string {
  const domain: Place = { x: [0, 1], y: [0, 1], ...(trace.domain as object) };
  const { left, top, width, height: room } = boxOf(domain, paper);
  const header = (trace.header ?? {}) as Part;
  const cells = (trace.cells ?? {}) as Part;
  const heads = (header.values ?? []).map((value) => plainText(Array.isArray(value) ? value[0] : value));
  const columns = (cells.values ?? []) as readonly (readonly unknown[])[];
  // Columns are as wide as their words need: a still picture wraps none.
  const needs = heads.map((head, i) =>
    Math.max(head.length + 3, ...(columns[i] ?? []).map((word) => String(word).length + 3)),
  );
  const share =
    width /
    Math.max(
      1,
      needs.reduce((sum, need) => sum + need, 0),
    );
  const lefts = needs.map((_, i) => left + share * needs.slice(0, i).reduce((sum, need) => sum + need, 0));
  const rowHeight = cells.height ?? 24;
  const headHeight = header.height ?? 26;
  const rows = Math.min(columns[0]?.length ?? 0, Math.floor((room - headHeight) / rowHeight + 0.5));

  const cell = (label: string, i: number, y: number, height: number, weight?: number): string => {
    const right = (Array.isArray(cells.align) ? cells.align[i] : cells.align) === 'right';
    const x = lefts[i]! + (right ? share * needs[i]! - 8 : 8);
    const look = { 'text-anchor': right ? 'end' : 'start', 'font-weight': weight };
    return text(label, x, y + height / 2 + 4, look);
  };
  const rule = (y: number): string =>
    element('line', { x1: left, x2: left + width, y1: y, y2: y, stroke: hairline, 'stroke-width': 1 });
  const parts = [
    element('rect', { x: left, y: top, width, height: headHeight, fill: wash }),
    ...heads.map((label, i) => cell(label, i, top, headHeight, 600)),
  ];
  for (let row = 0; row < rows; row++) {
    const y = top + headHeight + row * rowHeight;
    parts.push(...columns.map((values, i) => cell(plainText(values[row]), i, y, rowHeight)));
    parts.push(rule(y + rowHeight));
  }
  return parts.join('');
}
